// WKV-7 forward and backward on a CPU; knows nothing about torch, models or text.
//
// B batch, T steps, H heads, N head size, S is N x N as [value][key]. Per step
//   u = S a;   S <- S diag(exp(logw)) + u b^T + v k^T;   y = S r
// Tensors are (B,T,H,N) and states (B,H,N,N), contiguous, all float32 or all float64. Plain C
// interface at the end.
//
// Every pass below, forward and backward, is one primitive (`step`): a rank-2 update of an N x N
// matrix followed by two matrix-vector products. README.md beside this file derives it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "jobs.h"

namespace {

using jobs::kCacheLine;

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kBlock = 2;  // vectors of a row that go through the inner loop together: 16 registers

constexpr int kChunk = 16;         // steps between rescalings; also the spacing of the anchors
constexpr int kFew = 8;            // steps up to which the plain row-wise form is quicker
constexpr double kTame = 1.6875;  // |logw| up to which kChunk steps stay inside e^+-27

// `bytes` of numbers in a register, and of integers of the same size.
template <class Real, int bytes> struct Simd {
  typedef Real F __attribute__((vector_size(bytes)));
  using Integer = std::conditional_t<sizeof(Real) == 4, int32_t, int64_t>;
  typedef Integer I __attribute__((vector_size(bytes)));
};

template <class Real, int N> struct Shape {
  static constexpr int kLanes = kBytes / sizeof(Real), kLine = kCacheLine / sizeof(Real);
  static constexpr int W = N < kLanes ? N : kLanes;
  static constexpr int E = N / W < kBlock ? N / W : kBlock;
  static_assert(N % (W * E) == 0, "head size must be a whole number of blocks");
  using F = typename Simd<Real, W * sizeof(Real)>::F;
  using I = typename Simd<Real, W * sizeof(Real)>::I;
};

template <class F, class Real> inline F load(const Real* p) {
  F x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class F, class Real> inline void store(Real* p, F x) { std::memcpy(p, &x, sizeof x); }

// exp for |x| <= kTame, about 1 ulp: x = n ln2 + f, polynomial in f, n into the exponent.
template <class F, class I> inline F exp_tame_single(F x) {
  const float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  F shifted = x * 1.44269504088896341f + kMagic;
  F n = shifted - kMagic;
  F f = x - n * 0.693359375f;
  f = f + n * 2.12194440e-4f;
  F p = f * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  I bits, base;
  const F magic = F{} + kMagic;
  std::memcpy(&bits, &shifted, sizeof bits);
  std::memcpy(&base, &magic, sizeof base);
  I power = (bits - base + 127) << 23;
  F scale;
  std::memcpy(&scale, &power, sizeof scale);
  return p * scale;
}

// The same in double precision: e^f from its series.
template <class F, class I> inline F exp_tame_double(F x) {
  constexpr int kTerms = 13;
  double inverse[kTerms + 1] = {1.0};  // 1 / n!
  for (int n = 1; n <= kTerms; ++n) inverse[n] = inverse[n - 1] / n;
  const double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  const F n = (x * 1.4426950408889634 + kMagic) - kMagic;
  const F f = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10;
  F p = F{} + inverse[kTerms];
#pragma GCC unroll 16
  for (int i = kTerms - 1; i >= 2; --i) p = p * f + inverse[i];
  p = p * f * f + f + 1.0;
  const I power = (__builtin_convertvector(n, I) + 1023) << 52;
  F scale;
  std::memcpy(&scale, &power, sizeof scale);
  return p * scale;
}
template <class Real, class F, class I> inline F exp_tame(F x) {
  if constexpr (sizeof(Real) == 4) {
    return exp_tame_single<F, I>(x);
  } else {
    return exp_tame_double<F, I>(x);
  }
}

// Whether |logw| <= kTame throughout `steps` rows that lie `stride` apart; NaN is not tame.
template <int N, class Real> inline bool tame(const Real* logw, std::size_t stride, int steps) {
  using F = typename Shape<Real, N>::F;
  using I = typename Shape<Real, N>::I;
  constexpr int W = Shape<Real, N>::W;
  I outside{};
  for (int n = 0; n < steps; ++n)
    for (int j = 0; j < N; j += W) {
      const F w = load<F>(logw + n * stride + j);
      outside |= ~((w <= F{} + static_cast<Real>(kTame)) & (w >= F{} - static_cast<Real>(kTame)));
    }
  typename Simd<Real, sizeof(F)>::Integer any = 0;
  for (int l = 0; l < W; ++l) any |= outside[l];
  return any == 0;
}

// M[j][:] += p[j] x + q[j] z;  out1 = sum_j g[j] M[j][:];  out2 = sum_j h[j] M[j][:].
template <int N, class Real>
inline void step(Real* __restrict M, const Real* x, const Real* p, const Real* z,
                 const Real* q, const Real* g, const Real* h, Real* out1, Real* out2) {
  using F = typename Shape<Real, N>::F;
  constexpr int W = Shape<Real, N>::W, E = Shape<Real, N>::E;
  for (int c = 0; c < N; c += W * E) {
    F X[E], Z[E], sum1[E], sum2[E];
    for (int e = 0; e < E; ++e) {
      X[e] = load<F>(x + c + e * W);
      Z[e] = load<F>(z + c + e * W);
      sum1[e] = F{};
      sum2[e] = F{};
    }
    for (int j = 0; j < N; ++j) {
      Real* row = M + j * N + c;
      const Real pj = p[j], qj = q[j], gj = g[j], hj = h[j];
      for (int e = 0; e < E; ++e) {
        F m = load<F>(row + e * W);
        m += X[e] * pj;
        m += Z[e] * qj;
        store(row + e * W, m);
        sum1[e] += m * gj;
        sum2[e] += m * hj;
      }
    }
    for (int e = 0; e < E; ++e) {
      store(out1 + c + e * W, sum1[e]);
      store(out2 + c + e * W, sum2[e]);
    }
  }
}

// out = sum_j g[j] M[j][:]
template <int N, class Real> void product(const Real* M, const Real* g, Real* out) {
  for (int i = 0; i < N; ++i) out[i] = Real(0);
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) out[i] += M[j * N + i] * g[j];
}

template <int N, class Real> void scale_rows(Real* M, const Real* c) {  // M[j][:] *= c[j]
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) M[j * N + i] *= c[j];
}
template <int N, class Real> void scale_columns(Real* M, const Real* c) {  // M[:][j] *= c[j]
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) M[i * N + j] *= c[j];
}
template <int N, class Real> void transpose(const Real* from, Real* to) {
  constexpr int T = N < 16 ? N : 16;  // tiles, so that both sides stay in a few cache lines
  for (int i0 = 0; i0 < N; i0 += T)
    for (int j0 = 0; j0 < N; j0 += T)
      for (int i = i0; i < i0 + T; ++i)
        for (int j = j0; j < j0 + T; ++j) to[j * N + i] = from[i * N + j];
}

