// WKV-7's state through a whole sequence, forwards or backwards, sixteen tokens at a time.
//
// Forwards, with a chunk's inputs scaled so that decay vanishes inside it (see README.md):
//     U = (I - [a b^T])^-1 (a S^T + [a k^T] v)      y = r S^T + [r k^T] v + [r b^T] U
//     S <- S + v^T k + U^T b
// where [ ] keeps pairs in causal order. The gradient of S goes backwards by the same steps with
// other inputs:  b k r a dy  in the place of  a r k b v,  and dv comes out in the place of y.
// So in here the five are called probe, read, write, back and value, and U inner.

#ifndef ADVENTURE_WKV7_SWEEP_H
#define ADVENTURE_WKV7_SWEEP_H

#include "wkv7_tensor.h"

constexpr int N = HEAD;
// A block's first warps keep the state, 16 rows (values) each, in registers; the others make the
// next chunk's tiles and squares meanwhile.
constexpr int KEEPERS = VALUES / 16, MAKERS = 4;
constexpr int THREADS = 32 * (KEEPERS + MAKERS);
constexpr int KEY_TILE = CHUNK * N, VALUE_TILE = CHUNK * VALUES;
// Chunks from one state kept for the gradients to the next.
constexpr int SPAN = N <= 64 ? 2 : 1;
constexpr float LEAST = 4e-31f, MOST = 2.5e30f;  // e^-70, e^70

struct Sweep {
    const IO *probe, *read, *write, *back, *value;  // (B, T, H, N)
    const DECAY_IO* logw;                           // (B, T, H, N)
    const float* start;                             // (B, H, N, N), or null for zeros
    float* end;                                     // (B, H, N, N)
    IO* out;                                        // (B, T, H, N)
    float* arrivals;  // (heads here, spans, N, N): the state that the span's first chunk finds
    float* inner;     // (heads here, chunks, CHUNK, N)
    int64_t T, H, first;  // first: the number of block 0's head among the B * H
};

// What a chunk needs in shared memory.
struct Tiles {
    float probe[KEY_TILE], read[KEY_TILE], write[KEY_TILE], back[KEY_TILE], value[VALUE_TILE];
    float arrive[N], leave[N];  // the state's factors per key: before the chunk's middle, after
    float probe_write[SQUARE_FLOATS], probe_back[SQUARE_FLOATS];  // the latter: its inverse
    float read_write[SQUARE_FLOATS], read_back[SQUARE_FLOATS];
};
struct Raw {
    alignas(16) IO probe[KEY_TILE], read[KEY_TILE], write[KEY_TILE], back[KEY_TILE];
    alignas(16) IO value[VALUE_TILE];
    alignas(16) DECAY_IO logw[KEY_TILE];
};
struct Shared {
    Tiles tiles[2];                            // of chunks in turn
    float inner[VALUE_TILE], out[VALUE_TILE];  // results on their way out
    Raw raw[STAGES];
};

// ---- inputs ----

// A decay inside the numbers that keep 3 x tf32 exact; NaN for one outside.
__device__ __forceinline__ float tame(float x) {
    return x >= LEAST && x <= MOST ? x : __uint_as_float(0x7fffffffu);
}

// Calls work(i) for each i below COUNT: a maker's share.
template <int COUNT, typename Work>
__device__ __forceinline__ void share(int maker, const Work& work) {
    constexpr int EACH = COUNT / (32 * MAKERS);
#pragma unroll
    for (int i = 0; i < EACH; ++i) work(maker + i * 32 * MAKERS);
    const int last = maker + EACH * 32 * MAKERS;
    if (COUNT % (32 * MAKERS) && last < COUNT) work(last);
}

// COLUMNS of CHUNK rows on their way to shared memory; zeros for rows behind the end.
template <int COLUMNS, typename T>
__device__ __forceinline__ void fetch(T* to, const T* from, int64_t stride, int rows, int maker) {
    constexpr int EACH = 16 / sizeof(T), PIECES = COLUMNS / EACH;
    share<CHUNK * PIECES>(maker, [&](int i) {
        const int row = i / PIECES, column = i % PIECES * EACH;
        const bool there = row < rows;
        copy16_async(to + i * EACH, there ? from + row * stride + column : from, there);
    });
}

// Where a head's first token begins in (B, T, H, N). Divisions of 64 bits would take a hundred
// instructions each.
__device__ __forceinline__ int64_t begin_of(uint32_t head, int64_t T, int64_t H) {
    const uint32_t row = head / uint32_t(H), column = head % uint32_t(H);
    return (row * T * H + column) * N;
}

