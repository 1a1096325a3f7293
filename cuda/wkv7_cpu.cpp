// WKV-7 forward and backward on a CPU; knows nothing about torch, models or text.
//
// B batch, T steps, H heads, N head size. S is N x N as [value][key], kept in float32. Per step
//   u = S a;   S <- S diag(exp(logw)) + u b^T + v k^T;   y = S r
// Tensors are (B,T,H,N) and states (B,H,N,N), contiguous, float32. Plain C interface at the end.
//
// Every pass below, forward and backward, is one primitive (`step`): a rank-2 update of an N x N
// matrix followed by two matrix-vector products. README.md beside this file derives it.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <new>
#include <thread>
#include <vector>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kBlock = 2;
#elif defined(__AVX__)
constexpr int kLanes = 8, kBlock = 2;  // 16 registers
#else
constexpr int kLanes = 4, kBlock = 2;
#endif

constexpr int kChunk = 16;         // steps between rescalings; also the spacing of the anchors
constexpr int kFew = 8;            // steps up to which the plain row-wise form is quicker
constexpr float kTame = 1.6875f;   // |logw| up to which kChunk steps stay inside e^+-27
constexpr int kCacheLine = 64;

template <int W> struct Simd;
template <> struct Simd<4> {
  typedef float F __attribute__((vector_size(16)));
  typedef int32_t I __attribute__((vector_size(16)));
};
template <> struct Simd<8> {
  typedef float F __attribute__((vector_size(32)));
  typedef int32_t I __attribute__((vector_size(32)));
};
template <> struct Simd<16> {
  typedef float F __attribute__((vector_size(64)));
  typedef int32_t I __attribute__((vector_size(64)));
};

template <int N> struct Shape {
  static constexpr int W = N < kLanes ? N : kLanes;
  static constexpr int E = N / W < kBlock ? N / W : kBlock;
  static_assert(N % (W * E) == 0, "head size must be a whole number of blocks");
  using F = typename Simd<W>::F;
  using I = typename Simd<W>::I;
};

