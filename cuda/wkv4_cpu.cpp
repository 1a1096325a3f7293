// WKV-4 forward and backward on a CPU; knows nothing about torch, models or text.
//
// B batch, T tokens, C channels. k, v, y are (B,T,C), num, den, exp (B,C), w and u (C), contiguous.
// The state is float32 or float64 times 2^exp, exp int32. Plain C interface at the end.
//
// A job is one batch row and one vector of channels, from the first token to the last. The forward
// pass keeps its sums before every kChunk-th token (anchors); the backward pass takes the chunks
// from the last to the first, running each forward once more from its anchor. README.md derives it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "jobs.h"

#define WKV4_INLINE inline __attribute__((always_inline))
#include "wkv4_step.h"

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

constexpr int kChunk = 8;  // tokens between anchors
constexpr int64_t kWorth = 65536;  // numbers a thread should have: starting one takes a while

typedef float Floats __attribute__((vector_size(kBytes)));
typedef int32_t Ints __attribute__((vector_size(kBytes)));
typedef double Doubles __attribute__((vector_size(kBytes)));
typedef int64_t Longs __attribute__((vector_size(kBytes)));

// Whether a comparison holds in any lane.
template <class Mask> WKV4_INLINE bool any(Mask x) {
#if defined(__AVX512DQ__)
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(x)) != 0;
#elif defined(__AVX512F__)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(x)) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps(reinterpret_cast<__m256>(x)) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_ps(reinterpret_cast<__m128>(x)) != 0;
#else
  bool found = false;
  for (int l = 0; l < int(sizeof x / sizeof x[0]); ++l) found |= x[l] != 0;
  return found;
#endif
}

// What both kinds of numbers have, for wkv4_step.h. kTerms: how much of the series of e^x is enough
// for |x| <= ln 2 / 2.
template <class Real_, class F_, class I_, int kTerms> struct Vectors {
  using Real = Real_;
  using F = F_;
  using I = I_;
  static constexpr int kLanes = kBytes / sizeof(Real);

  static WKV4_INLINE I bits(F x) { return reinterpret_cast<I>(x); }
  static WKV4_INLINE F from_bits(I x) { return reinterpret_cast<F>(x); }
  static WKV4_INLINE F inverse(F x) { return Real(1) / x; }
  static WKV4_INLINE I to_int(F x) { return __builtin_convertvector(x, I); }

  static WKV4_INLINE F exp_near(F x) {
    double inverse[kTerms + 1] = {1.0};  // 1 / n!
    for (int n = 1; n <= kTerms; ++n) inverse[n] = inverse[n - 1] / n;
    F q = F{} + static_cast<Real>(inverse[kTerms]);
#pragma GCC unroll 16
    for (int n = kTerms - 1; n >= 2; --n) q = q * x + static_cast<Real>(inverse[n]);
    // Keys beyond 1e7, where rounding keeps x from being small; infinite ones too.
    if (__builtin_expect(any(x * x > F{} + Real(1)), false)) return exp_far(x);
    return (x * x * q + x) + Real(1);
  }
  static __attribute__((noinline)) F exp_far(F x) {
    for (int l = 0; l < kLanes; ++l) x[l] = std::exp(x[l]);
    return x;
  }
};