template <class Real> struct Forward {
  const Real *r, *logw, *k, *v, *a, *b, *state;
  Real *y, *state2, *u;  // u may be null: nobody will differentiate
};
template <class Real> struct Backward {
  const Real *r, *logw, *k, *v, *a, *b, *state, *u, *dy, *dstate2;
  Real *dr, *dlogw, *dk, *dv, *da, *db, *dstate;
};

// One head's rows inside a (B,T,H,N) tensor.
struct Rows {
  std::size_t first, stride;
  std::size_t at(int64_t t) const { return first + static_cast<std::size_t>(t) * stride; }
};

// A chunk's inputs with the decay divided out. P is the decay since the last rescaling, so the
// kept matrix is S diag(1/P). `reset` marks the steps before which it is multiplied by `c`.
template <int N, class Real> struct alignas(kCacheLine) Chunk {
  using F = typename Shape<Real, N>::F;
  using I = typename Shape<Real, N>::I;
  static constexpr int W = Shape<Real, N>::W;
  Real P[kChunk][N], inverse[kChunk][N], c[kChunk][N];
  Real r[kChunk][N], k[kChunk][N], b[kChunk][N];
  Real a_next[kChunk][N];  // of the step after; zero after the last one
  bool reset[kChunk];

  // `carried` (N) is P after the step before t0 and becomes P after step t1 - 1. A chunk whose
  // decays could leave float32's range is rescaled at every step: plain recurrence, always safe.
  void prepare(const Rows& rows, const Real* r_in, const Real* logw, const Real* k_in,
               const Real* a, const Real* b_in, int64_t t0, int64_t t1, int64_t T,
               Real* carried) {
    const int steps = static_cast<int>(t1 - t0);
    const bool wild = !tame<N>(logw + rows.at(t0), rows.stride, steps);
    for (int n = 0; n < steps; ++n) reset[n] = n == 0 || wild;
    for (int j = 0; j < N; j += W) {
      F decayed = load<F>(carried + j);
      const std::size_t first = rows.at(t0) + j;
      if (wild) {
        for (int n = 0; n < steps; ++n) {
          const Real* w = logw + first + n * rows.stride;
          for (int l = 0; l < W; ++l) c[n][j + l] = decayed[l] * std::exp(w[l]);
          decayed = F{} + Real(1);
          store(P[n] + j, decayed);
        }
      } else {
        store(c[0] + j, decayed * exp_tame<Real, F, I>(load<F>(logw + first)));
        decayed = F{} + Real(1);
        store(P[0] + j, decayed);
        for (int n = 1; n < steps; ++n) {
          decayed *= exp_tame<Real, F, I>(load<F>(logw + first + n * rows.stride));
          store(P[n] + j, decayed);
        }
      }
      store(carried + j, decayed);
      for (int n = 0; n < steps; ++n) {
        const std::size_t at = first + n * rows.stride;
        const F p = load<F>(P[n] + j), inv = Real(1) / p;
        store(inverse[n] + j, inv);
        store(r[n] + j, load<F>(r_in + at) * p);
        store(k[n] + j, load<F>(k_in + at) * inv);
        store(b[n] + j, load<F>(b_in + at) * inv);
        store(a_next[n] + j, t0 + n + 1 < T ? load<F>(a + at + rows.stride) * p : F{});
      }
    }
  }
};

