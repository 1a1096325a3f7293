// Sixteen floats at a time on any CPU: arithmetic, exp, tanh, sigmoid. Knows nothing of matrices.
//
// `Vec` is one AVX-512 register, two AVX registers, or four of SSE or NEON. Every operation works
// lane by lane, so a number's result depends on that number alone and not on its lane. Compile
// with -ffp-contract=off: a product is fused into a sum only where `fma` says so. Where the CPU
// has no fused form, `fma` rounds twice; a build is consistent with itself, not with other CPUs.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace simd {

constexpr int kLanes = 16;

#if defined(__AVX512F__)
constexpr int kNative = 16;  // floats in a register
#elif defined(__AVX__)
constexpr int kNative = 8;
#else
constexpr int kNative = 4;
#endif
constexpr int kParts = kLanes / kNative;

typedef float Float __attribute__((vector_size(4 * kNative)));
typedef int32_t Word __attribute__((vector_size(4 * kNative)));

#define SIMD_INLINE inline __attribute__((always_inline))
#define SIMD_EACH _Pragma("GCC unroll 4") for (int p = 0; p < simd::kParts; ++p)

struct Vec {
  Float part[kParts];
};
struct Int {
  Word part[kParts];
};

SIMD_INLINE Float broadcast_part(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX__)
  return _mm256_set1_ps(x);
#else
  return Float{x, x, x, x};
#endif
}
SIMD_INLINE Vec broadcast(float x) {
  Vec out;
  SIMD_EACH out.part[p] = broadcast_part(x);
  return out;
}
SIMD_INLINE Int broadcast(int32_t x) {
  Int out;
  SIMD_EACH out.part[p] = Word{} + x;
  return out;
}
SIMD_INLINE Vec zero() { return broadcast(0.0f); }

// Any address will do. Part by part: GCC keeps a structure that was copied whole in memory.
SIMD_INLINE Vec load(const float* from) {
  Vec out;
  SIMD_EACH std::memcpy(&out.part[p], from + p * kNative, sizeof(Float));
  return out;
}
SIMD_INLINE void store(float* to, Vec x) {
  SIMD_EACH std::memcpy(to + p * kNative, &x.part[p], sizeof(Float));
}

SIMD_INLINE Int load_bits(const void* from) {
  Int out;
  const char* at = static_cast<const char*>(from);
  SIMD_EACH std::memcpy(&out.part[p], at + p * sizeof(Word), sizeof(Word));
  return out;
}

// The first n lanes, 0 <= n <= 16; the others are zero, and memory beyond them isn't touched.
SIMD_INLINE Vec load(const float* from, int n) {
  Vec out{};
#if defined(__AVX512F__)
  out.part[0] = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from);
#else
  std::memcpy(&out, from, static_cast<std::size_t>(n) * sizeof(float));
#endif
  return out;
}
SIMD_INLINE void store(float* to, Vec x, int n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << n) - 1), x.part[0]);
#else
  std::memcpy(to, &x, static_cast<std::size_t>(n) * sizeof(float));
#endif
}

SIMD_INLINE Vec operator+(Vec a, Vec b) {
  SIMD_EACH a.part[p] += b.part[p];
  return a;
}
SIMD_INLINE Vec operator-(Vec a, Vec b) {
  SIMD_EACH a.part[p] -= b.part[p];
  return a;
}
SIMD_INLINE Vec operator*(Vec a, Vec b) {
  SIMD_EACH a.part[p] *= b.part[p];
  return a;
}
SIMD_INLINE Vec operator/(Vec a, Vec b) {
  SIMD_EACH a.part[p] /= b.part[p];
  return a;
}
SIMD_INLINE Vec operator-(Vec a) {
  SIMD_EACH a.part[p] = -a.part[p];
  return a;
}

SIMD_INLINE Float fma_part(Float a, Float b, Float c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON) && defined(__aarch64__)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

// a b + c, rounded once where the CPU can.
SIMD_INLINE Vec fma(Vec a, Vec b, Vec c) {
  SIMD_EACH c.part[p] = fma_part(a.part[p], b.part[p], c.part[p]);
  return c;
}

// Bits as they are, the other way of reading them.
SIMD_INLINE Int bits(Vec x) {
  Int out;
  SIMD_EACH out.part[p] = reinterpret_cast<Word>(x.part[p]);
  return out;
}
SIMD_INLINE Vec floats(Int x) {
  Vec out;
  SIMD_EACH out.part[p] = reinterpret_cast<Float>(x.part[p]);
  return out;
}