template <class F> inline F load(const float* p) {
  F x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class F> inline void store(float* p, F x) { std::memcpy(p, &x, sizeof x); }

// Denormal numbers cost hundreds of cycles on some CPUs and mean nothing here: flush them.
class FlushDenormals {
#if defined(__SSE2__)
  unsigned saved_ = _mm_getcsr();
 public:
  FlushDenormals() { _mm_setcsr(saved_ | 0x8040u); }
  ~FlushDenormals() { _mm_setcsr(saved_); }
#else
 public:
  FlushDenormals() {}
#endif
};

// exp for |x| <= kTame, about 1 ulp: x = n ln2 + f, polynomial in f, n into the exponent.
template <class F, class I> inline F exp_tame(F x) {
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

// Whether |logw| <= kTame throughout `steps` rows that lie `stride` apart; NaN is not tame.
template <int N> inline bool tame(const float* logw, std::size_t stride, int steps) {
  using F = typename Shape<N>::F;
  using I = typename Shape<N>::I;
  constexpr int W = Shape<N>::W;
  I outside{};
  for (int n = 0; n < steps; ++n)
    for (int j = 0; j < N; j += W) {
      const F w = load<F>(logw + n * stride + j);
      outside |= ~((w <= F{} + kTame) & (w >= F{} - kTame));
    }
  int32_t any = 0;
  for (int l = 0; l < W; ++l) any |= outside[l];
  return any == 0;
}

// M[j][:] += p[j] x + q[j] z;  out1 = sum_j g[j] M[j][:];  out2 = sum_j h[j] M[j][:].
template <int N>
inline void step(float* __restrict M, const float* x, const float* p, const float* z,
                 const float* q, const float* g, const float* h, float* out1, float* out2) {
  using F = typename Shape<N>::F;
  constexpr int W = Shape<N>::W, E = Shape<N>::E;
  for (int c = 0; c < N; c += W * E) {
    F X[E], Z[E], sum1[E], sum2[E];
    for (int e = 0; e < E; ++e) {
      X[e] = load<F>(x + c + e * W);
      Z[e] = load<F>(z + c + e * W);
      sum1[e] = F{};
      sum2[e] = F{};
    }
    for (int j = 0; j < N; ++j) {
      float* row = M + j * N + c;
      const float pj = p[j], qj = q[j], gj = g[j], hj = h[j];
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
template <int N> void product(const float* M, const float* g, float* out) {
  for (int i = 0; i < N; ++i) out[i] = 0.0f;
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) out[i] += M[j * N + i] * g[j];
}

template <int N> void scale_rows(float* M, const float* c) {  // M[j][:] *= c[j]
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) M[j * N + i] *= c[j];
}
template <int N> void scale_columns(float* M, const float* c) {  // M[:][j] *= c[j]
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) M[i * N + j] *= c[j];
}
template <int N> void transpose(const float* from, float* to) {
  constexpr int T = N < 16 ? N : 16;  // tiles, so that both sides stay in a few cache lines
  for (int i0 = 0; i0 < N; i0 += T)
    for (int j0 = 0; j0 < N; j0 += T)
      for (int i = i0; i < i0 + T; ++i)
        for (int j = j0; j < j0 + T; ++j) to[j * N + i] = from[i * N + j];
}

struct Forward {
  const float *r, *logw, *k, *v, *a, *b, *state;
  float *y, *state2, *u;  // u may be null: nobody will differentiate
};
struct Backward {
  const float *r, *logw, *k, *v, *a, *b, *state, *u, *dy, *dstate2;
  float *dr, *dlogw, *dk, *dv, *da, *db, *dstate;
};

// One head's rows inside a (B,T,H,N) tensor.
struct Rows {
  std::size_t first, stride;
  std::size_t at(int64_t t) const { return first + static_cast<std::size_t>(t) * stride; }
};

// A chunk's inputs with the decay divided out. P is the decay since the last rescaling, so the
// kept matrix is S diag(1/P). `reset` marks the steps before which it is multiplied by `c`.
template <int N> struct alignas(kCacheLine) Chunk {
  using F = typename Shape<N>::F;
  using I = typename Shape<N>::I;
  static constexpr int W = Shape<N>::W;
  float P[kChunk][N], inverse[kChunk][N], c[kChunk][N];
  float r[kChunk][N], k[kChunk][N], b[kChunk][N];
  float a_next[kChunk][N];  // of the step after; zero after the last one
  bool reset[kChunk];

  // `carried` (N) is P after the step before t0 and becomes P after step t1 - 1. A chunk whose
  // decays could leave float32's range is rescaled at every step: plain recurrence, always safe.
  void prepare(const Rows& rows, const float* r_in, const float* logw, const float* k_in,
               const float* a, const float* b_in, int64_t t0, int64_t t1, int64_t T,
               float* carried) {
    const int steps = static_cast<int>(t1 - t0);
    const bool wild = !tame<N>(logw + rows.at(t0), rows.stride, steps);
    for (int n = 0; n < steps; ++n) reset[n] = n == 0 || wild;
    for (int j = 0; j < N; j += W) {
      F decayed = load<F>(carried + j);
      const std::size_t first = rows.at(t0) + j;
      if (wild) {
        for (int n = 0; n < steps; ++n) {
          const float* w = logw + first + n * rows.stride;
          for (int l = 0; l < W; ++l) c[n][j + l] = decayed[l] * std::exp(w[l]);
          decayed = F{} + 1.0f;
          store(P[n] + j, decayed);
        }
      } else {
        store(c[0] + j, decayed * exp_tame<F, I>(load<F>(logw + first)));
        decayed = F{} + 1.0f;
        store(P[0] + j, decayed);
        for (int n = 1; n < steps; ++n) {
          decayed *= exp_tame<F, I>(load<F>(logw + first + n * rows.stride));
          store(P[n] + j, decayed);
        }
      }
      store(carried + j, decayed);
      for (int n = 0; n < steps; ++n) {
        const std::size_t at = first + n * rows.stride;
        const F p = load<F>(P[n] + j), inv = 1.0f / p;
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
template <int N> inline void fetch(std::size_t row, std::initializer_list<const float*> from) {
  for (const float* x : from)
    for (int j = 0; j < N; j += kCacheLine / 4) __builtin_prefetch(x + row + j);
}
template <int N> inline void fetch_to_write(std::size_t row, std::initializer_list<float*> to) {
  for (const float* x : to)
    for (int j = 0; j < N; j += kCacheLine / 4) __builtin_prefetch(x + row + j, 1);
}

// Scratch memory that starts on a cache line; one for each thread.
class Scratch {
  float* data_;
 public:
  explicit Scratch(std::size_t n)
      : data_(static_cast<float*>(::operator new(n * sizeof(float) + kCacheLine))) {}
  ~Scratch() { ::operator delete(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* begin() const {
    const auto p = reinterpret_cast<uintptr_t>(data_);
    return reinterpret_cast<float*>((p + kCacheLine - 1) / kCacheLine * kCacheLine);
  }
};

inline void set_ones(float* x, int n) { std::fill(x, x + n, 1.0f); }

template <int N>
void forward_head(const Forward& f, int64_t T, int64_t H, int64_t job) {
  const Rows rows{static_cast<std::size_t>(((job / H) * T * H + job % H) * N),
                  static_cast<std::size_t>(H * N)};
  alignas(kCacheLine) float M[N * N];  // [key][value]: sums over keys need no horizontal adds
  alignas(kCacheLine) float carried[N], spare[2][N];
  Chunk<N> x;
  set_ones(carried, N);
  transpose<N>(f.state + job * N * N, M);
  // u of step t is made at step t - 1, while M passes through the registers anyway.
  float* u = f.u ? f.u + rows.at(0) : spare[0];
  product<N>(M, f.a + rows.at(0), u);
  for (int64_t t0 = 0; t0 < T; t0 += kChunk) {
    const int64_t t1 = std::min(T, t0 + kChunk);
    x.prepare(rows, f.r, f.logw, f.k, f.a, f.b, t0, t1, T, carried);
    for (int64_t t = t0; t < t1; ++t) {
      const int n = static_cast<int>(t - t0);
      float* u_next = f.u && t + 1 < T ? f.u + rows.at(t + 1) : spare[(t + 1) & 1];
      if (t + kChunk < T) {
        const std::size_t ahead = rows.at(t + kChunk);
        fetch<N>(ahead, {f.r, f.logw, f.k, f.v, f.a, f.b});
        fetch_to_write<N>(ahead, {f.y});
        if (f.u) fetch_to_write<N>(ahead, {f.u});
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

template <int W> inline float sum_lanes(typename Simd<W>::F x) {
  if constexpr (W == 4) {
    return (x[0] + x[2]) + (x[1] + x[3]);
  } else {
    typename Simd<W / 2>::F half[2];
    std::memcpy(half, &x, sizeof x);
    return sum_lanes<W / 2>(half[0] + half[1]);
  }
}

// The recurrence as written, row by row where the state lies: a few steps of play don't repay two
// transpositions.
template <int N>
void forward_rows(const Forward& f, int64_t T, int64_t H, int64_t job) {
  using F = typename Shape<N>::F;
  using I = typename Shape<N>::I;
  constexpr int W = Shape<N>::W, V = N / W;
  const Rows rows{static_cast<std::size_t>(((job / H) * T * H + job % H) * N),
                  static_cast<std::size_t>(H * N)};
  const float* from = f.state + job * N * N;
  float* S = f.state2 + job * N * N;
  for (int64_t t = 0; t < T; ++t, from = S) {
    const std::size_t at = rows.at(t);
    alignas(kCacheLine) float w[N];
    if (tame<N>(f.logw + at, 0, 1)) {
      for (int j = 0; j < N; j += W) store(w + j, exp_tame<F, I>(load<F>(f.logw + at + j)));
    } else {
      for (int j = 0; j < N; ++j) w[j] = std::exp(f.logw[at + j]);
    }
    for (int i = 0; i < N; ++i) {
      F row[V], sum{};
      for (int e = 0; e < V; ++e) {
        row[e] = load<F>(from + i * N + e * W);
        sum += row[e] * load<F>(f.a + at + e * W);
      }
      const float u = sum_lanes<W>(sum), v = f.v[at + i];
      sum = F{};
      for (int e = 0; e < V; ++e) {
        row[e] *= load<F>(w + e * W);
        row[e] += load<F>(f.b + at + e * W) * u;
        row[e] += load<F>(f.k + at + e * W) * v;
        store(S + i * N + e * W, row[e]);
        sum += row[e] * load<F>(f.r + at + e * W);
      }
      f.y[at + i] = sum_lanes<W>(sum);
      if (f.u) f.u[at + i] = u;
    }
  }
}

// First half of the backward pass: the gradient G of S runs from the end to the beginning, once as
// [key][value] for dv and du, once as [value][key] for dk and db. It needs u, never S.
template <int N>
void backward_gradient(const Backward& d, const Rows& rows, int64_t T, int64_t job, float* du,
                       float* anchors) {
  constexpr int NN = N * N;
  alignas(kCacheLine) float by_key[NN], by_value[NN], before[N];
  Chunk<N> pair[2];
  const int64_t last = (T - 1) / kChunk * kChunk;
  auto prepare = [&](Chunk<N>& x, int64_t t0) {  // leaves P of the chunk's end in `before`
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
    Chunk<N>& x = pair[t0 / kChunk & 1];
    if (t0 > 0) {
      prepare(pair[(t0 / kChunk - 1) & 1], t0 - kChunk);
      for (int j = 0; j < N; ++j) x.c[0][j] *= before[j];
    }
    for (int64_t t = t1 - 1; t >= t0; --t) {
      const int n = static_cast<int>(t - t0);
      const std::size_t row = rows.at(t);
      if (t >= kChunk) {
        const std::size_t ahead = rows.at(t - kChunk);
        fetch<N>(ahead, {d.dy, d.v, d.u});
        fetch_to_write<N>(ahead, {d.dk, d.dv, d.db});
        if (t >= 2 * kChunk) fetch<N>(rows.at(t - 2 * kChunk), {d.r, d.logw, d.k, d.a, d.b});
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
  const float* a0 = d.a + rows.at(0);
  float* dstate = d.dstate + job * NN;
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) dstate[i * N + j] = by_value[i * N + j] + du[i] * a0[j];
}

// Second half: S runs forward again from the initial state, bit for bit as before since u is
// known, giving dr and da; the anchors give dlogw of a chunk's end, a scan gives the rest.
template <int N>
void backward_state(const Backward& d, const Rows& rows, int64_t T, int64_t job, const float* du,
                    const float* anchors) {
  constexpr int NN = N * N;
  alignas(kCacheLine) float S[NN], carried[N], sum[N], unused[N];
  Chunk<N> x;
  set_ones(carried, N);
  std::copy(d.state + job * NN, d.state + (job + 1) * NN, S);
  product<N>(S, du, d.da + rows.at(0));
  for (int64_t t0 = 0; t0 < T; t0 += kChunk) {
    const int64_t t1 = std::min(T, t0 + kChunk);
    x.prepare(rows, d.r, d.logw, d.k, d.a, d.b, t0, t1, T, carried);
    for (int64_t t = t0; t < t1; ++t) {
      const int n = static_cast<int>(t - t0);
      const std::size_t row = rows.at(t);
      float* da_next = t + 1 < T ? d.da + rows.at(t + 1) : unused;
      if (t + kChunk < T) {
        const std::size_t ahead = rows.at(t + kChunk);
        fetch<N>(ahead, {d.r, d.logw, d.k, d.v, d.a, d.b, d.u, d.dy, d.dk, d.db});
        fetch_to_write<N>(ahead, {d.dr, d.dlogw, d.da});
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
    const float* anchor = anchors + (t0 / kChunk) * NN;
    std::fill(sum, sum + N, 0.0f);
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

template <int N>
void backward_head(const Backward& d, int64_t T, int64_t H, int64_t job, float* scratch) {
  const Rows rows{static_cast<std::size_t>(((job / H) * T * H + job % H) * N),
                  static_cast<std::size_t>(H * N)};
  float *du = scratch, *anchors = scratch + (T + 1) * N;
  std::fill(du + T * N, du + (T + 1) * N, 0.0f);
  backward_gradient<N>(d, rows, T, job, du, anchors);
  backward_state<N>(d, rows, T, job, du, anchors);
}

// Runs work(0..jobs-1, scratch) on up to `threads` threads, each with `floats` of scratch memory.
// Returns 0, or 1 when memory ran out.
template <class Work>
int spread(int64_t jobs, int threads, std::size_t floats, const Work& work) {
  std::atomic<int64_t> next{0};
  std::atomic<int> failed{0};
  auto worker = [&] {
    FlushDenormals flush;
    try {
      const Scratch scratch(floats);
      for (int64_t job = next++; job < jobs; job = next++) work(job, scratch.begin());
    } catch (const std::bad_alloc&) {
      failed = 1;
    }
  };
  std::vector<std::thread> crew;
  try {
    const int64_t wanted = std::min<int64_t>(threads, jobs) - 1;
    for (int64_t n = 0; n < wanted; ++n) crew.emplace_back(worker);
  } catch (const std::exception&) {
    // The system gives no more threads: those already there and this one do the work.
  }
  worker();
  for (auto& member : crew) member.join();
  return failed;
}

// Starting a thread costs tens of microseconds: each gets at least some hundred's worth of work.
template <int N> int useful_threads(int threads, int64_t steps) {
  const int64_t worth = steps * N * N / (512 * 64 * 64);
  return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(threads, worth)));
}

template <int N> int forward_all(const Forward& f, int64_t B, int64_t T, int64_t H, int threads) {
  return spread(B * H, useful_threads<N>(threads, B * T * H), 0, [&](int64_t job, float*) {
    if (T <= kFew) {
      forward_rows<N>(f, T, H, job);
    } else {
      forward_head<N>(f, T, H, job);
    }
  });
}
template <int N>
int backward_all(const Backward& d, int64_t B, int64_t T, int64_t H, int threads) {
  const auto chunks = static_cast<std::size_t>((T + kChunk - 1) / kChunk);
  const std::size_t floats = (static_cast<std::size_t>(T) + 1) * N + chunks * N * N;
  return spread(B * H, useful_threads<N>(threads, B * T * H), floats,
                [&](int64_t job, float* scratch) { backward_head<N>(d, T, H, job, scratch); });
}

}  // namespace

#define ADVENTURE_SIZES(CASE) CASE(8) CASE(16) CASE(32) CASE(64) CASE(128)

// All return 0 on success, 1 when memory ran out, 2 for a head size that isn't built in. T >= 1.
extern "C" {

int wkv7_lanes() { return kLanes; }

int wkv7_forward(int64_t B, int64_t T, int64_t H, int64_t N, int threads, const float* r,
                 const float* logw, const float* k, const float* v, const float* a, const float* b,
                 const float* state, float* y, float* state2, float* u) {
  const Forward f{r, logw, k, v, a, b, state, y, state2, u};
#define CASE(n) if (N == n) return forward_all<n>(f, B, T, H, threads);
  ADVENTURE_SIZES(CASE)
#undef CASE
  return 2;
}

int wkv7_backward(int64_t B, int64_t T, int64_t H, int64_t N, int threads, const float* r,
                  const float* logw, const float* k, const float* v, const float* a,
                  const float* b, const float* state, const float* u, const float* dy,
                  const float* dstate2, float* dr, float* dlogw, float* dk, float* dv, float* da,
                  float* db, float* dstate) {
  const Backward d{r,  logw, k,     v,  a,  b,  state, u,      dy,
                   dstate2, dr, dlogw, dk, dv, da, db,    dstate};
#define CASE(n) if (N == n) return backward_all<n>(d, B, T, H, threads);
  ADVENTURE_SIZES(CASE)
#undef CASE
  return 2;
}

}  // extern "C"