// Rows a chunk ahead are fetched while a step computes: a head's rows lie H * N floats apart,
// which the hardware's own prefetching doesn't follow well.
template <int N, class Real>
inline void fetch(std::size_t row, std::initializer_list<const Real*> from) {
  for (const Real* x : from)
    for (int j = 0; j < N; j += Shape<Real, N>::kLine) __builtin_prefetch(x + row + j);
}
template <int N, class Real>
inline void fetch_to_write(std::size_t row, std::initializer_list<Real*> to) {
  for (const Real* x : to)
    for (int j = 0; j < N; j += Shape<Real, N>::kLine) __builtin_prefetch(x + row + j, 1);
}

template <class Real> inline void set_ones(Real* x, int n) { std::fill(x, x + n, Real(1)); }

template <int N, class Real>
void forward_head(const Forward<Real>& f, int64_t T, int64_t H, int64_t job) {
  const Rows rows{static_cast<std::size_t>(((job / H) * T * H + job % H) * N),
                  static_cast<std::size_t>(H * N)};
  alignas(kCacheLine) Real M[N * N];  // [key][value]: sums over keys need no horizontal adds
  alignas(kCacheLine) Real carried[N], spare[2][N];
  Chunk<N, Real> x;
  set_ones(carried, N);
  transpose<N>(f.state + job * N * N, M);
  // u of step t is made at step t - 1, while M passes through the registers anyway.
  Real* u = f.u ? f.u + rows.at(0) : spare[0];
  product<N>(M, f.a + rows.at(0), u);
  for (int64_t t0 = 0; t0 < T; t0 += kChunk) {
    const int64_t t1 = std::min(T, t0 + kChunk);
    x.prepare(rows, f.r, f.logw, f.k, f.a, f.b, t0, t1, T, carried);
    for (int64_t t = t0; t < t1; ++t) {
      const int n = static_cast<int>(t - t0);
      Real* u_next = f.u && t + 1 < T ? f.u + rows.at(t + 1) : spare[(t + 1) & 1];
      if (t + kChunk < T) {
        const std::size_t ahead = rows.at(t + kChunk);
        fetch<N, Real>(ahead, {f.r, f.logw, f.k, f.v, f.a, f.b});
        fetch_to_write<N, Real>(ahead, {f.y});
        if (f.u) fetch_to_write<N, Real>(ahead, {f.u});
      }
      if (x.reset[n]) scale_rows<N>(M, x.c[n]);
      step<N>(M, u, x.b[n], f.v + rows.at(t), x.k[n], x.r[n], x.a_next[n], f.y + rows.at(t),
              u_next);
      u = u_next;
    }
  }
  scale_rows<N>(M, carried);
  transpose<N>(M, f.state2 + job * N * N);
}

