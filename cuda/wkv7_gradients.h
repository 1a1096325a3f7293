// WKV-7's gradients from the states and state gradients that two sweeps left, each span of chunks
// by itself: a span's first chunk has the state from memory, the last one the state's gradient.
//
// dY is y's gradient, Z that of a S^T inside the chunk, D the state's at its end; all else as in
// wkv7_sweep.h, masks [ ] included:
//     dr = dY S + [dY v^T] k + [dY U^T] b       da = Z S + [Z v^T] k + [Z U^T] b
//     dk = v D + [dY v^T]^T r + [Z v^T]^T a     db = U D + [dY U^T]^T r + [Z U^T]^T a
// and logw's gradient is a sum over what its decay lies between (`decay_gradients`). Pairs with no
// decay between them, a token's k, b and r and the next one's a, are left out of these products and
// added where the results go out: in logw's gradients they would cancel, but for their rounding.

#ifndef ADVENTURE_WKV7_GRADIENTS_H
#define ADVENTURE_WKV7_GRADIENTS_H

#include "wkv7_sweep.h"

struct Gradients {
    const IO *r, *k, *v, *a, *b, *dy;                 // (B, T, H, N)
    const DECAY_IO* logw;                             // (B, T, H, N)
    const float *states, *dstates, *u, *z;            // as the sweeps' arrivals and inner
    IO *dr, *dk, *da, *db;                            // (B, T, H, N)
    DECAY_IO* dlogw;                                  // (B, T, H, N)
    int64_t T, H, first;

    // The same from another place in (B, T, H, N) on.
    __device__ __forceinline__ Gradients moved(int64_t by) const {
        return {r + by,  k + by,  v + by,  a + by,  b + by,  dy + by,    logw + by, states, dstates,
                u,       z,       dr + by, dk + by, da + by, db + by,    dlogw + by, T,     H,
                first};
    }
};

// A chunk's tiles [token][value], columns placed, and [token][key]; results take the former's
// place.
struct Local {
    union {
        struct {
            float dy[KEY_TILE], z[KEY_TILE], v[KEY_TILE], u[KEY_TILE];
        };
        struct {
            float dr[KEY_TILE], da[KEY_TILE], dk[KEY_TILE], db[KEY_TILE];
        };
    };
    float dk_state[KEY_TILE], db_state[KEY_TILE];  // v D and U D
    float r[KEY_TILE], k[KEY_TILE], a[KEY_TILE], b[KEY_TILE];
    float dy_v[SQUARE_FLOATS], dy_u[SQUARE_FLOATS], z_v[SQUARE_FLOATS], z_u[SQUARE_FLOATS];
    // The pairs left out: of a token with itself; of a token with the one before it.
    float dy_v_edge[CHUNK + 1], dy_u_edge[CHUNK + 1], z_v_edge[CHUNK + 1], z_u_edge[CHUNK + 1];
    float head[N], tail[N];  // decay of the chunk's first half, of its second
    float across[N];         // sum over values of the state and its gradient, multiplied
    float early[N], late[N];
};

// One key of half a chunk, in a thread's registers. The token index counts within the half.
constexpr int HALF = CHUNK / 2;
constexpr int CHUNK_THREADS = 2 * N;
struct Column {
    float e[HALF + 1];  // decay from the chunk's middle to before each token, and after the last
};

// ---- from memory ----