// from: where the chunk begins; `rows` of it are there.
template <bool OUTPUT>
__device__ __forceinline__ void fetch_chunk(const Sweep& s, Raw& raw, int64_t from, int rows,
                                            int maker) {
    const int64_t stride = s.H * N;
    fetch<N>(raw.probe, s.probe + from, stride, rows, maker);
    if (OUTPUT) fetch<N>(raw.read, s.read + from, stride, rows, maker);
    fetch<N>(raw.write, s.write + from, stride, rows, maker);
    fetch<N>(raw.back, s.back + from, stride, rows, maker);
    fetch<VALUES>(raw.value, s.value + from + blockIdx.y * VALUES, stride, rows, maker);
    fetch<N>(raw.logw, s.logw + from, stride, rows, maker);
}

// One token and key into the tiles. e: decay from the chunk's middle to after the token, before:
// to before it; `a` is met before a token's decay, r, k and b after it.
template <bool REVERSE, bool OUTPUT>
__device__ __forceinline__ void scale(Tiles& to, const Raw& raw, int token, int key, float before,
                                      float e, float inverse_e) {
    const int from = token * N + key, tile = at<N>(token, place(key));
    before = kept(before), e = kept(e), inverse_e = kept(inverse_e);
    to.probe[tile] = load(raw.probe + from) * (REVERSE ? inverse_e : before);
    if (OUTPUT) to.read[tile] = load(raw.read + from) * (REVERSE ? inverse_e : e);
    to.write[tile] = load(raw.write + from) * (REVERSE ? e : inverse_e);
    to.back[tile] = load(raw.back + from) * (REVERSE ? before : inverse_e);
}

// The tiles of a chunk. Decays are products from the chunk's middle outwards: half a chunk's decay
// is all that has to fit into a float, and each factor's error is that of eight roundings.
template <bool REVERSE, bool OUTPUT>
__device__ __forceinline__ void make_tiles(Tiles& to, const Raw& raw, int maker) {
    share<2 * N>(maker, [&](int i) {
        const int key = i % N;
        float e = 1.0f;
        if (i < N) {  // down from the middle; e is the decay's inverse here
            float inverse = 1.0f;
#pragma unroll
            for (int token = CHUNK / 2 - 1; token >= 0; --token) {
                const float past = tame(e * expf(load(raw.logw + token * N + key)));
                const float before = __fdividef(1.0f, past);
                scale<REVERSE, OUTPUT>(to, raw, token, key, before, inverse, e);
                e = past, inverse = before;
            }
            (REVERSE ? to.leave : to.arrive)[key] = e;
        } else {
#pragma unroll
            for (int token = CHUNK / 2; token < CHUNK; ++token) {
                const float now = tame(e * expf(load(raw.logw + token * N + key)));
                scale<REVERSE, OUTPUT>(to, raw, token, key, e, now, __fdividef(1.0f, now));
                e = now;
            }
            (REVERSE ? to.arrive : to.leave)[key] = e;
        }
    });
    share<VALUE_TILE>(maker, [&](int i) {
        to.value[at<VALUES>(i / VALUES, i % VALUES)] = kept(load(raw.value + i));
    });
}

// ---- products among tokens ----

// Keeps what may act: earlier tokens on later ones, backwards later ones on earlier.
template <bool REVERSE>
__device__ __forceinline__ void mask(Square& c, bool diagonal, int lane) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int row = square_row(i, lane), column = square_column(i, lane);
        const bool acts = REVERSE ? column > row : column < row;
        if (!acts && !(diagonal && row == column)) c.x[i / 4][i % 4] = 0.0f;
    }
}

template <bool REVERSE, bool OUTPUT>
__device__ __forceinline__ void make_squares(Tiles& tiles, int maker) {
    const int task = maker / 32, lane = maker % 32;
    const bool read = task >= 2, back = task % 2 == 0;
    if (read && !OUTPUT) return;
    Square c =
        rows_by_rows<N>(read ? tiles.read : tiles.probe, back ? tiles.back : tiles.write, lane);
    // A token's own r meets its k and b; so, backwards, do its k and b its r.
    mask<REVERSE>(c, REVERSE ? !back : read, lane);
    float* to = read ? (back ? tiles.read_back : tiles.read_write)
                     : (back ? tiles.probe_back : tiles.probe_write);
    if (task == 0) c = inverse(c, to, lane);
    keep_square(to, c, lane);
}

// sum += left square^T for 16 rows; `left` holds both blocks of eight tokens.
template <bool REVERSE>
__device__ __forceinline__ void by_square(Sum (&sum)[2], const Left (&left)[2], const float* square,
                                          int lane) {
#pragma unroll
    for (int block = 0; block < 2; ++block) {
        const Rows rows = rows_of_square(square, block, lane);
#pragma unroll
        for (int half = 0; half < 2; ++half)
            if (block == half || (block > half) == REVERSE)  // else all zeros
                multiply(sum[half], left[block], rows.right(half));
    }
}

