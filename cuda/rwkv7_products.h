// Matrices times the few rows of a batch: what the kernels of rwkv7_step.cu have in common.
// Knows nothing of layers.
//
// WEIGHT (f32, bf16 or f16) is the matrices' format, BATCH how many batch rows a block takes at
// once (1, 2, 4 or 8). Activations and sums are float32. Every sum has one order, whatever BATCH
// is, so a row's numbers don't depend on the rows beside it.
//
// Glossary: b a row of the batch, c a column; `valid` rows of the BATCH really exist.

#ifndef ADVENTURE_RWKV7_PRODUCTS_H
#define ADVENTURE_RWKV7_PRODUCTS_H

#include "gpu.h"

constexpr int THREADS = 128, WARPS = THREADS / 32;
constexpr int TILE = 4;                       // matrix rows that a warp has in hand
constexpr int WIDE = 16 / sizeof(WEIGHT);     // weights in one load
constexpr int SUMS = TILE * BATCH;            // 32 at most
constexpr int RESIDENT = BATCH < 8 ? 4 : 3;   // blocks that a multiprocessor holds at least

constexpr int UNROLL = BATCH < 4 ? 4 : 1;     // of loops over columns that go by whole batches

// What the functions below share between the threads of a block. Each part serves one call.
struct Space {
    float products[2][WARPS][SUMS];  // two, so that one barrier a group of rows is enough
    float norm[2][WARPS][BATCH];
};

// How a product's rows are dealt out: `ways` warps share a row's columns (1, 2 or 4), and a block
// takes `groups` times as many rows as its warps have in hand.
struct Deal {
    int ways, groups;
    __device__ int rows() const { return TILE * (WARPS / ways) * groups; }
    __device__ int blocks(int count) const { return (count + rows() - 1) / rows(); }
};

// The part of the batch that this block works on.
struct Part {
    int first, valid;
    __device__ explicit Part(long long B)
        : first(int(blockIdx.y) * BATCH), valid(int(B) - first < BATCH ? int(B) - first : BATCH) {}
    // Where row b lies in a tensor (B, width); a row that doesn't exist reads the last one's.
    __device__ long long at(int b, long long width) const {
        return (first + (b < valid ? b : valid - 1)) * width;
    }
};

// Halves what a lane carries: x[0..HALF) become sums over two lanes, whose upper one goes on with
// what was x[HALF..2 HALF). And so on, down to one number a lane.
template <int HALF, int COUNT>
__device__ __forceinline__ void fold(float (&x)[COUNT], int offset) {
    if constexpr (HALF > 0) {
        const bool upper = (threadIdx.x & offset) != 0;
#pragma unroll
        for (int i = 0; i < HALF; ++i) {
            const float kept = upper ? x[i + HALF] : x[i], given = upper ? x[i] : x[i + HALF];
            x[i] = kept + shuffle_xor(given, offset);
        }
        fold<HALF / 2>(x, offset / 2);
    }
}

// Sums each of COUNT numbers (32 at most, a power of two) over the lanes, all by the same tree.
// Lane l gets the sum of number l * COUNT / 32.
template <int COUNT>
__device__ __forceinline__ float warp_sums(float (&x)[COUNT]) {
    fold<COUNT / 2>(x, 16);
#pragma unroll
    for (int offset = 16 / COUNT; offset > 0; offset /= 2) x[0] += shuffle_xor(x[0], offset);
    return x[0];
}

// Sums each of x over the block; `space` is used by no other call. A barrier for all threads.
template <int COUNT>
__device__ inline void block_sums(float (&x)[COUNT], float (&space)[WARPS][COUNT]) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const float sum = warp_sums(x);
    if (lane % (32 / COUNT) == 0) space[warp][lane * COUNT / 32] = sum;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        x[i] = space[0][i];
#pragma unroll
        for (int w = 1; w < WARPS; ++w) x[i] += space[w][i];
    }
}

// Layer norm of ROWS rows of C numbers (a multiple of 4) that lie in `rows`, in place. Here and in
// `shift` and `fetch` a thread touches its own columns alone: every THREADS-th four.
template <int ROWS>
__device__ inline void layer_norm(float* rows, int C, const float* weight, const float* bias,
                                  float (&space)[2][WARPS][ROWS]) {
    const float share = 1.0f / C;
    float mean[ROWS] = {}, scale[ROWS] = {};
#pragma unroll UNROLL
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4)
#pragma unroll
        for (int b = 0; b < ROWS; ++b) {
            float x[4];
            load_vector<4>(rows + b * C + c, x);
            for (int i = 0; i < 4; ++i) mean[b] += x[i];
        }
    block_sums(mean, space[0]);
#pragma unroll
    for (int b = 0; b < ROWS; ++b) mean[b] *= share;