template <class Real, int W> inline Real sum_lanes(typename Simd<Real, W * sizeof(Real)>::F x) {
  if constexpr (W == 2) {
    return x[0] + x[1];
  } else if constexpr (W == 4) {
    return (x[0] + x[2]) + (x[1] + x[3]);
  } else {
    typename Simd<Real, W / 2 * sizeof(Real)>::F half[2];
    std::memcpy(half, &x, sizeof x);
    return sum_lanes<Real, W / 2>(half[0] + half[1]);
  }
}

// The recurrence as written, row by row where the state lies: a few steps of play don't repay two
// transpositions.
template <int N, class Real>
void forward_rows(const Forward<Real>& f, int64_t T, int64_t H, int64_t job) {
  using F = typename Shape<Real, N>::F;
  using I = typename Shape<Real, N>::I;
  constexpr int W = Shape<Real, N>::W, V = N / W;
  const Rows rows{static_cast<std::size_t>(((job / H) * T * H + job % H) * N),
                  static_cast<std::size_t>(H * N)};
  const Real* from = f.state + job * N * N;
  Real* S = f.state2 + job * N * N;
  for (int64_t t = 0; t < T; ++t, from = S) {
    const std::size_t at = rows.at(t);
    alignas(kCacheLine) Real w[N];
    if (tame<N>(f.logw + at, 0, 1)) {
      for (int j = 0; j < N; j += W) store(w + j, exp_tame<Real, F, I>(load<F>(f.logw + at + j)));
    } else {
      for (int j = 0; j < N; ++j) w[j] = std::exp(f.logw[at + j]);
    }
    for (int i = 0; i < N; ++i) {
      F row[V], sum{};
      for (int e = 0; e < V; ++e) {
        row[e] = load<F>(from + i * N + e * W);
        sum += row[e] * load<F>(f.a + at + e * W);
      }
      const Real u = sum_lanes<Real, W>(sum), v = f.v[at + i];
      sum = F{};
      for (int e = 0; e < V; ++e) {
        row[e] *= load<F>(w + e * W);
        row[e] += load<F>(f.b + at + e * W) * u;
        row[e] += load<F>(f.k + at + e * W) * v;
        store(S + i * N + e * W, row[e]);
        sum += row[e] * load<F>(f.r + at + e * W);
      }
      f.y[at + i] = sum_lanes<Real, W>(sum);
      if (f.u) f.u[at + i] = u;
    }
  }
}