// (CHUNK, N) numbers into a tile with placed columns.
template <typename T>
__device__ __forceinline__ void read_values(float* tile, const T* from, int stride, int rows) {
#pragma unroll
    for (int j = 0; j < KEY_TILE / 8 / CHUNK_THREADS; ++j) {
        const int i = threadIdx.x % CHUNK_THREADS + j * CHUNK_THREADS;
        const int row = i / (N / 8), column = i % (N / 8) * 8;
        float x[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        if (row < rows) load_vector<8>(from + row * stride + column, x);
        const float even[4] = {kept(x[0]), kept(x[2]), kept(x[4]), kept(x[6])};
        const float odd[4] = {kept(x[1]), kept(x[3]), kept(x[5]), kept(x[7])};
        store_vector<4>(tile + at<N>(row, column), even);
        store_vector<4>(tile + at<N>(row, column + 4), odd);
    }
}

// This thread's decays, from its key's logw; the products go outwards from the chunk's middle.
__device__ __forceinline__ Column read_decays(const DECAY_IO* logw, int stride, int rows, bool late,
                                              Local& local, int key) {
    float w[HALF];
#pragma unroll
    for (int i = 0; i < HALF; ++i) {
        const int token = i + (late ? HALF : 0);
        w[i] = token < rows ? expf(load(logw + token * stride)) : 1.0f;
    }
    Column column;
    float e = 1.0f;
    if (late) {
#pragma unroll
        for (int i = 0; i < HALF; ++i) {
            column.e[i] = e;
            e = tame(e * w[i]);
        }
        column.e[HALF] = e;
        local.tail[key] = e;
    } else {
#pragma unroll
        for (int i = HALF; i > 0; --i) {
            column.e[i] = __fdividef(1.0f, e);
            e = tame(e * w[i - 1]);
        }
        column.e[0] = __fdividef(1.0f, e);
        local.head[key] = e;
    }
    return column;
}

// r, k, a, b on their way: floats to where their tiles are, others to a place free until then.
__device__ __forceinline__ IO* raw_keys(Local& local) {
    return reinterpret_cast<IO*>(EXACT ? local.r : local.dk_state);
}
__device__ __forceinline__ int raw_at(int token, int key) {
    return EXACT ? at<N>(token, key) : token * N + key;
}

__device__ __forceinline__ void fetch_keys(const Gradients& g, Local& local, int stride, int rows,
                                           int thread) {
    constexpr int EACH = 16 / sizeof(IO), PIECES = N / EACH;
#pragma unroll
    for (int j = 0; j < CHUNK * PIECES / CHUNK_THREADS; ++j) {
        const int i = thread + j * CHUNK_THREADS, row = i / PIECES, column = i % PIECES * EACH;
        const bool there = row < rows;
        const int from = there ? row * stride + column : 0;
        IO* to = raw_keys(local) + raw_at(row, column);
        const IO* keys[4] = {g.r, g.k, g.a, g.b};
#pragma unroll
        for (int m = 0; m < 4; ++m)
            copy16_async(to + m * KEY_TILE, keys[m] + from, there);
    }
    copy_commit();
}

// Scales what has been fetched; a thread, its key of half a chunk.
__device__ __forceinline__ void make_keys(Local& local, const Column& column, bool late, int key) {
    const IO* raw = raw_keys(local);
#pragma unroll
    for (int i = 0; i < HALF; ++i) {
        const int token = i + (late ? HALF : 0);
        const int tile = at<N>(token, key), from = raw_at(token, key);
        const float inverse = __fdividef(1.0f, column.e[i + 1]);
        local.r[tile] = load(raw + from) * column.e[i + 1];
        local.k[tile] = load(raw + from + KEY_TILE) * inverse;
        local.a[tile] = load(raw + from + 2 * KEY_TILE) * column.e[i];
        local.b[tile] = load(raw + from + 3 * KEY_TILE) * inverse;
    }
}

// ---- products ----

// Keeps c below its diagonal (`skip` = 0), or below the one beneath; that diagonal goes to edge.
__device__ __forceinline__ void cut_edge(Square& c, float* edge, int skip, int lane) {
    if (lane == 0) edge[0] = edge[CHUNK] = 0.0f;
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int row = square_row(i, lane), below = row - skip - square_column(i, lane);
        if (below == 0) edge[row] = c.x[i / 4][i % 4];
        if (below <= 0) c.x[i / 4][i % 4] = 0.0f;
    }
}

__device__ __forceinline__ void make_local_squares(Local& local, int warp, int lane) {
    for (int task = warp; task < 4; task += N / 16) {
        const bool z = task >= 2, u = task % 2;
        Square c = rows_by_rows<N>(z ? local.z : local.dy, u ? local.u : local.v, lane);
        cut_edge(c, z ? (u ? local.z_u_edge : local.z_v_edge)
                      : (u ? local.dy_u_edge : local.dy_v_edge), z, lane);
        keep_square(z ? (u ? local.z_u : local.z_v) : (u ? local.dy_u : local.dy_v), c, lane);
    }
}