#pragma unroll UNROLL
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4)
#pragma unroll
        for (int b = 0; b < ROWS; ++b) {
            float x[4];
            load_vector<4>(rows + b * C + c, x);
            for (int i = 0; i < 4; ++i) scale[b] += (x[i] - mean[b]) * (x[i] - mean[b]);
        }
    block_sums(scale, space[1]);
#pragma unroll
    for (int b = 0; b < ROWS; ++b) scale[b] = rsqrtf(scale[b] * share + 1e-5f);
#pragma unroll UNROLL
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4) {
        float w[4], plus[4];
        load_vector<4>(weight + c, w);
        load_vector<4>(bias + c, plus);
#pragma unroll
        for (int b = 0; b < ROWS; ++b) {
            float x[4];
            load_vector<4>(rows + b * C + c, x);
            for (int i = 0; i < 4; ++i) x[i] = (x[i] - mean[b]) * scale[b] * w[i] + plus[i];
            store_vector<4>(rows + b * C + c, x);
        }
    }
}

// rows[b] = x[b] + (past[b] - x[b]) mix, in place; x itself also goes to `kept` if that isn't null.
// past and kept are (B, C).
__device__ inline void shift(float* rows, int C, Part part, const float* past, const float* mix,
                             float* kept) {
#pragma unroll UNROLL
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4) {
        float m[4];
        load_vector<4>(mix + c, m);
#pragma unroll
        for (int b = 0; b < BATCH; ++b) {
            float x[4], xp[4];
            load_vector<4>(rows + b * C + c, x);
            load_vector<4>(past + part.at(b, C) + c, xp);
            if (kept && b < part.valid) store_vector<4>(kept + part.at(b, C) + c, x);
            for (int i = 0; i < 4; ++i) x[i] += (xp[i] - x[i]) * m[i];
            store_vector<4>(rows + b * C + c, x);
        }
    }
}

// The block's rows of x (B, C) into `rows`.
__device__ inline void fetch(float* rows, int C, Part part, const float* x) {
#pragma unroll UNROLL
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4) {
        float pieces[BATCH][4];
#pragma unroll
        for (int b = 0; b < BATCH; ++b) load_vector<4>(x + part.at(b, C) + c, pieces[b]);
#pragma unroll
        for (int b = 0; b < BATCH; ++b) store_vector<4>(rows + b * C + c, pieces[b]);
    }
}

// One warp's share of TILE matrix rows times the batch: sums[t * BATCH + b]. input(b) points to a
// row of floats; this warp takes every `ways`-th piece of 32 loads, from the part-th on.
template <typename Input>
__device__ __forceinline__ void tile_product(const WEIGHT* matrix, int count, int columns, int row,
                                             int part, int ways, Input input,
                                             float (&sums)[SUMS]) {
    const int lane = threadIdx.x % 32;
    const WEIGHT* rows[TILE];
#pragma unroll
    for (int t = 0; t < TILE; ++t)
        rows[t] = matrix + (long long)(row + t < count ? row + t : count - 1) * columns;
#pragma unroll 2
    for (int c = (part * 32 + lane) * WIDE; c < columns; c += ways * 32 * WIDE) {
        float w[TILE][WIDE];
#pragma unroll
        for (int t = 0; t < TILE; ++t) load_vector<WIDE>(rows[t] + c, w[t]);
#pragma unroll
        for (int b = 0; b < BATCH; ++b) {
            float x[WIDE];
            load_vector<WIDE>(input(b) + c, x);
#pragma unroll
            for (int t = 0; t < TILE; ++t)
#pragma unroll
                for (int i = 0; i < WIDE; ++i) sums[t * BATCH + b] += w[t][i] * x[i];
        }
    }
}

// The block's rows, from `first` on, of matrix (count, columns) times the batch:
// finish(row, b, sum) for each, once, by some thread. columns is a multiple of WIDE.
template <typename Input, typename Finish>
__device__ inline void products(const WEIGHT* matrix, int count, int columns, int first,
                                Deal deal, Part part, float (&space)[2][WARPS][SUMS], Input input,
                                Finish finish) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int teams = WARPS / deal.ways;
    for (int g = 0; g < deal.groups; ++g, first += teams * TILE) {
        const int row = first + warp / deal.ways * TILE;
        float sums[SUMS] = {};
        if (row < count)
            tile_product(matrix, count, columns, row, warp % deal.ways, deal.ways, input, sums);
        const float sum = warp_sums(sums);
        if (lane % (32 / SUMS) == 0) space[g % 2][warp][lane * SUMS / 32] = sum;
        __syncthreads();
        if (int(threadIdx.x) < teams * SUMS) {
            const int team = threadIdx.x / SUMS, at = threadIdx.x % SUMS, b = at % BATCH;
            const int done = first + team * TILE + at / BATCH;
            float whole = space[g % 2][team * deal.ways][at];
            for (int w = 1; w < deal.ways; ++w) whole += space[g % 2][team * deal.ways + w][at];
            if (done < count && b < part.valid) finish(done, part.first + b, whole);
        }
    }
}

#endif