struct Single : Vectors<float, Floats, Ints, 7> {
  static constexpr int kMantissa = 23, kBias = 127;
  static constexpr double kLn2High = 355.0 / 512, kLn2Low = -2.1219444005469057e-4;
  static WKV4_INLINE F whole(F x) {
    const F magic = F{} + 12582912.0f;  // 1.5 2^23: adding it rounds to a whole number
    const F size = x < F{} ? -x : x;
    return size < F{} + 4194304.0f ? (x + magic) - magic : x;
  }
  // An exponent as a float of the same bits, moved to where no bits mean "not a number".
  static WKV4_INLINE F pack(I exp) { return from_bits(exp + (1 << 30)); }
  static WKV4_INLINE I unpack(F x) { return bits(x) - (1 << 30); }
};
struct Double : Vectors<double, Doubles, Longs, 14> {
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kLn2High = 0.6931471803691238, kLn2Low = 1.9082149292705877e-10;
  static WKV4_INLINE F whole(F x) {
    const F magic = F{} + 6755399441055744.0;
    const F size = x < F{} ? -x : x;
    return size < F{} + 2251799813685248.0 ? (x + magic) - magic : x;
  }
  static WKV4_INLINE F pack(I exp) { return __builtin_convertvector(exp, F); }
  static WKV4_INLINE I unpack(F x) { return to_int(x); }
};

// `n` numbers, or a whole vector of them where kWhole; other lanes are zero and other memory stays
// untouched.
template <bool kWhole, class To, class From> WKV4_INLINE To load(const From* from, int n) {
  To x{};
  if (kWhole && sizeof x[0] == sizeof(From)) {
    std::memcpy(&x, from, sizeof x);
  } else {
    for (int l = 0; l < n; ++l) x[l] = from[l];
  }
  return x;
}
template <bool kWhole, class From, class To> WKV4_INLINE void store(To* to, From x, int n) {
  if (kWhole && sizeof x[0] == sizeof(To)) {
    std::memcpy(to, &x, sizeof x);
  } else {
    for (int l = 0; l < n; ++l) to[l] = static_cast<To>(x[l]);
  }
}

template <class Real> struct Forward {
  const Real *k, *v, *u, *num, *den;
  const double* w;
  const int32_t* exp;
  Real *y, *num2, *den2, *saved;  // saved may be null: nobody will differentiate
  int32_t* exp2;
};
template <class Real> struct Backward {
  const Real *k, *v, *u, *saved, *dy, *dnum2, *dden2;
  const double* w;
  Real *dk, *dv, *dnum, *dden;
  double *dw, *du;  // (B,C) each
};

struct Sizes {
  int64_t B, T, C;
  int64_t chunks() const { return (T + kChunk - 1) / kChunk; }
};

// Channels first to first + n - 1 of batch row b; n is that of a vector's lanes where kWhole.
template <class M, bool kWhole> struct Place {
  using F = typename M::F;
  using I = typename M::I;
  using Real = typename M::Real;
  Sizes size;
  int64_t b, first;
  int n;

  std::size_t state() const { return static_cast<std::size_t>(b * size.C + first); }
  std::size_t token(int64_t t) const {
    return static_cast<std::size_t>((b * size.T + t) * size.C + first);
  }
  // Saved is (B, chunks + 1, 3, C): num, den and exp before each chunk and after the last.
  std::size_t anchor(int64_t chunk, int what) const {
    const int64_t row = (b * (size.chunks() + 1) + chunk) * 3 + what;
    return static_cast<std::size_t>(row * size.C + first);
  }
  F get(const Real* from, std::size_t at) const { return load<kWhole, F>(from + at, n); }
  void put(Real* to, std::size_t at, F x) const { store<kWhole>(to + at, x, n); }

  typename Wkv4<M>::Sums kept(const Real* saved, int64_t chunk) const {
    return {get(saved, anchor(chunk, 0)), get(saved, anchor(chunk, 1)),
            M::unpack(get(saved, anchor(chunk, 2)))};
  }
  void keep(Real* saved, int64_t chunk, const typename Wkv4<M>::Sums& s) const {
    put(saved, anchor(chunk, 0), s.num);
    put(saved, anchor(chunk, 1), s.den);
    put(saved, anchor(chunk, 2), M::pack(s.exp));
  }

  typename Wkv4<M>::Rates rates(const double* w, const Real* u) const {
    typename Wkv4<M>::Rates rates{};
    for (int l = 0; l < n; ++l) {  // decays in double precision: their digits count T times
      const double limit = 268435456.0;
      const double whole = std::max(-limit, std::min(limit, std::rint(w[first + l] * M_LOG2E)));
      const double f = (w[first + l] - whole * Double::kLn2High) - whole * Double::kLn2Low;
      const double decay = std::expm1(f);
      rates.decay1[l] = static_cast<Real>(decay);
      rates.decay2[l] = static_cast<Real>(decay - rates.decay1[l]);
      rates.decay_exp[l] = static_cast<int32_t>(whole);
    }
    const auto bonus = Wkv4<M>::exp(get(u, static_cast<std::size_t>(first)));
    rates.bonus = bonus.m;
    rates.bonus_exp = bonus.n;
    return rates;
  }
};