// A square's eight tokens of columns (of rows, if `transposed`) as the left operand.
__device__ __forceinline__ Left square_left(const float* square, int block, bool transposed,
                                            int lane) {
    if (!transposed) return rows_of_square(square, block, lane).left();
    const int row = 8 * block + lane % 4 * 2, column = place(lane / 4);
    Left a;
    const float* from = square + row * SQUARE + column;
    put<true>(a, 0, from[0]), put<true>(a, 1, from[8]);
    put<true>(a, 2, from[SQUARE]), put<true>(a, 3, from[SQUARE + 8]);
    return a;
}

// sums += square tile, for a warp's sixteen keys
__device__ __forceinline__ void add_product(Sum (&sums)[2], const float* square, bool transposed,
                                            const float* tile, int key, int lane) {
#pragma unroll
    for (int block = 0; block < 2; ++block) {
        const Left left = square_left(square, block, transposed, lane);
#pragma unroll
        for (int half = 0; half < 2; ++half)
            multiply(sums[half], left,
                     columns_right<N, false>(tile, block, key / 8 + half, lane / 4, lane));
    }
}

// What a warp sums up for its sixteen keys.
struct StateProducts {
    Sum dr[2], da[2], dk[2], db[2];
    float across[2];
};

// Eight values by a warp's sixteen keys of the state or its gradient, as right operands.
struct Piece {
    float x[2][2];  // values 2i and 2i + 1 of key g; of key g + 8
};

__device__ __forceinline__ Piece read_piece(const float* S, int block, int key, int lane) {
    const float* from = S + (8 * block + lane % 4 * 2) * N + key + lane / 4;
    return {{{from[0], from[N]}, {from[8], from[N + 8]}}};
}
__device__ __forceinline__ Right right_of(const Piece& piece, int half) {
    Right b;
    put(b, 0, piece.x[half][0]), put(b, 1, piece.x[half][1]);
    return b;
}

// The state's way from the span's first chunk to its second, or its gradient's way back: by what
// the other chunk adds. A warp's sixteen keys of it, transposed.
struct Step {
    const float *value0, *value1;
    Left write[2], back[2];
    float arrive[2], leave[2];

    __device__ __forceinline__ Step(const Local& other, bool forwards, int key, int lane) {
        value0 = forwards ? other.v : other.dy, value1 = forwards ? other.u : other.z;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            write[i] = columns_left<N, false>(forwards ? other.k : other.r, i, key / 8, lane);
            back[i] = columns_left<N, false>(forwards ? other.b : other.a, i, key / 8, lane);
            const int here = key + 8 * i + lane / 4;
            arrive[i] = (forwards ? other.head : other.tail)[here];
            leave[i] = (forwards ? other.tail : other.head)[here];
        }
    }
    __device__ __forceinline__ void take(Piece& piece, int block, int lane) const {
        Sum sum = zero();
        const int low = place(lane / 4);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            multiply(sum, write[i], columns_right<N, true>(value0, i, block, low, lane));
            multiply(sum, back[i], columns_right<N, true>(value1, i, block, low, lane));
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            float& x = piece.x[i / 2][i % 2];
            x = (x * arrive[i / 2] + sum[i]) * leave[i / 2];
        }
    }
};

// Goes through the state S before the span and its gradient D after it once, eight values at a
// time. locals: the span's chunks; number: which of them is this one.
__device__ __forceinline__ StateProducts meet_states(const Local* locals, int number,
                                                     const float* S, const float* D, int key,
                                                     int lane) {
    const Local& local = locals[number];
    const Step step(locals[SPAN - 1 - number], number > 0, key, lane);
    StateProducts p;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        p.dr[half] = p.da[half] = p.dk[half] = p.db[half] = zero();
        p.across[half] = 0.0f;
    }
