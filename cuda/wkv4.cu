// WKV-4 forward and backward on a GPU; knows nothing of torch, layers or text.
//
// B batch, T tokens, C channels. k, v, y and their gradients are (B,T,C) of type IO, which is f32,
// bf16 or f16; the state num, den, exp is (B,C), float times 2^exp. One thread takes one channel of
// one batch row through a *segment* of the tokens; neighbours take neighbouring channels. With more
// than one segment (few channels, many tokens) the sums of each are made first and joined from
// segment to segment; backward alike. Before every CHUNK-th token the forward pass keeps its sums:
// from these the backward pass runs each chunk forward once more. wkv4_step.h has the arithmetic.
//
// -D: IO. Launched on rows of threads, any number; those without work leave at once.

#include "gpu.h"

#define WKV4_INLINE __device__ __forceinline__
#include "wkv4_step.h"

constexpr int CHUNK = 8;
constexpr int BLOCK = 128;

// Numbers of a thread, for wkv4_step.h.
struct Single {
    using Real = float;
    using F = float;
    using I = int;
    static constexpr int kMantissa = 23, kBias = 127;
    static constexpr double kLn2High = 355.0 / 512, kLn2Low = -2.1219444005469057e-4;
    static WKV4_INLINE int bits(float x) { return int(__float_as_uint(x)); }
    static WKV4_INLINE float from_bits(int x) { return __uint_as_float(uint32_t(x)); }
    static WKV4_INLINE float inverse(float x) { return fast_inverse(x); }
    static WKV4_INLINE float whole(float x) { return rintf(x); }
    static WKV4_INLINE int to_int(float x) { return int(x); }
    static WKV4_INLINE float exp_near(float x) { return fast_exp2(x * 1.44269504f); }
    // An exponent as a float of the same bits, moved to where no bits mean "not a number".
    static WKV4_INLINE float pack(int exp) { return from_bits(exp + (1 << 30)); }
    static WKV4_INLINE int unpack(float x) { return bits(x) - (1 << 30); }
};
using W = Wkv4<Single>;

// ---- decays -----------------------------------------------------------------------------------

// Rows of `rates`, each of C numbers. A decay has three: over one token, over a whole segment and
// over the last one. Exponents are packed.
enum { BONUS = 0, BONUS_EXP = 1, TOKEN = 2, SEGMENT = 5, LAST = 8, RATE_ROWS = 11 };

__device__ void decay_over(double tokens, double w, float* rates, long long C, long long c) {
    const double limit = 268435456.0, x = tokens * w;
    double whole = rint(x * 1.4426950408889634);
    whole = whole > -limit ? whole : -limit;  // in this order not a number becomes one
    whole = whole < limit ? whole : limit;
    const double decay = expm1((x - whole * 0.6931471803691238) - whole * 1.9082149292705877e-10);
    rates[c] = float(decay);
    rates[C + c] = float(decay - double(float(decay)));
    rates[2 * C + c] = Single::pack(int(whole));
}

// w (C) double, u (C): rates (RATE_ROWS, C). The only double precision: once a channel.
extern "C" __global__ void __launch_bounds__(BLOCK)
wkv4_rates(const double* w, const float* u, float* rates, long long C, long long segment,
           long long last) {
    const long long c = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (c >= C) return;
    const W::Power bonus = W::exp(u[c]);
    rates[BONUS * C + c] = bonus.m;
    rates[BONUS_EXP * C + c] = Single::pack(bonus.n);
    decay_over(1.0, w[c], rates + TOKEN * C, C, c);
    decay_over(double(segment), w[c], rates + SEGMENT * C, C, c);
    decay_over(double(last), w[c], rates + LAST * C, C, c);
}

__device__ __forceinline__ W::Rates rates_over(int over, const float* rates, long long C,
                                               long long c) {
    return {rates[over * C + c], rates[(over + 1) * C + c], rates[BONUS * C + c],
            Single::unpack(rates[(over + 2) * C + c]), Single::unpack(rates[BONUS_EXP * C + c])};
}

