// What a CUDA thread can do, under one set of names: conversions, shuffles, copies in the
// background, tensor-core products. Knows nothing of the network.
//
// nvcc and NVRTC map the names to intrinsics and PTX (compute capability 8.0 or newer), with no
// other header. Any other compiler takes them from cuda_on_cpu.h, which plays the GPU for tests.
// Every warp function is for all 32 lanes at once, every block function for all threads.

#ifndef ADVENTURE_GPU_H
#define ADVENTURE_GPU_H

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

// As in <stdint.h>, which NVRTC hasn't got.
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;

// The block's dynamic shared memory, as many bytes as the launch asked for.
#define DYNAMIC_SHARED(type, name)                                                \
    extern __shared__ __align__(128) unsigned char dynamic_shared_bytes[];        \
    type* name = reinterpret_cast<type*>(dynamic_shared_bytes)

// ---- lanes of a warp ----

__device__ __forceinline__ float shuffle_xor(float x, int mask) {
    return __shfl_xor_sync(0xffffffffu, x, mask);
}
__device__ __forceinline__ float shuffle(float x, int lane) {
    return __shfl_sync(0xffffffffu, x, lane);
}
__device__ __forceinline__ float shuffle_down(float x, int by) {
    return __shfl_down_sync(0xffffffffu, x, by);
}
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
    return x;
}
__device__ __forceinline__ bool warp_any(bool x) { return __any_sync(0xffffffffu, x); }

// ---- copies in the background ----

__device__ __forceinline__ uint32_t shared_address(const void* p) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// 16 bytes, both ends aligned to 16; zeros instead where `valid` is false (then nothing is read,
// but `global` must still be a valid address).
__device__ __forceinline__ void copy16_async(void* shared, const void* global, bool valid = true) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
                 : "memory");
}
__device__ __forceinline__ void copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits for this thread's committed groups but the last Pending. Other threads' copies are seen
// after a barrier only.
template <int Pending>
__device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// ---- conversions ----

__device__ __forceinline__ uint16_t bf16_bits(float x) {
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
    uint32_t bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}
