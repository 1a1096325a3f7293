// A GPU played on the CPU, so that device code runs where there is none. Knows no kernel.
//
// Every CUDA thread of a block is a fiber: it runs until it meets the others (a barrier, a shuffle,
// a tensor-core product), and the last one to come carries the meeting out. What a GPU leaves open
// is chosen to harm: the order of lanes, warps and blocks is a parameter, shared memory begins as
// signalling NaNs, a copy in the background leaves NaNs until it is waited for, tensor cores cut
// their sums off as the hardware does. Threads that wait for what can't come end the launch with
// a message. One launch at a time. Static __shared__ arrays belong in kernels, not in functions
// that they call.

#ifndef CUDA_ON_CPU_H
#define CUDA_ON_CPU_H

#include "scheduler.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline  // left to the compiler: builds take half the time
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __constant__ static const
#define __align__(bytes) __attribute__((aligned(bytes)))
// One section, so that all of it can be poisoned before each block.
#define __shared__ static __attribute__((section("shared_memory")))
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(emulator::dynamic_shared)

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// ---- what device code calls: lanes ----

#define EMULATOR_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(EMULATOR_HERE) { emulator::meet(emulator::AtBlock, file, line); }
inline void __syncwarp(EMULATOR_HERE) { emulator::meet(emulator::AtWarp, file, line); }

namespace emulator {
inline float exchange(Meeting at, float x, int number, const char* file, int line) {
    now->value = as_uint(x);
    now->number = number;
    meet(at, file, line);
    return as_float(now->result);
}
}  // namespace emulator

inline float shuffle_xor(float x, int mask, EMULATOR_HERE) {
    return emulator::exchange(emulator::AtXor, x, mask, file, line);
}
inline float shuffle(float x, int lane, EMULATOR_HERE) {
    return emulator::exchange(emulator::AtShuffle, x, lane, file, line);
}
inline float shuffle_down(float x, int by, EMULATOR_HERE) {
    return emulator::exchange(emulator::AtDown, x, by, file, line);
}
inline float warp_sum(float x, EMULATOR_HERE) {
    for (int mask = 16; mask > 0; mask /= 2) x += shuffle_xor(x, mask, file, line);
    return x;
}
inline bool warp_any(bool x, EMULATOR_HERE) {
    const float bits = emulator::as_float(x);
    return emulator::as_uint(emulator::exchange(emulator::AtAny, bits, 0, file, line));
}

// ---- copies in the background: NaNs till the wait that ends them, carried out only there ----

inline void copy16_async(void* shared, const void* global, bool valid = true) {
    if (reinterpret_cast<uintptr_t>(shared) % 16 || reinterpret_cast<uintptr_t>(global) % 16)
        emulator::fail("copy16_async with an address that isn't aligned to 16 bytes");
    emulator::poison(static_cast<char*>(shared), 16);
    emulator::now->copies.push_back({shared, valid ? global : nullptr, emulator::now->groups});
}
inline void copy_commit() { ++emulator::now->groups; }

template <int Pending>
inline void copy_wait() {
    emulator::Lane& lane = *emulator::now;
    size_t done = 0;
    for (; done < lane.copies.size(); ++done) {
        const emulator::Copy& copy = lane.copies[done];
        if (copy.group >= lane.groups - Pending) break;
        copy.from ? memcpy(copy.to, copy.from, 16) : memset(copy.to, 0, 16);
    }
    lane.copies.erase(lane.copies.begin(), lane.copies.begin() + done);
}

// ---- tensor cores ----

inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_HERE) {
    emulator::now->d = d, emulator::now->a = a, emulator::now->b = b;
    emulator::meet(emulator::AtTf32, file, line);
}
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_HERE) {
    emulator::now->d = d, emulator::now->a = a, emulator::now->b = b;
    emulator::meet(emulator::AtBf16, file, line);
}
inline void load_matrices(uint32_t (&x)[4], const void* row, EMULATOR_HERE) {
    if (reinterpret_cast<uintptr_t>(row) % 16)
        emulator::fail("load_matrices with a row that isn't aligned to 16 bytes");
    emulator::now->d = reinterpret_cast<float*>(x);
    emulator::now->a = static_cast<const uint32_t*>(row);
    emulator::meet(emulator::AtMatrices, file, line);
}

inline void expect_aligned(const void* p, int bytes) {
    if (reinterpret_cast<uintptr_t>(p) % bytes)
        emulator::fail("a vector of " + std::to_string(bytes) +
                       " bytes that isn't aligned to them");
}

// ---- conversions ----

inline float __uint_as_float(uint32_t x) { return emulator::as_float(x); }
inline uint32_t __float_as_uint(float x) { return emulator::as_uint(x); }
inline float __int_as_float(int x) { return emulator::as_float(uint32_t(x)); }
inline int __float_as_int(float x) { return int(emulator::as_uint(x)); }

inline uint16_t bf16_bits(float x) {
    const uint32_t bits = emulator::as_uint(x);
    if (x != x) return 0x7fff;
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline uint32_t pack_bf16(float low, float high) {
    return uint32_t(bf16_bits(high)) << 16 | bf16_bits(low);
}
inline uint16_t f16_bits(float x) {
    if (x != x) return 0x7fff;
    const uint16_t sign = emulator::as_uint(x) >> 16 & 0x8000;
    const float size = fabsf(x);
    if (size == 0) return sign;
    if (size >= 65520.0f) return sign | 0x7c00;
    // Adding a number whose last place is f16's rounds to nearest even there.
    int exponent;
    frexpf(size, &exponent);
    const double last = ldexp(1.0, std::max(exponent - 11, -24));
    const double steps = nearbyint(double(size) / last);  // up to 2048
    if (exponent - 11 <= -24) return uint16_t(sign | int(steps));  // may become the least normal
    return uint16_t(sign | (((exponent + 13) << 10) + int(steps)));
}
inline float f16_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float size;
    if (exponent == 31)
        size = fraction ? NAN : INFINITY;
    else
        size = ldexpf(float(exponent ? 1024 + fraction : fraction), std::max(exponent, 1) - 25);
    return bits & 0x8000 ? -size : size;
}
inline uint32_t to_tf32(float x) {
    if (x != x) return 0x7fffe000u;
    return (emulator::as_uint(x) + 0x1000u) & 0xffffe000u;
}
inline float fast_exp2(float x) {  // as wrong as the hardware may be, up or down
    const uint32_t mixed = emulator::as_uint(x) * 0x9e3779b1u;
    const float error = x == rintf(x) ? 0 : mixed >> 31 ? 0x1p-22f : -0x1p-22f;
    const float y = exp2f(x) * (1 + error);
    return y < 1.17549435e-38f ? 0.0f : y;
}
inline float fast_inverse(float x) {
    const float error = emulator::as_uint(x) * 0x9e3779b1u >> 31 ? 0x1p-23f : -0x1p-23f;
    return 1.0f / x * (1 + error);
}

// ---- CUDA's own functions ----

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
template <typename T>
inline T __ldg(const T* p) {
    return *p;
}
template <typename T>
inline T __ldcs(const T* p) {
    return *p;
}
template <typename T>
inline void __stcs(T* p, T x) {
    *p = x;
}
template <typename T>
inline T min(T x, T y) {
    return y < x ? y : x;
}
template <typename T>
inline T max(T x, T y) {
    return x < y ? y : x;
}
template <typename T>
inline T atomicAdd(T* p, T x) {
    const T old = *p;
    *p = old + x;
    return old;
}
inline void __threadfence() {}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }

#endif