// ---- where a thread is ------------------------------------------------------------------------

struct Place {
    long long b, segment, c, C, T, segments;
    long long begin, end;  // tokens

    __device__ __forceinline__ long long token(long long t) const { return (b * T + t) * C + c; }
    __device__ __forceinline__ bool whole(long long t) const { return t + CHUNK <= end; }
    __device__ __forceinline__ long long state() const { return b * C + c; }
    // Of what is kept at chunks (B, chunks + 1, 3, C) or between segments (B, segments, 3, C).
    __device__ __forceinline__ long long chunk_at(long long chunk) const {
        return (b * ((T + CHUNK - 1) / CHUNK + 1) + chunk) * 3 * C + c;
    }
    __device__ __forceinline__ long long segment_at(long long s) const {
        return (b * segments + s) * 3 * C + c;
    }
};

// The thread's channel of (B, segments, C), segments from..to-1 alone; false where there is none.
__device__ __forceinline__ bool find(Place& at, long long B, long long T, long long C,
                                     long long tokens, long long segments, long long from,
                                     long long to) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= B * (to - from) * C) return false;
    at.c = i % C;
    at.segment = i / C % (to - from) + from;
    at.b = i / C / (to - from);
    at.C = C;
    at.T = T;
    at.segments = segments;
    at.begin = at.segment * tokens;
    at.end = at.begin + tokens < T ? at.begin + tokens : T;
    return true;
}

__device__ __forceinline__ W::Sums kept(const float* from, long long at, long long C) {
    return {from[at], from[at + C], Single::unpack(from[at + 2 * C])};
}
__device__ __forceinline__ void keep(float* to, long long at, long long C, float first,
                                     float second, int exp) {
    to[at] = first;
    to[at + C] = second;
    to[at + 2 * C] = Single::pack(exp);
}

// A chunk's rows of one tensor, asked for together so that memory answers them together. Only the
// last chunk of all may not be WHOLE: the others are spared a question a token.
struct Rows {
    IO x[CHUNK];

    template <bool WHOLE>
    __device__ __forceinline__ void fetch(const IO* from, const Place& at, long long t) {
        const IO* row = from + at.token(t);
        const int stride = int(at.C);
#pragma unroll
        for (int i = 0; i < CHUNK; ++i)
            if (WHOLE || t + i < at.end) x[i] = row[i * stride];
    }
    __device__ __forceinline__ void fetch(const IO* from, const Place& at, long long t) {
        if (at.whole(t)) {
            fetch<true>(from, at, t);
        } else {
            fetch<false>(from, at, t);
        }
    }
};

// ---- forward ----------------------------------------------------------------------------------

// Sums of the segments by themselves, but for the last: between (B, segments, 3, C).
extern "C" __global__ void __launch_bounds__(BLOCK)
wkv4_sums(const IO* k, const IO* v, const float* rates, float* between, long long B, long long T,
          long long C, long long tokens, long long segments) {
    Place at;
    if (!find(at, B, T, C, tokens, segments, 0, segments - 1)) return;
    const W::Rates rate = rates_over(TOKEN, rates, C, at.c);
    W::Sums s = {0.0f, 0.0f, -(1 << 30)};
    W::Lost lost;
    Rows ks, vs;
    for (long long t = at.begin; t < at.end; t += CHUNK) {
        ks.fetch<true>(k, at, t);
        vs.fetch<true>(v, at, t);
#pragma unroll
        for (int i = 0; i < CHUNK; ++i)
            W::add(W::exp(to_float(ks.x[i])), to_float(vs.x[i]), rate, s, lost);
        W::normalise(s, lost);
    }
    keep(between, at.segment_at(at.segment), C, s.num, s.den, s.exp);
}