// First half of the backward pass: the gradient G of S runs from the end to the beginning, once as
// [key][value] for dv and du, once as [value][key] for dk and db. It needs u, never S.
template <int N, class Real>
void backward_gradient(const Backward<Real>& d, const Rows& rows, int64_t T, int64_t job, Real* du,
                       Real* anchors) {
  constexpr int NN = N * N;
  alignas(kCacheLine) Real by_key[NN], by_value[NN], before[N];
  Chunk<N, Real> pair[2];
  const int64_t last = (T - 1) / kChunk * kChunk;
  auto prepare = [&](Chunk<N, Real>& x, int64_t t0) {  // leaves P of the chunk's end in `before`
    set_ones(before, N);
    x.prepare(rows, d.r, d.logw, d.k, d.a, d.b, t0, std::min(T, t0 + kChunk), T, before);
  };
  prepare(pair[last / kChunk & 1], last);
  std::copy(d.dstate2 + job * NN, d.dstate2 + (job + 1) * NN, by_value);
  scale_columns<N>(by_value, before);
  transpose<N>(by_value, by_key);
  std::copy(by_value, by_value + NN, anchors + (last / kChunk) * NN);
  for (int64_t t0 = last; t0 >= 0; t0 -= kChunk) {
    const int64_t t1 = std::min(T, t0 + kChunk);
    Chunk<N, Real>& x = pair[t0 / kChunk & 1];
    if (t0 > 0) {
      prepare(pair[(t0 / kChunk - 1) & 1], t0 - kChunk);
      for (int j = 0; j < N; ++j) x.c[0][j] *= before[j];
    }
    for (int64_t t = t1 - 1; t >= t0; --t) {
      const int n = static_cast<int>(t - t0);
      const std::size_t row = rows.at(t);
      if (t >= kChunk) {
        const std::size_t ahead = rows.at(t - kChunk);
        fetch<N, Real>(ahead, {d.dy, d.v, d.u});
        fetch_to_write<N, Real>(ahead, {d.dk, d.dv, d.db});
        if (t >= 2 * kChunk) fetch<N, Real>(rows.at(t - 2 * kChunk), {d.r, d.logw, d.k, d.a, d.b});
      }
      step<N>(by_key, du + (t + 1) * N, x.a_next[n], d.dy + row, x.r[n], x.k[n], x.b[n],
              d.dv + row, du + t * N);
      if (x.reset[n]) scale_rows<N>(by_key, x.c[n]);
    }
    for (int64_t t = t1 - 1; t >= t0; --t) {
      const int n = static_cast<int>(t - t0);
      const std::size_t row = rows.at(t);
      step<N>(by_value, x.a_next[n], du + (t + 1) * N, x.r[n], d.dy + row, d.v + row, d.u + row,
              d.dk + row, d.db + row);
      for (int j = 0; j < N; ++j) {
        d.dk[row + j] *= x.inverse[n][j];
        d.db[row + j] *= x.inverse[n][j];
      }
      if (x.reset[n]) scale_columns<N>(by_value, x.c[n]);
    }
    if (t0 > 0) std::copy(by_value, by_value + NN, anchors + (t0 / kChunk - 1) * NN);
  }
  const Real* a0 = d.a + rows.at(0);
  Real* dstate = d.dstate + job * NN;
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) dstate[i * N + j] = by_value[i * N + j] + du[i] * a0[j];
}

// Second half: S runs forward again from the initial state, bit for bit as before since u is
// known, giving dr and da; the anchors give dlogw of a chunk's end, a scan gives the rest.
template <int N, class Real>
void backward_state(const Backward<Real>& d, const Rows& rows, int64_t T, int64_t job,
                    const Real* du, const Real* anchors) {
  constexpr int NN = N * N;
  alignas(kCacheLine) Real S[NN], carried[N], sum[N], unused[N];
  Chunk<N, Real> x;
  set_ones(carried, N);
  std::copy(d.state + job * NN, d.state + (job + 1) * NN, S);
  product<N>(S, du, d.da + rows.at(0));
  for (int64_t t0 = 0; t0 < T; t0 += kChunk) {
    const int64_t t1 = std::min(T, t0 + kChunk);
    x.prepare(rows, d.r, d.logw, d.k, d.a, d.b, t0, t1, T, carried);
    for (int64_t t = t0; t < t1; ++t) {
      const int n = static_cast<int>(t - t0);
      const std::size_t row = rows.at(t);
      Real* da_next = t + 1 < T ? d.da + rows.at(t + 1) : unused;
      if (t + kChunk < T) {
        const std::size_t ahead = rows.at(t + kChunk);
        fetch<N, Real>(ahead, {d.r, d.logw, d.k, d.v, d.a, d.b, d.u, d.dy, d.dk, d.db});
        fetch_to_write<N, Real>(ahead, {d.dr, d.dlogw, d.da});
      }
      if (x.reset[n]) scale_columns<N>(S, x.c[n]);
      step<N>(S, x.b[n], d.u + row, x.k[n], d.v + row, d.dy + row, du + (t + 1) * N, d.dr + row,
              da_next);
      for (int j = 0; j < N; ++j) {
        d.dr[row + j] *= x.P[n][j];
        da_next[j] *= x.P[n][j];
      }
    }
    // sum = S . G at the chunk's end, per key: dlogw of the step after. Going back one step adds
    // what that step's a and r read from S and takes away what its b and k wrote.
    const Real* anchor = anchors + (t0 / kChunk) * NN;
    std::fill(sum, sum + N, Real(0));
    for (int i = 0; i < N; ++i)
      for (int j = 0; j < N; ++j) sum[j] += S[i * N + j] * anchor[i * N + j];
    for (int64_t t = t1 - 1; t >= t0; --t) {
      const std::size_t row = rows.at(t);
      if (t + 1 < T) {
        const std::size_t next = rows.at(t + 1);
        for (int j = 0; j < N; ++j) sum[j] += d.a[next + j] * d.da[next + j];
      }
      for (int j = 0; j < N; ++j) {
        sum[j] += d.r[row + j] * d.dr[row + j] - d.b[row + j] * d.db[row + j] -
                  d.k[row + j] * d.dk[row + j];
        d.dlogw[row + j] = sum[j];
      }
    }
  }
}