// ---- the state ----

typedef float State[N / 8][4];  // a warp's 16 values by N keys, as results lie

__device__ __forceinline__ int64_t state_at(int64_t head, int row, int block, int half, int lane) {
    return (head * N + row + half * 8) * N + block * 8 + lane % 4 * 2;
}

__device__ __forceinline__ void read_state(State& S, const float* from, int64_t head, int row,
                                           int lane) {
#pragma unroll
    for (int i = 0; i < N / 4; ++i) {
        float* to = S[i / 2] + i % 2 * 2;
        to[0] = to[1] = 0.0f;
        if (from) load_vector<2>(from + state_at(head, row, i / 2, i % 2, lane), to);
    }
}
__device__ __forceinline__ void write_state(float* to, const State& S, int64_t head, int row,
                                            int lane) {
#pragma unroll
    for (int i = 0; i < N / 4; ++i)
        store_vector<2>(to + state_at(head, row, i / 2, i % 2, lane), S[i / 2] + i % 2 * 2);
}

__device__ __forceinline__ void scale_state(State& S, const float* factors, int lane) {
#pragma unroll
    for (int block = 0; block < N / 8; ++block) {
        const float* f = factors + block * 8 + lane % 4 * 2;
        S[block][0] *= f[0], S[block][1] *= f[1], S[block][2] *= f[0], S[block][3] *= f[1];
    }
}

// probes += S probe^T, reads += S read^T
template <bool OUTPUT>
__device__ __forceinline__ void ask_state(Sum (&probes)[2], Sum (&reads)[2], const State& S,
                                          const Tiles& tiles, int lane) {
#pragma unroll
    for (int block = 0; block < N / 8; ++block) {
        const Left left = left_of(S[block][0], S[block][1], S[block][2], S[block][3]);
        const Rows probe = rows_of<N>(tiles.probe, block, lane);
        multiply(probes[0], left, probe.right(0));
        multiply(probes[1], left, probe.right(1));
        if (!OUTPUT) continue;
        const Rows read = rows_of<N>(tiles.read, block, lane);
        multiply(reads[0], left, read.right(0));
        multiply(reads[1], left, read.right(1));
    }
}

// ---- results ----

// A warp's 16 values of CHUNK tokens into a tile [token][value].
__device__ __forceinline__ void lay_out(float* tile, const Sum (&sum)[2], int warp, int lane) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
        tile[at<VALUES>(square_column(i, lane), 2 * warp + i % 4 / 2, lane / 4)] =
            sum[i / 4][i % 4];
}

// Writes out what lay_out left: to rows of `stride`, the first `rows` of them.
template <typename T>
__device__ __forceinline__ void copy_out(T* to, const float* tile, int64_t stride, int rows,
                                         int maker) {
    share<VALUE_TILE / 4>(maker, [&](int i) {
        const int row = i / (VALUES / 4), column = i % (VALUES / 4) * 4;
        if (row < rows) store_vector<4>(to + row * stride + column, tile + at<VALUES>(row, column));
    });
}

// from: where the chunk begins; place: its number among all that this launch keeps.
template <bool OUTPUT>
__device__ __forceinline__ void copy_chunk(const Sweep& s, const Shared& shared, int64_t from,
                                           int rows, int64_t place, int maker) {
    const int column = blockIdx.y * VALUES;
    if (OUTPUT) copy_out(s.out + from + column, shared.out, s.H * N, rows, maker);
    if (s.inner) copy_out(s.inner + place * KEY_TILE + column, shared.inner, N, CHUNK, maker);
}

// ---- a chunk ----

__device__ __forceinline__ void left_of(Left (&left)[2], const Sum (&sum)[2]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) left[i] = left_of(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
}

// inner and out of a warp's 16 values, from the state as it came, scaled.
template <bool REVERSE, bool OUTPUT>
__device__ __forceinline__ void use_state(Sum (&inner)[2], Sum (&out)[2], const State& S,
                                          const Tiles& tiles, int warp, int lane) {
    Sum asked[2] = {zero(), zero()};
    ask_state<OUTPUT>(asked, out, S, tiles, lane);
    const Left value[2] = {columns_left<VALUES, true>(tiles.value, 0, 2 * warp, lane),
                           columns_left<VALUES, true>(tiles.value, 1, 2 * warp, lane)};
    by_square<REVERSE>(asked, value, tiles.probe_write, lane);
    Left left[2];
    left_of(left, asked);
    by_square<REVERSE>(inner, left, tiles.probe_back, lane);
    if (!OUTPUT) return;
    by_square<REVERSE>(out, value, tiles.read_write, lane);
    left_of(left, inner);
    by_square<REVERSE>(out, left, tiles.read_back, lane);
}