// Where a < b take x, elsewhere (also where a or b is not a number) y.
SIMD_INLINE Vec if_less(Vec a, Vec b, Vec x, Vec y) {
  SIMD_EACH y.part[p] = a.part[p] < b.part[p] ? x.part[p] : y.part[p];
  return y;
}
// The larger, the smaller; b where either is not a number.
SIMD_INLINE Vec max(Vec a, Vec b) { return if_less(b, a, a, b); }
SIMD_INLINE Vec min(Vec a, Vec b) { return if_less(a, b, a, b); }
SIMD_INLINE Int max(Int a, Int b) {
  SIMD_EACH a.part[p] = a.part[p] > b.part[p] ? a.part[p] : b.part[p];
  return a;
}
SIMD_INLINE Vec abs(Vec x) {
  Int y = bits(x);
  SIMD_EACH y.part[p] &= 0x7fffffff;
  return floats(y);
}
SIMD_INLINE Float sqrt_part(Float x) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(0xffff, x);  // the plain form makes GCC warn
#elif defined(__AVX__)
  return _mm256_sqrt_ps(x);
#elif defined(__SSE2__)
  return _mm_sqrt_ps(x);
#else
  for (int l = 0; l < kNative; ++l) x[l] = __builtin_sqrtf(x[l]);
  return x;
#endif
}
SIMD_INLINE Vec sqrt(Vec x) {
  SIMD_EACH x.part[p] = sqrt_part(x.part[p]);
  return x;
}

// Sum of the lanes, always by the same tree: the upper half onto the lower until one is left.
SIMD_INLINE float sum(Vec x) {
  float lane[kLanes];
  store(lane, x);
  for (int l = 0; l < 8; ++l) lane[l] += lane[l + 8];
  for (int l = 0; l < 4; ++l) lane[l] += lane[l + 4];
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

// ---- exp, tanh, sigmoid: within 1, 1.4 and 2.3 units in the last place -------------

// x 2^n for whole n of -252..254. Two factors: 2^n alone may lie outside of what a float can hold.
SIMD_INLINE Float scale_part(Float x, Word n) {
  const Word half = n >> 1;
  const Word first = (half + 127) << 23, second = (n - half + 127) << 23;
  return x * reinterpret_cast<Float>(first) * reinterpret_cast<Float>(second);
}

// 0 below -104, infinite above 88.73; not a number stays that.
SIMD_INLINE Vec exp(Vec x) {
  // x = n ln 2 + r, |r| <= ln 2 / 2. ln 2 comes in two parts, of which n times the first is exact.
  x = max(broadcast(-104.0f), min(broadcast(89.0f), x));
  const Vec magic = broadcast(12582912.0f);  // 1.5 2^23: adding it rounds to a whole number
  const Vec shifted = fma(x, broadcast(1.44269504f), magic);
  const Vec n = shifted - magic;
  const Vec r = fma(n, broadcast(2.12194440e-4f), fma(n, broadcast(-0.693359375f), x));
  // 1 + r + r^2 q(r); q minimises the largest relative error, 3.1e-9.
  Vec q = fma(r, broadcast(0.001381432f), broadcast(0.008368851f));
  q = fma(r, q, broadcast(0.0416684f));
  q = fma(r, q, broadcast(0.1666652f));
  q = fma(r, q, broadcast(0.49999994f));
  Vec y = fma(r * r, q, r) + broadcast(1.0f);
  const Int whole = bits(shifted), base = bits(magic);
  SIMD_EACH y.part[p] = scale_part(y.part[p], whole.part[p] - base.part[p]);
  return y;
}

SIMD_INLINE Vec tanh(Vec x) {
  const Vec size = abs(x), one = broadcast(1.0f);
  // Near zero x + x^3 q(x^2), relative error 4.4e-9; 1 - 2 / (exp(2 |x|) + 1) would cancel there.
  const Vec z = x * x;
  Vec q = fma(z, broadcast(-0.0057049873f), broadcast(0.020639088f));
  q = fma(z, q, broadcast(-0.053739715f));
  q = fma(z, q, broadcast(0.13331442f));
  q = fma(z, q, broadcast(-0.3333328f));
  const Vec small = fma(x * z, q, x);
  const Vec large = one - broadcast(2.0f) / (exp(size + size) + one);
  return if_less(size, broadcast(0.625f), small, if_less(x, zero(), -large, large));
}

// 1 / (1 + exp(-x)), for x < 0 as exp(x) / (1 + exp(x)): no factor overflows on the way.
SIMD_INLINE Vec sigmoid(Vec x) {
  const Vec one = broadcast(1.0f), e = exp(-abs(x));
  return if_less(x, zero(), e, one) / (one + e);
}

}  // namespace simd