// Turns those sums into the sums before each segment. As many are read at once as CHUNK.
extern "C" __global__ void __launch_bounds__(BLOCK)
wkv4_join(const float* num, const float* den, const int* exp, const float* rates, float* between,
          long long B, long long C, long long segments) {
    Place at;
    if (!find(at, B, 1, C, 1, segments, 0, 1)) return;
    const W::Rates rate = rates_over(SEGMENT, rates, C, at.c);
    W::Sums s = {num[at.state()], den[at.state()], exp[at.state()]};
    W::Lost lost;
    for (long long first = 0; first < segments; first += CHUNK) {
        W::Sums own[CHUNK];
#pragma unroll
        for (int i = 0; i < CHUNK; ++i)
            if (first + i + 1 < segments) own[i] = kept(between, at.segment_at(first + i), C);
#pragma unroll
        for (int i = 0; i < CHUNK; ++i) {
            if (first + i >= segments) break;
            keep(between, at.segment_at(first + i), C, s.num, s.den, s.exp);
            if (first + i + 1 == segments) break;
            W::join(s, rate, own[i]);
            s = own[i];
            W::normalise(s, lost);
        }
    }
}

template <bool WHOLE>
__device__ __forceinline__ void forward_chunk(const Rows& k, const Rows& v, IO* y, const Place& at,
                                              long long t, const W::Rates& rate, W::Sums& s,
                                              W::Lost& lost) {
    IO* row = y + at.token(t);
    const int stride = int(at.C);
#pragma unroll
    for (int i = 0; i < CHUNK; ++i) {
        if (!WHOLE && t + i >= at.end) break;
        const W::Power key = W::exp(to_float(k.x[i]));
        const float value = to_float(v.x[i]);
        float inverse;
        store(row + i * stride, W::output(key, value, rate, s, inverse).y);
        W::add(key, value, rate, s, lost);
    }
}

// between: the sums before each segment; null with one segment, which begins with num, den, exp.
// saved: null, or (B, chunks + 1, 3, C), the sums before each chunk and after the last.
extern "C" __global__ void __launch_bounds__(BLOCK, 5)
wkv4_forward(const IO* k, const IO* v, const float* rates, const float* num, const float* den,
             const int* exp, const float* between, IO* y, float* num2, float* den2, int* exp2,
             float* saved, long long B, long long T, long long C, long long tokens,
             long long segments) {
    Place at;
    if (!find(at, B, T, C, tokens, segments, 0, segments)) return;
    const W::Rates rate = rates_over(TOKEN, rates, C, at.c);
    W::Sums s;
    if (between) {
        s = kept(between, at.segment_at(at.segment), C);
    } else {
        s = {num[at.state()], den[at.state()], exp[at.state()]};
    }
    W::Lost lost;
    Rows ks, vs, next_ks, next_vs;
    next_ks.fetch(k, at, at.begin);
    next_vs.fetch(v, at, at.begin);
    for (long long t = at.begin; t < at.end; t += CHUNK) {
        ks = next_ks;
        vs = next_vs;
        next_ks.fetch(k, at, t + CHUNK);
        next_vs.fetch(v, at, t + CHUNK);
        if (saved) keep(saved, at.chunk_at(t / CHUNK), C, s.num, s.den, s.exp);
        if (at.whole(t)) {
            forward_chunk<true>(ks, vs, y, at, t, rate, s, lost);
        } else {
            forward_chunk<false>(ks, vs, y, at, t, rate, s, lost);
        }
        W::normalise(s, lost);
    }
    if (at.end < T) return;
    num2[at.state()] = s.num;
    den2[at.state()] = s.den;
    exp2[at.state()] = s.exp;
    if (saved) keep(saved, at.chunk_at((T + CHUNK - 1) / CHUNK), C, s.num, s.den, s.exp);
}

// ---- backward ---------------------------------------------------------------------------------

// What running a chunk forward tells the way back, of one token. A chunk that isn't whole is rare
// and keeps this in memory; the others have registers for it.
struct Token {
    W::Power key;
    W::Output out;
    float value, r;
};