template <class M, bool kWhole>
void forward_block(const Forward<typename M::Real>& f, const Place<M, kWhole>& at) {
  using W = Wkv4<M>;
  const auto rates = at.rates(f.w, f.u);
  const std::size_t state = at.state();
  typename W::Sums s{at.get(f.num, state), at.get(f.den, state),
                     load<kWhole, typename M::I>(f.exp + state, at.n)};
  typename W::Lost lost;
  for (int64_t chunk = 0; chunk < at.size.chunks(); ++chunk) {
    if (f.saved) at.keep(f.saved, chunk, s);
    const int64_t end = std::min(at.size.T, (chunk + 1) * kChunk);
    for (int64_t t = chunk * kChunk; t < end; ++t) {
      const std::size_t row = at.token(t);
      const auto k = W::exp(at.get(f.k, row));
      const auto v = at.get(f.v, row);
      typename M::F inverse;
      at.put(f.y, row, W::output(k, v, rates, s, inverse).y);
      W::add(k, v, rates, s, lost);
    }
    W::normalise(s, lost);
  }
  if (f.saved) at.keep(f.saved, at.size.chunks(), s);
  at.put(f.num2, state, s.num);
  at.put(f.den2, state, s.den);
  store<kWhole>(f.exp2 + state, s.exp, at.n);
}

template <class M, bool kWhole>
void backward_block(const Backward<typename M::Real>& d, const Place<M, kWhole>& at) {
  using W = Wkv4<M>;
  using F = typename M::F;
  struct Token {  // what running forward tells the way back
    typename W::Power k;
    typename W::Sums before;
    typename W::Output out;
    F v, r;
  };
  const auto rates = at.rates(d.w, d.u);
  const std::size_t state = at.state();
  const int64_t chunks = at.size.chunks();
  typename W::Grads g{at.get(d.dnum2, state), at.get(d.dden2, state),
                      -at.kept(d.saved, chunks).exp};
  typename W::Lost g_lost;
  F dw{}, du{}, dw_lost{}, du_lost{};
  Token token[kChunk];
  for (int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
    const int64_t start = chunk * kChunk;
    const int steps = static_cast<int>(std::min(at.size.T - start, int64_t{kChunk}));
    auto s = at.kept(d.saved, chunk);
    typename W::Lost lost;
    for (int i = 0; i < steps; ++i) {
      const std::size_t row = at.token(start + i);
      Token& x = token[i];
      x.k = W::exp(at.get(d.k, row));
      x.v = at.get(d.v, row);
      x.before = s;
      F inverse;
      x.out = W::output(x.k, x.v, rates, s, inverse);
      x.r = at.get(d.dy, row) * inverse;
      W::add(x.k, x.v, rates, s, lost);
    }
    F dw_here{}, du_here{};
    W::normalise(g, g_lost);
    for (int i = steps - 1; i >= 0; --i) {
      const std::size_t row = at.token(start + i);
      const Token& x = token[i];
      const auto share = W::shares(x.r, x.k, x.v, x.out, rates, x.before, g);
      W::pull(x.r, x.out, rates, g, g_lost);
      at.put(d.dk, row, share.k);
      at.put(d.dv, row, share.v);
      dw_here += share.w;
      du_here += share.u;
    }
    W::gather(dw_here, dw, dw_lost);
    W::gather(du_here, du, du_lost);
  }
  const F scale = W::two_to_any(g.exp + at.kept(d.saved, 0).exp);
  at.put(d.dnum, state, g.a * scale);
  at.put(d.dden, state, g.b * scale);
  for (int l = 0; l < at.n; ++l) {
    d.dw[state + l] = static_cast<double>(dw[l]) + dw_lost[l];
    d.du[state + l] = static_cast<double>(du[l]) + du_lost[l];
  }
}

