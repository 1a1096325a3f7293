// One token of each recurrence, for one head or sixteen channels; knows nothing about layers.
//
// S is N x N as [value][key], N a multiple of 16. A row of S belongs to one value and meets only
// vectors over the keys, so sixteen rows at a time pass through the registers where they lie.
// Tokens are taken in order, each by the same operations: no split of a text shows in its result.
// `from` is S before the token and `to` S after it; they may be the same. Decays come as w - 1,
// which keeps the digits that tell a slow decay from none.

#pragma once

#include <cstdint>

#include "simd.h"

namespace wkv {

using simd::Int;
using simd::Vec;
constexpr int L = simd::kLanes;

// ---- exponentials -----------------------------------------------------------------------------

// e^x = e^f 2^n with |f| <= ln(2) / 2, n a whole number. ln 2 comes in two terms, of which the
// first times n is exact: x log2(e) alone would lose 2e-5 at x = 300. Past +-2^21 f grows instead.
struct Reduced {
  Vec f, n;
};
SIMD_INLINE Reduced reduce_exp(Vec x) {
  const Vec magic = simd::broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Vec most = simd::broadcast(2097152.0f);
  Vec n = x * simd::broadcast(1.44269504088896341f);
  n = simd::max(-most, simd::min(most, n));
  n = (n + magic) - magic;
  const Vec f = simd::fma(n, simd::broadcast(-355.0f / 512), x);
  return {simd::fma(n, simd::broadcast(2.12194440054690583e-4f), f), n};
}

// 2^n for whole numbers n <= 127; 0 below the smallest normal number. Not a number gives 0.
SIMD_INLINE Vec power_of_two(Vec n) {
  const Vec magic = simd::broadcast(12582912.0f + 127.0f);
  const Vec low = simd::broadcast(-127.0f);
  Int bits = simd::bits(simd::max(n, low) + magic);
  SIMD_EACH bits.part[p] = bits.part[p] << 23;
  return simd::floats(bits);
}

// e^x - 1 for x <= 0, to its own last digits however small x is.
SIMD_INLINE Vec expm1(Vec x) {
  x = simd::max(simd::broadcast(-104.0f), x);  // in this order not a number stays one
  const Reduced r = reduce_exp(x);
  Vec p = simd::broadcast(1.0f / 5040);
  p = simd::fma(p, r.f, simd::broadcast(1.0f / 720));
  p = simd::fma(p, r.f, simd::broadcast(1.0f / 120));
  p = simd::fma(p, r.f, simd::broadcast(1.0f / 24));
  p = simd::fma(p, r.f, simd::broadcast(1.0f / 6));
  p = simd::fma(p, r.f, simd::broadcast(0.5f));
  p = simd::fma(p * r.f, r.f, r.f);
  const Vec scale = power_of_two(r.n);
  return simd::fma(scale, p, scale - simd::broadcast(1.0f));
}

// ---- matrix states ----------------------------------------------------------------------------

// Lane l of the result is the sum of the lanes of x[l].
SIMD_INLINE Vec sums(const Vec* x) {
#if defined(__AVX512F__)
  __m512 pair[8], four[4];
  for (int i = 0; i < 8; ++i) {
    const __m512 a = x[2 * i].part[0], b = x[2 * i + 1].part[0];
    pair[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  }
  for (int i = 0; i < 4; ++i) {
    const __m512d a = _mm512_castps_pd(pair[2 * i]), b = _mm512_castps_pd(pair[2 * i + 1]);
    four[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                            _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  const __m512 low = _mm512_add_ps(_mm512_shuffle_f32x4(four[0], four[1], 0x88),
                                   _mm512_shuffle_f32x4(four[0], four[1], 0xdd));
  const __m512 high = _mm512_add_ps(_mm512_shuffle_f32x4(four[2], four[3], 0x88),
                                    _mm512_shuffle_f32x4(four[2], four[3], 0xdd));
  return {_mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
                        _mm512_shuffle_f32x4(low, high, 0xdd))};
#else
  float lane[L];
  for (int l = 0; l < L; ++l) lane[l] = simd::sum(x[l]);
  return simd::load(lane);
#endif
}

// The vectors of a token in one head, each N floats. w1 is w - 1.
struct Token {
  const float *r, *w1, *k, *v;
  const float *kk, *b;  // RWKV-7: the key to remove, and that times the in-context rate
};

// A vector over the keys, kept in registers where N is known to the compiler, else read each time:
// writing S could change it for all the compiler knows.
template <int N> struct Keys {
  Vec x[N / L];
  SIMD_INLINE explicit Keys(const float* from) {
    for (int i = 0; i < N / L; ++i) x[i] = simd::load(from + i * L);
  }
  SIMD_INLINE Vec operator[](int j) const { return x[j / L]; }
};
template <> struct Keys<0> {
  const float* from;
  SIMD_INLINE explicit Keys(const float* p) : from(p) {}
  SIMD_INLINE Vec operator[](int j) const { return simd::load(from + j); }
};

// RWKV-7: S <- S diag(w) - (S kk) b^T + v k^T ; y = S r. N is Fixed where that isn't 0.
template <int Fixed>
inline void step7(int n, const Token& t, const float* from, float* to, float* y) {
  const int N = Fixed ? Fixed : n;
  for (int i = 0; i < N; i += L) {
    Vec row[L];
    const Keys<Fixed> kk(t.kk);
    for (int l = 0; l < L; ++l) {
      const float* s = from + (i + l) * N;
      Vec sum = simd::load(s) * kk[0];
      for (int j = L; j < N; j += L) sum = simd::fma(simd::load(s + j), kk[j], sum);
      row[l] = sum;
    }
    float removed[L];
    simd::store(removed, -sums(row));
    const Keys<Fixed> w1(t.w1), b(t.b), k(t.k), r(t.r);
    for (int l = 0; l < L; ++l) {
      const float* s = from + (i + l) * N;
      float* out = to + (i + l) * N;
      const Vec u = simd::broadcast(removed[l]), v = simd::broadcast(t.v[i + l]);
      Vec sum = simd::zero();
      for (int j = 0; j < N; j += L) {
        Vec x = simd::load(s + j);
        x = simd::fma(x, w1[j], x);
        x = simd::fma(u, b[j], x);
        x = simd::fma(v, k[j], x);
        simd::store(out + j, x);
        sum = simd::fma(x, r[j], sum);
      }
      row[l] = sum;
    }
    simd::store(y + i, sums(row));
  }
}

// RWKV-5.2 and 6: y = S r + own v ; S <- S diag(w) + v k^T, where own = r . (u k).
template <int Fixed>
inline void step6(int n, const Token& t, float own, const float* from, float* to, float* y) {
  const int N = Fixed ? Fixed : n;
  const Keys<Fixed> w1(t.w1), k(t.k), r(t.r);
  for (int i = 0; i < N; i += L) {
    Vec row[L];
    for (int l = 0; l < L; ++l) {
      const float* s = from + (i + l) * N;
      float* out = to + (i + l) * N;
      const Vec v = simd::broadcast(t.v[i + l]);
      Vec sum = simd::zero();
      for (int j = 0; j < N; j += L) {
        Vec x = simd::load(s + j);
        sum = simd::fma(x, r[j], sum);
        x = simd::fma(x, w1[j], x);
        simd::store(out + j, simd::fma(v, k[j], x));
      }
      row[l] = sum;
    }
    simd::store(y + i, simd::fma(simd::broadcast(own), simd::load(t.v + i), sums(row)));
  }
}

// ---- channel states ---------------------------------------------------------------------------

// What RWKV-2, 3 and 4 keep a channel: A = num 2^exp and B = den 2^exp, den in [0.5, 1).
struct Sums {
  Vec num, den;
  Int exp;
};

// The decay e^w and the bonus e^u, each as a number near 1 (less 1 for the decay) and a power of 2.
struct Rates {
  Vec decay1, bonus;
  Int decay_exp, bonus_exp;
};

SIMD_INLINE Int add(Int a, Int b) {
  SIMD_EACH a.part[p] += b.part[p];
  return a;
}
SIMD_INLINE Int subtract(Int a, Int b) {
  SIMD_EACH a.part[p] -= b.part[p];
  return a;
}
SIMD_INLINE Int larger(Int a, Int b) {
  SIMD_EACH a.part[p] = a.part[p] > b.part[p] ? a.part[p] : b.part[p];
  return a;
}
// 2^n; 0 below the smallest normal number.
SIMD_INLINE Vec power_of_two(Int n) {
  SIMD_EACH {
    const simd::Word least = simd::Word{} - 127;
    n.part[p] = ((n.part[p] > least ? n.part[p] : least) + 127) << 23;
  }
  return simd::floats(n);
}

// y = (A + e^(u+k) v) / (B + e^(u+k)) ; A <- e^w A + e^k v ; B <- e^w B + e^k. Sums of different size
// are joined at the larger exponent: nothing overflows, and what vanishes is too small to count.
SIMD_INLINE Vec step4(Vec k, Vec v, const Rates& rates, Sums& s) {
  const Reduced reduced = reduce_exp(k);
  const Vec m = simd::exp(reduced.f), mv = m * v;
  Int n;
  SIMD_EACH n.part[p] = __builtin_convertvector(reduced.n.part[p], simd::Word);

  const Int newest = add(n, rates.bonus_exp);
  Int top = larger(s.exp, newest);
  const Vec old_part = power_of_two(subtract(s.exp, top));
  const Vec new_part = power_of_two(subtract(newest, top)) * rates.bonus;
  const Vec y = simd::fma(s.num, old_part, mv * new_part) / simd::fma(s.den, old_part, m * new_part);

  const Int decayed = add(s.exp, rates.decay_exp);
  top = larger(decayed, n);
  const Vec keep = power_of_two(subtract(decayed, top));
  const Vec take = power_of_two(subtract(n, top));
  const Vec num = simd::fma(mv, take, simd::fma(s.num, rates.decay1, s.num) * keep);
  const Vec den = simd::fma(m, take, simd::fma(s.den, rates.decay1, s.den) * keep);
  Int size = simd::bits(den);  // of a positive number: its exponent field is that of [0.5, 1) + 126
  SIMD_EACH size.part[p] = (size.part[p] >> 23) - 126;
  Int less = size;
  SIMD_EACH less.part[p] = -less.part[p];
  const Vec scale = power_of_two(less);
  s = {num * scale, den * scale, add(top, size)};
  return y;
}

}  // namespace wkv