#pragma unroll 2
    for (int block = 0; block < N / 8; ++block) {
        Piece s = read_piece(S, block, key, lane), d = read_piece(D, block, key, lane);
        if (SPAN > 1) {
            Piece moved = number > 0 ? s : d;
            step.take(moved, block, lane);
            number > 0 ? s = moved : d = moved;
        }
        const Left dy = rows_of<N>(local.dy, block, lane).left();
        const Left z = rows_of<N>(local.z, block, lane).left();
        const Left v = rows_of<N>(local.v, block, lane).left();
        const Left u = rows_of<N>(local.u, block, lane).left();
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const Right sb = right_of(s, half), db = right_of(d, half);
            multiply(p.dr[half], dy, sb);
            multiply(p.da[half], z, sb);
            multiply(p.dk[half], v, db);
            multiply(p.db[half], u, db);
            p.across[half] += s.x[half][0] * d.x[half][0] + s.x[half][1] * d.x[half][1];
        }
    }
    return p;
}

// The results as they lie, to a tile [token][key].
__device__ __forceinline__ void write_tile(float* tile, const Sum (&sums)[2], int key, int lane) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
        tile[at<N>(square_row(i, lane), key + square_column(i, lane))] = sums[i / 4][i % 4];
}

// The states come as they are before the decay of the chunk's first half, and as gradients before
// that of its second: these factors are per key, so they can come after the sums.
__device__ __forceinline__ void scale_keys(Sum (&sums)[2], const float* factors, int key,
                                           int lane) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const float f = factors[key + square_column(i, lane)];
        sums[i / 4].high[i % 4] *= f;
        if (EXACT) sums[i / 4].low[i % 4] *= f;
    }
}

__device__ __forceinline__ void finish_products(Local& local, StateProducts& p, int key, int lane) {
    scale_keys(p.dr, local.head, key, lane);
    add_product(p.dr, local.dy_v, false, local.k, key, lane);
    add_product(p.dr, local.dy_u, false, local.b, key, lane);
    write_tile(local.dr, p.dr, key, lane);
    scale_keys(p.da, local.head, key, lane);
    add_product(p.da, local.z_v, false, local.k, key, lane);
    add_product(p.da, local.z_u, false, local.b, key, lane);
    write_tile(local.da, p.da, key, lane);
    scale_keys(p.dk, local.tail, key, lane);
    write_tile(local.dk_state, p.dk, key, lane);
    scale_keys(p.db, local.tail, key, lane);
    write_tile(local.db_state, p.db, key, lane);
    Sum dk[2] = {zero(), zero()}, db[2] = {zero(), zero()};
    add_product(dk, local.dy_v, true, local.r, key, lane);
    add_product(dk, local.z_v, true, local.a, key, lane);
    write_tile(local.dk, dk, key, lane);
    add_product(db, local.dy_u, true, local.r, key, lane);
    add_product(db, local.z_u, true, local.a, key, lane);
    write_tile(local.db, db, key, lane);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        float sum = p.across[half];
        sum += shuffle_xor(sum, 1);
        sum += shuffle_xor(sum, 2);
        const int at = key + 8 * half + lane / 4;
        if (lane % 4 == 0) local.across[at] = sum * local.head[at] * local.tail[at];
    }
}

// ---- out of the chunk's scale ----

// A token's decay acts between what came before it and what comes from it on: its logw's gradient
// is what the state carries across the chunk, what k and b before it bring to the chunk's end, and
// what r from it on (a after it) takes, less what k and b from it on give to those themselves.
__device__ __forceinline__ void decay_gradients(float (&dlogw)[HALF], Local& local, bool late,
                                                int key) {
    float own[HALF], next[HALF], before = 0.0f, after = 0.0f;
#pragma unroll
    for (int i = 0; i < HALF; ++i) {
        const int tile = at<N>(i + (late ? HALF : 0), key);
        const float r = local.r[tile], k = local.k[tile], a = local.a[tile], b = local.b[tile];
        own[i] = r * local.dr[tile] - k * local.dk[tile] - b * local.db[tile];
        next[i] = a * local.da[tile];
        dlogw[i] = before;
        before += k * local.dk_state[tile] + b * local.db_state[tile];
    }
#pragma unroll
    for (int i = HALF - 1; i >= 0; --i) {
        after += own[i];
        dlogw[i] += after;
        after += next[i];
    }
    (late ? local.late : local.early)[key] = late ? after : before;
    __syncthreads();
    const float rest = local.across[key] + (late ? local.early : local.late)[key];
#pragma unroll
    for (int i = 0; i < HALF; ++i) dlogw[i] += rest;
}