template <bool WHOLE>
__device__ __forceinline__ void run_chunk(const IO* k, const IO* v, const IO* dy,
                                          const float* saved, const Place& at, long long t,
                                          const W::Rates& rate, Token (&token)[CHUNK],
                                          W::Sums (&before)[CHUNK]) {
    Rows ks, vs, dys;
    ks.fetch<WHOLE>(k, at, t);
    vs.fetch<WHOLE>(v, at, t);
    dys.fetch<WHOLE>(dy, at, t);
    W::Sums s = kept(saved, at.chunk_at(t / CHUNK), at.C);
    W::Lost lost;
#pragma unroll(WHOLE ? CHUNK : 1)
    for (int i = 0; i < CHUNK; ++i) {
        if (!WHOLE && t + i >= at.end) break;
        Token& x = token[i];
        x.key = W::exp(to_float(ks.x[i]));
        x.value = to_float(vs.x[i]);
        before[i] = s;
        float inverse;
        x.out = W::output(x.key, x.value, rate, s, inverse);
        x.r = to_float(dys.x[i]) * inverse;
        W::add(x.key, x.value, rate, s, lost);
    }
}

__device__ __forceinline__ long long last_chunk(const Place& at) {
    return at.begin + (at.end - at.begin - 1) / CHUNK * CHUNK;
}

template <bool WHOLE>
__device__ __forceinline__ void pull_chunk(const IO* k, const IO* v, const IO* dy,
                                           const float* saved, const Place& at, long long t,
                                           const W::Rates& rate, W::Grads& g, W::Lost& lost) {
    Token token[CHUNK];
    W::Sums before[CHUNK];
    run_chunk<WHOLE>(k, v, dy, saved, at, t, rate, token, before);
#pragma unroll(WHOLE ? CHUNK : 1)
    for (int i = CHUNK - 1; i >= 0; --i)
        if (WHOLE || t + i < at.end) W::pull(token[i].r, token[i].out, rate, g, lost);
}

// What each segment by itself, but for the first, gives to the gradients of the sums before it:
// between (B, segments, 3, C).
extern "C" __global__ void __launch_bounds__(BLOCK, 5)
wkv4_pulls(const IO* k, const IO* v, const IO* dy, const float* saved, const float* rates,
           float* between, long long B, long long T, long long C, long long tokens,
           long long segments) {
    Place at;
    if (!find(at, B, T, C, tokens, segments, 1, segments)) return;
    const W::Rates rate = rates_over(TOKEN, rates, C, at.c);
    W::Grads g = {0.0f, 0.0f, -(1 << 30)};
    W::Lost lost;
    long long t = last_chunk(at);
    if (!at.whole(t)) {
        pull_chunk<false>(k, v, dy, saved, at, t, rate, g, lost);
        t -= CHUNK;
    }
    for (; t >= at.begin; t -= CHUNK) {
        W::normalise(g, lost);
        pull_chunk<true>(k, v, dy, saved, at, t, rate, g, lost);
    }
    keep(between, at.segment_at(at.segment), C, g.a, g.b, g.exp);
}

// Turns those into the gradients of the sums after each segment.
extern "C" __global__ void __launch_bounds__(BLOCK)
wkv4_join_back(const float* dnum2, const float* dden2, const float* saved, const float* rates,
               float* between, long long B, long long T, long long C, long long segments) {
    Place at;
    if (!find(at, B, T, C, 1, segments, 0, 1)) return;
    const W::Sums end = kept(saved, at.chunk_at((T + CHUNK - 1) / CHUNK), C);
    W::Grads g = {dnum2[at.state()], dden2[at.state()], -end.exp};
    W::Lost lost;
    for (long long first = segments - 1; first >= 0; first -= CHUNK) {
        W::Sums own[CHUNK];
#pragma unroll
        for (int i = 0; i < CHUNK; ++i)
            if (first - i > 0) own[i] = kept(between, at.segment_at(first - i), C);
#pragma unroll
        for (int i = 0; i < CHUNK; ++i) {
            const long long segment = first - i;
            if (segment < 0) break;
            W::normalise(g, lost);
            keep(between, at.segment_at(segment), C, g.a, g.b, g.exp);
            if (segment == 0) break;
            const W::Rates rate =
                rates_over(segment == segments - 1 ? LAST : SEGMENT, rates, C, at.c);
            W::join({g.a, g.b, g.exp}, rate, own[i]);
            g = {own[i].num, own[i].den, own[i].exp};
        }
    }
}