template <int N, class Real>
void backward_head(const Backward<Real>& d, int64_t T, int64_t H, int64_t job, Real* scratch) {
  const Rows rows{static_cast<std::size_t>(((job / H) * T * H + job % H) * N),
                  static_cast<std::size_t>(H * N)};
  Real *du = scratch, *anchors = scratch + (T + 1) * N;
  std::fill(du + T * N, du + (T + 1) * N, Real(0));
  backward_gradient<N>(d, rows, T, job, du, anchors);
  backward_state<N>(d, rows, T, job, du, anchors);
}

// Starting a thread costs tens of microseconds: each gets at least some hundred's worth of work.
template <int N> int useful_threads(int threads, int64_t steps) {
  const int64_t worth = steps * N * N / (512 * 64 * 64);
  return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(threads, worth)));
}

template <int N, class Real>
int forward_all(const Forward<Real>& f, int64_t B, int64_t T, int64_t H, int threads) {
  const int useful = useful_threads<N>(threads, B * T * H);
  return jobs::spread<Real>(B * H, useful, 0, [&](int64_t job, Real*) {
    if (T <= kFew) {
      forward_rows<N>(f, T, H, job);
    } else {
      forward_head<N>(f, T, H, job);
    }
  });
}
template <int N, class Real>
int backward_all(const Backward<Real>& d, int64_t B, int64_t T, int64_t H, int threads) {
  const auto chunks = static_cast<std::size_t>((T + kChunk - 1) / kChunk);
  const std::size_t numbers = (static_cast<std::size_t>(T) + 1) * N + chunks * N * N;
  return jobs::spread<Real>(B * H, useful_threads<N>(threads, B * T * H), numbers,
                [&](int64_t job, Real* scratch) { backward_head<N>(d, T, H, job, scratch); });
}

}  // namespace

#ifndef WKV7_SIZES
#define WKV7_SIZES(CASE) CASE(8) CASE(16) CASE(32) CASE(64) CASE(128)
#endif
#define WKV7_FORWARD(n) if (N == n) return forward_all<n>(f, B, T, H, threads);
#define WKV7_BACKWARD(n) if (N == n) return backward_all<n>(d, B, T, H, threads);
#define WKV7_EXPORT(suffix, Real)                                                                 \
  int wkv7_forward##suffix(int64_t B, int64_t T, int64_t H, int64_t N, int threads, const Real* r, \
                           const Real* logw, const Real* k, const Real* v, const Real* a,         \
                           const Real* b, const Real* state, Real* y, Real* state2, Real* u) {    \
    const Forward<Real> f{r, logw, k, v, a, b, state, y, state2, u};                              \
    WKV7_SIZES(WKV7_FORWARD)                                                                      \
    return 2;                                                                                     \
  }                                                                                               \
  int wkv7_backward##suffix(int64_t B, int64_t T, int64_t H, int64_t N, int threads,              \
                            const Real* r, const Real* logw, const Real* k, const Real* v,        \
                            const Real* a, const Real* b, const Real* state, const Real* u,       \
                            const Real* dy, const Real* dstate2, Real* dr, Real* dlogw, Real* dk, \
                            Real* dv, Real* da, Real* db, Real* dstate) {                         \
    const Backward<Real> d{r,  logw,    k,  v,     a,  b,  state, u,  dy,                         \
                           dstate2, dr, dlogw, dk, dv, da,    db, dstate};                        \
    WKV7_SIZES(WKV7_BACKWARD)                                                                     \
    return 2;                                                                                     \
  }

// All return 0 on success, 1 when memory ran out, 2 for a head size that isn't built in. T >= 1.
extern "C" {

int wkv7_lanes() { return kBytes / sizeof(float); }

WKV7_EXPORT(, float)
WKV7_EXPORT(_f64, double)

}  // extern "C"