// Adds the pairs left out, takes the chunk's scale off, writes. g: from this thread's key on.
__device__ __forceinline__ void write_gradients(const Gradients& g, Local& local,
                                                const Column& column, int stride, int rows,
                                                bool late, int key) {
    float dlogw[HALF];
    decay_gradients(dlogw, local, late, key);
#pragma unroll
    for (int i = 0; i < HALF; ++i) {
        const int token = i + (late ? HALF : 0), tile = at<N>(token, key);
        if (token >= rows) continue;
        // The edges are 0 where there is no token before or after.
        const int before = at<N>(max(token - 1, 0), key);
        const int after = at<N>(min(token + 1, CHUNK - 1), key);
        const float dr = local.dr[tile] + local.dy_v_edge[token] * local.k[tile] +
                         local.dy_u_edge[token] * local.b[tile];
        const float da = local.da[tile] + local.z_v_edge[token] * local.k[before] +
                         local.z_u_edge[token] * local.b[before];
        const float dk = local.dk[tile] + local.dk_state[tile] +
                         local.dy_v_edge[token] * local.r[tile] +
                         local.z_v_edge[token + 1] * local.a[after];
        const float db = local.db[tile] + local.db_state[tile] +
                         local.dy_u_edge[token] * local.r[tile] +
                         local.z_u_edge[token + 1] * local.a[after];
        const int to = token * stride;
        const float inverse = __fdividef(1.0f, column.e[i + 1]);
        store(g.dr + to, dr * column.e[i + 1]);
        store(g.da + to, da * column.e[i]);
        store(g.dk + to, dk * inverse);
        store(g.db + to, db * inverse);
        store(g.dlogw + to, dlogw[i]);
    }
}

// A block: one span of one head, CHUNK_THREADS for each of its chunks. Behind the last chunk there
// may be one of no tokens, which changes nothing.
__device__ __forceinline__ void span_gradients(const Gradients& all, Local* locals) {
    const int number = threadIdx.x / CHUNK_THREADS, thread = threadIdx.x % CHUNK_THREADS;
    const int warp = thread / 32, lane = thread % 32, key = thread % N;
    const bool late = thread >= N;
    Local& local = locals[number];
    const uint32_t chunks = uint32_t((all.T + CHUNK - 1) / CHUNK);
    const uint32_t spans = (chunks + SPAN - 1) / SPAN;
    const uint32_t head = blockIdx.x / spans, chunk = blockIdx.x % spans * SPAN + number;
    const int64_t t = int64_t(chunk) * CHUNK, inner = (int64_t(head) * chunks + chunk) * KEY_TILE;
    const int stride = int(all.H * N), rows = int(max(min(all.T - t, int64_t(CHUNK)), int64_t(0)));
    const int64_t here = begin_of(uint32_t(all.first) + head, all.T, all.H) + t * stride;
    const int64_t state = int64_t(blockIdx.x) * N * N;
    const Gradients chunks_own = all.moved(rows ? here : 0), keys_own = all.moved(here + key);

    fetch_keys(chunks_own, local, stride, rows, thread);
    read_values(local.dy, chunks_own.dy, stride, rows);
    read_values(local.v, chunks_own.v, stride, rows);
    read_values(local.u, all.u + inner, N, rows ? CHUNK : 0);
    read_values(local.z, all.z + inner, N, rows ? CHUNK : 0);
    const Column column = read_decays(keys_own.logw, stride, rows, late, local, key);
    copy_wait<0>();
    __syncthreads();
    make_keys(local, column, late, key);
    __syncthreads();
    make_local_squares(local, warp, lane);
    StateProducts p =
        meet_states(locals, number, all.states + state, all.dstates + state, 16 * warp, lane);
    __syncthreads();
    finish_products(local, p, 16 * warp, lane);
    __syncthreads();
    write_gradients(keys_own, local, column, stride, rows, late, key);
}

#endif