template <bool WHOLE>
__device__ __forceinline__ void backward_chunk(const IO* k, const IO* v, const IO* dy,
                                               const float* saved, IO* dk, IO* dv, const Place& at,
                                               long long t, const W::Rates& rate, W::Grads& g,
                                               W::Lost& lost, float& dw, float& du) {
    Token token[CHUNK];
    W::Sums before[CHUNK];
    run_chunk<WHOLE>(k, v, dy, saved, at, t, rate, token, before);
    const int stride = int(at.C);
    dk += at.token(t);
    dv += at.token(t);
#pragma unroll(WHOLE ? CHUNK : 1)
    for (int i = CHUNK - 1; i >= 0; --i) {
        if (!WHOLE && t + i >= at.end) continue;
        const Token& x = token[i];
        const W::Shares share = W::shares(x.r, x.key, x.value, x.out, rate, before[i], g);
        W::pull(x.r, x.out, rate, g, lost);
        store(dk + i * stride, share.k);
        store(dv + i * stride, share.v);
        dw += share.w;
        du += share.u;
    }
}

// between: the gradients of the sums after each segment; null with one segment, which ends with
// dnum2, dden2. dw, du: (B, segments, C), to be summed.
extern "C" __global__ void __launch_bounds__(BLOCK, 3)
wkv4_backward(const IO* k, const IO* v, const IO* dy, const float* dnum2, const float* dden2,
              const float* saved, const float* rates, const float* between, IO* dk, IO* dv,
              float* dw, float* du, float* dnum, float* dden, long long B, long long T, long long C,
              long long tokens, long long segments) {
    Place at;
    if (!find(at, B, T, C, tokens, segments, 0, segments)) return;
    const W::Rates rate = rates_over(TOKEN, rates, C, at.c);
    W::Grads g;
    if (between) {
        const W::Sums after = kept(between, at.segment_at(at.segment), C);
        g = {after.num, after.den, after.exp};
    } else {
        const W::Sums end = kept(saved, at.chunk_at((T + CHUNK - 1) / CHUNK), C);
        g = {dnum2[at.state()], dden2[at.state()], -end.exp};
    }
    W::Lost lost;
    float dw_sum = 0.0f, du_sum = 0.0f, dw_lost = 0.0f, du_lost = 0.0f;
    long long t = last_chunk(at);
    W::normalise(g, lost);
    if (!at.whole(t)) {
        backward_chunk<false>(k, v, dy, saved, dk, dv, at, t, rate, g, lost, dw_sum, du_sum);
        t -= CHUNK;
    }
    for (; t >= at.begin; t -= CHUNK) {
        W::normalise(g, lost);
        float dw_here = 0.0f, du_here = 0.0f;
        backward_chunk<true>(k, v, dy, saved, dk, dv, at, t, rate, g, lost, dw_here, du_here);
        W::gather(dw_here, dw_sum, dw_lost);
        W::gather(du_here, du_sum, du_lost);
    }
    const long long share = (at.b * segments + at.segment) * C + at.c;
    dw[share] = dw_sum + dw_lost;
    du[share] = du_sum + du_lost;
    if (at.segment > 0) return;
    const float scale = W::two_to_any(g.exp + kept(saved, at.chunk_at(0), C).exp);
    dnum[at.state()] = g.a * scale;
    dden[at.state()] = g.b * scale;
}