// Calls block(place) for every batch row and vector of channels.
template <class M, class Block>
int over_channels(const Sizes& size, int threads, const Block& block) {
  const int64_t blocks = (size.C + M::kLanes - 1) / M::kLanes;
  const int64_t worth = std::max<int64_t>(1, size.B * size.T * size.C / kWorth);
  return jobs::spread<char>(
      size.B * blocks, std::min<int64_t>(threads, worth), 0, [&](int64_t job, char*) {
        const int64_t first = job % blocks * M::kLanes;
        const int n = static_cast<int>(std::min<int64_t>(M::kLanes, size.C - first));
        if (n == M::kLanes) {
          block(Place<M, true>{size, job / blocks, first, n});
        } else {
          block(Place<M, false>{size, job / blocks, first, n});
        }
      });
}

template <class M>
int forward(const Sizes& size, int threads, const Forward<typename M::Real>& f) {
  return over_channels<M>(size, threads, [&](const auto& at) { forward_block(f, at); });
}

template <class M>
int backward(const Sizes& size, int threads, Backward<typename M::Real> d, double* dw,
             typename M::Real* du) try {
  const auto cells = static_cast<std::size_t>(size.B * size.C);
  std::vector<double> shares(2 * cells);
  d.dw = shares.data();
  d.du = shares.data() + cells;
  const int failed =
      over_channels<M>(size, threads, [&](const auto& at) { backward_block(d, at); });
  for (int64_t c = 0; c < size.C; ++c) {  // in this order whatever the threads were
    double w = 0, u = 0;
    for (int64_t b = 0; b < size.B; ++b) {
      w += d.dw[b * size.C + c];
      u += d.du[b * size.C + c];
    }
    dw[c] = w;
    du[c] = static_cast<typename M::Real>(u);
  }
  return failed;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // namespace

// Both return 0 on success, 1 when memory ran out. T >= 1. `saved` is (B, (T + 7) / 8 + 1, 3, C).
#define WKV4_EXPORT(suffix, M, Real)                                                              \
  int wkv4_forward##suffix(int64_t B, int64_t T, int64_t C, int threads, const Real* k,           \
                           const Real* v, const double* w, const Real* u, const Real* num,        \
                           const Real* den, const int32_t* exp, Real* y, Real* num2, Real* den2,  \
                           int32_t* exp2, Real* saved) {                                          \
    const Forward<Real> f{k, v, u, num, den, w, exp, y, num2, den2, saved, exp2};                 \
    return forward<M>({B, T, C}, threads, f);                                                     \
  }                                                                                               \
  int wkv4_backward##suffix(int64_t B, int64_t T, int64_t C, int threads, const Real* k,          \
                            const Real* v, const double* w, const Real* u, const Real* saved,     \
                            const Real* dy, const Real* dnum2, const Real* dden2, Real* dk,       \
                            Real* dv, double* dw, Real* du, Real* dnum, Real* dden) {             \
    const Backward<Real> d{k, v, u, saved, dy, dnum2, dden2, w, dk, dv, dnum, dden,               \
                           nullptr, nullptr};                                                     \
    return backward<M>({B, T, C}, threads, d, dw, du);                                            \
  }

extern "C" {

int wkv4_lanes() { return Single::kLanes; }

WKV4_EXPORT(, Single, float)
WKV4_EXPORT(_f64, Double, double)

}  // extern "C"