__device__ __forceinline__ uint16_t f16_bits(float x) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
__device__ __forceinline__ float f16_value(uint16_t bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

// To nearest, ties away from zero; the low 13 bits are zero.
__device__ __forceinline__ uint32_t to_tf32(float x) {
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// 2^x to a relative error of about 2^-22, exact for whole x; results below 2^-126 become 0.
__device__ __forceinline__ float fast_exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Where a vector's address is wrong the GPU ends the program; the emulator says so.
__device__ __forceinline__ void expect_aligned(const void*, int) {}

// 1 / x within one unit of the last place; x and the result must be normal numbers.
__device__ __forceinline__ float fast_inverse(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// ---- tensor cores: d += a b ----

// m16n8k8. Lane l holds, with g = l / 4 and i = l % 4: a = A[g][i], A[g+8][i], A[g][i+4],
// A[g+8][i+4]; b = B[i][g], B[i+4][g]; d = D[g][2i], D[g][2i+1], D[g+8][2i], D[g+8][2i+1].
// Of a and b only the upper 19 bits are used.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// m16n8k16, two bf16 a register, the lower index in the lower half: a = A[g][2i..], A[g+8][2i..],
// A[g][2i+8..], A[g+8][2i+8..]; b = B[2i..][g], B[2i+8..][g]; d as in mma_tf32.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four matrices of 8 rows of 16 bytes from shared memory (ldmatrix): lane l gives the address of
// row l % 8 of matrix l / 8, and gets in x[m] word l % 4 of row l / 4 of matrix m. With rows of
// floats these are the fragments that mma_tf32 takes, with bf16 those of mma_bf16.
__device__ __forceinline__ void load_matrices(uint32_t (&x)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(shared_address(row))
                 : "memory");
}

#else
#include "cuda_on_cpu.h"
#endif

// ---- number formats: f32, bf16, f16 are what IO and the like may be ----

typedef float f32;
struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

__device__ __forceinline__ float to_float(f32 x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) {
    return __uint_as_float(uint32_t(x.bits) << 16);
}
__device__ __forceinline__ float to_float(f16 x) { return f16_value(x.bits); }

__device__ __forceinline__ void set(f32& to, float x) { to = x; }
__device__ __forceinline__ void set(bf16& to, float x) { to.bits = bf16_bits(x); }
__device__ __forceinline__ void set(f16& to, float x) { to.bits = f16_bits(x); }

// A word's one or two numbers; the pointer only says of which format they are.
__device__ __forceinline__ void unpack(const f32*, uint32_t word, float* x) {
    x[0] = __uint_as_float(word);
}
__device__ __forceinline__ void unpack(const bf16*, uint32_t word, float* x) {
    x[0] = __uint_as_float(word << 16);
    x[1] = __uint_as_float(word & 0xffff0000u);
}
__device__ __forceinline__ void unpack(const f16*, uint32_t word, float* x) {
    x[0] = f16_value(uint16_t(word));
    x[1] = f16_value(uint16_t(word >> 16));
}

template <typename T>
__device__ __forceinline__ float load(const T* p) {
    return to_float(*p);
}
template <typename T>  // rounds to nearest, ties to even
__device__ __forceinline__ void store(T* p, float x) {
    T to;
    set(to, x);
    *p = to;
}

// Count of T as one register-sized piece after another, to go through memory at once.
template <typename T, int Count>
struct alignas(sizeof(T) * Count < 16 ? sizeof(T) * Count : 16) Pack {
    T items[Count];
};

// Count (a power of two) numbers from global or shared memory, 16 bytes at a time where there are
// as many. `p` must be aligned to 16 bytes, or to Count * sizeof(T) if that is less.
template <int Count, typename T>
__device__ __forceinline__ void load_vector(const T* p, float* x) {
    constexpr int Step = Count * sizeof(T) > 16 ? 16 / sizeof(T) : Count;
    expect_aligned(p, Step * sizeof(T));
#pragma unroll
    for (int i = 0; i < Count; i += Step) {
        if constexpr (Step * sizeof(T) >= 4) {
            typedef Pack<uint32_t, Step * sizeof(T) / 4> Words;
            const Words pack = *reinterpret_cast<const Words*>(p + i);
            constexpr int Each = 4 / sizeof(T);
#pragma unroll
            for (int j = 0; j < Step; j += Each) unpack(p, pack.items[j / Each], x + i + j);
        } else {
            x[i] = load(p + i);
        }
    }
}
template <int Count, typename T>
__device__ __forceinline__ void store_vector(T* p, const float* x) {
    constexpr int Step = Count * sizeof(T) > 16 ? 16 / sizeof(T) : Count;
    expect_aligned(p, Step * sizeof(T));
#pragma unroll
    for (int i = 0; i < Count; i += Step) {
        Pack<T, Step> pack;
#pragma unroll
        for (int j = 0; j < Step; ++j) set(pack.items[j], x[i + j]);
        *reinterpret_cast<Pack<T, Step>*>(p + i) = pack;
    }
}

// ---- float32 products on tensor cores: each operand as two tf32 numbers ----

// x = high + low to about 2^-22 of x. An infinite x gives a NaN in low.
__device__ __forceinline__ void split_tf32(float x, uint32_t& high, uint32_t& low) {
    high = to_tf32(x) & 0xffffe000u;
    low = to_tf32(x - __uint_as_float(high));
}

template <int Count>
struct Split {
    uint32_t high[Count], low[Count];
};
template <int Count>
__device__ __forceinline__ Split<Count> split_tf32(const float (&x)[Count]) {
    Split<Count> s;
#pragma unroll
    for (int i = 0; i < Count; ++i) split_tf32(x[i], s.high[i], s.low[i]);
    return s;
}

// d += a b with the error of float32: the small products first; low times low is left out.
__device__ __forceinline__ void mma_3xtf32(float (&d)[4], const Split<4>& a, const Split<2>& b) {
    mma_tf32(d, a.low, b.high);
    mma_tf32(d, a.high, b.low);
    mma_tf32(d, a.high, b.high);
}

#endif