// S <- (S + value^T write + inner^T back) times the decay of the rest of the chunk. What is added
// is summed apart: tensor cores cut off where an addition rounds, which S would gather.
__device__ __forceinline__ void change_state(State& S, const Sum (&sum_inner)[2],
                                             const Tiles& tiles, int warp, int lane) {
    const Left value[2] = {columns_left<VALUES, true>(tiles.value, 0, 2 * warp, lane),
                           columns_left<VALUES, true>(tiles.value, 1, 2 * warp, lane)};
    Left inner[2];
    left_of(inner, sum_inner);
#pragma unroll
    for (int block = 0; block < N / 8; ++block) {
        Sum sum = zero();
        const int low = place(lane / 4);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            multiply(sum, value[i], columns_right<N, true>(tiles.write, i, block, low, lane));
            multiply(sum, inner[i], columns_right<N, true>(tiles.back, i, block, low, lane));
        }
        const float* f = tiles.leave + block * 8 + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < 4; ++i) S[block][i] = (S[block][i] + sum[i]) * f[i % 2];
    }
}

// A block: one head, VALUES rows of its state, all chunks. Two barriers a chunk: before the first,
// keepers use tiles and squares while makers make the next chunk's tiles of what has been fetched;
// before the second, keepers change the state while makers make squares of these tiles.
template <bool REVERSE, bool OUTPUT>
__device__ __forceinline__ void sweep(const Sweep& s, Shared& shared) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, maker = threadIdx.x - 32 * KEEPERS;
    const int row = blockIdx.y * VALUES + 16 * warp + lane / 4;
    const int64_t head = s.first + blockIdx.x, chunks = (s.T + CHUNK - 1) / CHUNK;
    const int64_t begin = begin_of(uint32_t(head), s.T, s.H), places = blockIdx.x * chunks;
    const auto number = [&](int64_t step) { return REVERSE ? chunks - 1 - step : step; };
    const int64_t spans = (chunks + SPAN - 1) / SPAN;
    const auto begins = [&](int64_t step) {  // whether a span does, in the sweep's direction
        return REVERSE ? step == 0 || number(step) % SPAN == SPAN - 1 : number(step) % SPAN == 0;
    };
    const auto from = [&](int64_t step) { return begin + number(step) * CHUNK * s.H * N; };
    const auto rows = [&](int64_t step) {
        return int(min(s.T - number(step) * CHUNK, int64_t(CHUNK)));
    };
    const auto fetch = [&](int64_t step) {
        if (step < chunks)
            fetch_chunk<OUTPUT>(s, shared.raw[step % STAGES], from(step), rows(step), maker);
        copy_commit();
    };
    const auto copy = [&](int64_t step) {
        copy_chunk<OUTPUT>(s, shared, from(step), rows(step), places + number(step), maker);
    };

    State S;
    if (warp < KEEPERS)
        read_state(S, s.start, head, row, lane);
    else
        for (int step = 0; step < STAGES; ++step) fetch(step);
    // Step -1 has nothing for keepers, the last step nothing to make.
    for (int64_t step = -1; step < chunks; ++step) {
        Tiles &tiles = shared.tiles[step & 1], &next = shared.tiles[(step + 1) & 1];
        const bool more = step + 1 < chunks;
        Sum inner[2] = {zero(), zero()}, out[2] = {zero(), zero()};
        copy_wait<STAGES - 1>();
        __syncthreads();
        if (warp >= KEEPERS) {
            if (step > 0) copy(step - 1);
            if (more) make_tiles<REVERSE, OUTPUT>(next, shared.raw[(step + 1) % STAGES], maker);
        } else if (step >= 0) {
            if (s.arrivals && begins(step))
                write_state(s.arrivals, S, blockIdx.x * spans + number(step) / SPAN, row, lane);
            scale_state(S, tiles.arrive, lane);
            use_state<REVERSE, OUTPUT>(inner, out, S, tiles, warp, lane);
        }
        __syncthreads();
        if (warp >= KEEPERS) {
            fetch(step + 1 + STAGES);
            if (more) make_squares<REVERSE, OUTPUT>(next, maker);
        } else if (step >= 0) {
            lay_out(shared.inner, inner, warp, lane);
            if (OUTPUT) lay_out(shared.out, out, warp, lane);
            change_state(S, inner, tiles, warp, lane);
        }
    }
    __syncthreads();
    if (warp >= KEEPERS)
        copy(chunks - 1);
    else if (s.end)
        write_state(s.end, S, head, row, lane);
}

#endif
