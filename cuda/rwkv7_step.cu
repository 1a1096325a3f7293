// One token of RWKV-7 for B rows, from token numbers to logits: five kernels a layer, one before
// the layers and one after. Knows nothing of texts.
//
// WEIGHT, BATCH: see rwkv7_products.h. HEAD: the head size, 16, 32, 64 or 128. CHANNELS, CODES: of
// copy hints. engine/rwkv/v7_gpu.py packs the weights and launches; engine/rwkv/v7_layers.py is the
// specification. A kernel reads only what earlier kernels wrote, and what it writes nobody reads
// while it runs. Where a token's own tensors lie is read from a table, `where`, so that the very
// same launches serve every token.
//
// Glossary: B batch, C width, F feed-forward width, H heads, N = HEAD, V vocabulary, D the sum of
// the low ranks; r w k v a g nu kk S as in v7_layers.py.

#include "rwkv7_products.h"

// What `where` holds: addresses.
enum Where { TOKENS, IDS, CODES_AT, ATT_IN, FFN_IN, WKV_IN, ATT_OUT, FFN_OUT, WKV_OUT, LOGITS };

// The rows of a layer's vectors (20, C), float32.
enum Vector {
    LN1, LN1_BIAS, MIX, W0 = MIX + 7, A0, V0, K_K, K_A, R_K, LN_X, LN_X_BIAS, LN2, LN2_BIAS, FFN_MIX
};

// What the first kernel of a layer multiplies by, in this order.
enum Kind { R, K, V, W, A, G, NU, KINDS };

// The slice of the token's tensor that belongs to `layer`, of `size` floats a layer.
__device__ __forceinline__ float* slice(const long long* where, Where what, long long layer,
                                        long long size) {
    return reinterpret_cast<float*>(where[what]) + layer * size;
}

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// x (B, C) = ln0(embedding of the token + what its hints add). A block is a row. vectors holds
// ln0's weight and bias, the hints' scales (CHANNELS, C) and codes (CHANNELS * CODES, C). A token
// or hint that isn't in the vocabulary makes NaN.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    rwkv7_embed(const long long* where, const WEIGHT* table, const WEIGHT* hint_table,
                const float* vectors, float* x, long long vocab, long long C) {
    DYNAMIC_SHARED(float, row);
    __shared__ float space[2][WARPS][1];
    const long long* ids = reinterpret_cast<const long long*>(where[IDS]);
    const long long* codes = reinterpret_cast<const long long*>(where[CODES_AT]);
    const int b = blockIdx.x;
    const long long token = reinterpret_cast<const long long*>(where[TOKENS])[b];
    const bool known = token >= 0 && token < vocab;
    const float *scale = vectors + 2 * C, *code_rows = scale + CHANNELS * C;
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4)
        for (int i = c; i < c + 4; ++i) {
            float sum = known ? load(table + token * C + i) : __uint_as_float(0x7fc00000u);
            for (int k = 0; hint_table && k < CHANNELS; ++k) {
                const long long code = codes[b * CHANNELS + k], id = ids[b * CHANNELS + k];
                if (code < 0 || code >= CODES || (code > 0 && (id < 0 || id >= vocab))) {
                    sum = __uint_as_float(0x7fc00000u);
                    continue;
                }
                sum += code_rows[(k * CODES + code) * C + i];
                if (code > 0) sum += scale[k * C + i] * load(hint_table + id * C + i);
            }
            row[i] = sum;
        }
    layer_norm<1>(row, C, vectors, vectors + C, space);
    for (int c = threadIdx.x * 4; c < C; c += THREADS * 4)
        for (int i = c; i < c + 4; ++i) x[b * C + i] = row[i];  // this thread's own columns
}

// Norm, token shift, and all products of the shifted inputs: rkv (3, B, C), and low (B, D), the
// activated inner side of the low-rank parts w a g nu. The norm itself is the next att_x.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    rwkv7_project(const long long* where, const float* x, const float* vectors,
                  const WEIGHT* receptance, const WEIGHT* key, const WEIGHT* value,
                  const WEIGHT* down, float* rkv, float* low, long long layer, long long B,
                  long long C, long long rank_w, long long rank_a, long long rank_g,
                  long long rank_v, long long ways, long long groups) {
    DYNAMIC_SHARED(float, rows);
    __shared__ Space space;
    const Deal deal = {int(ways), int(groups)};
    const Part part(B);
    const int D = int(rank_w + rank_a + rank_g + rank_v);

    // Which matrix this block works on, and where in it.
    const int block = blockIdx.x;
    int kind = R, count = 0, begin = 0, before = 0;
    const WEIGHT* matrix = receptance;
#pragma unroll
    for (int q = R, end = 0, sum_of_ranks = 0; q < KINDS; ++q) {
        const int size = int(q < W    ? C
                             : q == W ? rank_w
                             : q == A ? rank_a
                             : q == G ? rank_g
                                      : rank_v);
        if (block >= end) {
            kind = q, count = size, begin = end, before = sum_of_ranks;
            matrix = q == R ? receptance : q == K ? key : q == V ? value : down + before * C;
        }
        end += deal.blocks(size);
        if (q >= W) sum_of_ranks += size;
    }
    fetch(rows, C, part, x);
    layer_norm<BATCH>(rows, C, vectors + LN1 * C, vectors + LN1_BIAS * C, space.norm);
    shift(rows, C, part, slice(where, ATT_IN, layer, B * C), vectors + (MIX + kind) * C,
          blockIdx.x == 0 ? slice(where, ATT_OUT, layer, B * C) : nullptr);
    __syncthreads();
    products(
        matrix, count, C, (block - begin) * deal.rows(), deal, part, space.products,
        [=](int b) { return rows + b * C; },
        [=](int row, int b, float sum) {
            if (kind < W) rkv[(kind * B + b) * C + row] = sum;
            else low[(long long)b * D + before + row] = kind == W   ? tanhf(sum)
                                                         : kind == G ? sigmoid(sum)
                                                                     : sum;
        });
}

constexpr int N = HEAD;
constexpr int RECUR_THREADS = N <= 32 ? N * N / 4 : 4 * N, RECUR_WARPS = RECUR_THREADS / 32;
constexpr int LANES = N / 4;                            // threads along a row of S, four keys each
constexpr int STRIDE = RECUR_THREADS / LANES;           // rows of S that are worked on at once
constexpr int PASSES = N / STRIDE;
constexpr int ACROSS = N / WIDE, DOWN = RECUR_THREADS / ACROSS;  // threads over (D, N) weights

// A head's own numbers, in shared memory.
struct Head {
    float r[N], k[N], v[N], decay[N], a[N], g[N], kk[N], y[N];
    float squares[N], bonus[N];
    float ups[RECUR_WARPS][4][N];
};

// The sum of x[0..N), the same bits in every lane of every warp.
__device__ __forceinline__ float head_sum(const float* x) {
    float sum = 0;
    for (int i = threadIdx.x % 32; i < N; i += 32) sum += x[i];
    return warp_sum(sum);
}

// The outer side of the low-rank parts for one head: head.ups[warp][part], to be added up over the
// warps. up is (D, C), from the head's first column on; low (D,).
__device__ inline void low_rank_ups(Head& head, const WEIGHT* up, const float* low, long long C,
                                    int D, int end_w, int end_a, int end_g) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int column = threadIdx.x % ACROSS * WIDE;
    float sums[4][WIDE] = {};
#pragma unroll 4
    for (int j = threadIdx.x / ACROSS; j < D; j += DOWN) {
        const int part = (j >= end_w) + (j >= end_a) + (j >= end_g);
        const float x = low[j];
        float w[WIDE];
        load_vector<WIDE>(up + j * C + column, w);
#pragma unroll
        for (int p = 0; p < 4; ++p)
            if (part == p)
#pragma unroll
                for (int i = 0; i < WIDE; ++i) sums[p][i] += x * w[i];
    }
#pragma unroll
    for (int p = 0; p < 4; ++p)
#pragma unroll
        for (int i = 0; i < WIDE; ++i) {
            float sum = sums[p][i];
#pragma unroll
            for (int offset = 16; offset >= ACROSS; offset /= 2) sum += shuffle_xor(sum, offset);
            if (lane < ACROSS) head.ups[warp][p][column + i] = sum;
        }
}

// Channel c of the head, from its products to what the recurrence takes. at = h N + c.
__device__ inline void activate(Head& head, int c, long long at, long long C, const float* vectors,
                                float r, float k, float v, float* first_v, bool is_first) {
    float up[4];
    for (int p = 0; p < 4; ++p) {
        up[p] = head.ups[0][p][c];
        for (int w = 1; w < RECUR_WARPS; ++w) up[p] += head.ups[w][p][c];
    }
    const float a = sigmoid(vectors[A0 * C + at] + up[1]);
    if (is_first) *first_v = v;
    else v += (*first_v - v) * sigmoid(vectors[V0 * C + at] + up[3]);
    const float kk = k * vectors[K_K * C + at], k_a = vectors[K_A * C + at];
    k *= (1.0f - k_a) + a * k_a;
    head.r[c] = r, head.k[c] = k, head.v[c] = v, head.a[c] = a, head.g[c] = up[2], head.kk[c] = kk;
    head.decay[c] = expf(-0.60653066f * sigmoid(vectors[W0 * C + at] + up[0]));  // exp(-1/2)
    head.squares[c] = kk * kk;
    head.bonus[c] = r * k * vectors[R_K * C + at];
}

// One step of S (this thread's four keys of PASSES rows, in registers): y goes to head.y.
__device__ inline void advance(float (&S)[PASSES][4], Head& head) {
    const int j = threadIdx.x % LANES * 4;
    const float norm = 1.0f / fmaxf(sqrtf(head_sum(head.squares)), 1e-12f);
    float kk[4], b[4];
    for (int q = 0; q < 4; ++q) kk[q] = head.kk[j + q] * norm, b[q] = kk[q] * head.a[j + q];
#pragma unroll
    for (int p = 0; p < PASSES; ++p) {
        const int i = p * STRIDE + threadIdx.x / LANES;
        float u = 0, y = 0;
        for (int q = 0; q < 4; ++q) u -= S[p][q] * kk[q];
        for (int offset = LANES / 2; offset > 0; offset /= 2) u += shuffle_xor(u, offset);
        for (int q = 0; q < 4; ++q) {
            S[p][q] = S[p][q] * head.decay[j + q] + u * b[q] + head.v[i] * head.k[j + q];
            y += S[p][q] * head.r[j + q];
        }
        for (int offset = LANES / 2; offset > 0; offset /= 2) y += shuffle_xor(y, offset);
        if (threadIdx.x % LANES == 0) head.y[i] = y;
    }
}

// From products to the gated output of one head of one row (block x = head, y = row): mixed (B, C).
// up is (D, C). first_v (B, C) is written in layer 0 and read in the later ones.
extern "C" __global__ void __launch_bounds__(RECUR_THREADS)
    rwkv7_recur(const long long* where, const float* vectors, const WEIGHT* up, const float* rkv,
                const float* low, float* first_v, float* mixed, long long layer, long long B,
                long long C, long long rank_w, long long rank_a, long long rank_g,
                long long rank_v) {
    __shared__ Head head;
    const int c = threadIdx.x, b = blockIdx.y;
    const int D = int(rank_w + rank_a + rank_g + rank_v);
    const long long column = (long long)blockIdx.x * N, at = b * C + column + c;
    const long long cell = (b * (C / N) + blockIdx.x) * N * N + threadIdx.x * 4;
    const float* S_in = slice(where, WKV_IN, layer, B * C * N) + cell;
    float* S_out = slice(where, WKV_OUT, layer, B * C * N) + cell;
    float S[PASSES][4];
#pragma unroll
    for (int p = 0; p < PASSES; ++p) load_vector<4>(S_in + p * STRIDE * N, S[p]);

    low_rank_ups(head, up + column, low + (long long)b * D, C, D, int(rank_w),
                 int(rank_w + rank_a), D - int(rank_v));
    __syncthreads();
    if (c < N)
        activate(head, c, column + c, C, vectors, rkv[at], rkv[B * C + at], rkv[2 * B * C + at],
                 first_v + at, layer == 0);
    __syncthreads();
    advance(S, head);
#pragma unroll
    for (int p = 0; p < PASSES; ++p) store_vector<4>(S_out + p * STRIDE * N, S[p]);
    __syncthreads();

    const float mean = head_sum(head.y) / N, bonus = head_sum(head.bonus);
    float variance = 0;
    for (int i = threadIdx.x % 32; i < N; i += 32)
        variance += (head.y[i] - mean) * (head.y[i] - mean);
    const float scale = rsqrtf(warp_sum(variance) / N + 64e-5f);
    if (c < N) {
        const float y = (head.y[c] - mean) * scale * vectors[LN_X * C + column + c] +
                        vectors[LN_X_BIAS * C + column + c];
        mixed[at] = (y + bonus * head.v[c]) * head.g[c];
    }
}

// x (B, C) += matrix (C, columns) input (B, columns). Each number of x is one thread's alone.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    rwkv7_add(const WEIGHT* matrix, const float* input, float* x, long long B, long long C,
              long long columns, long long ways, long long groups) {
    __shared__ Space space;
    const Deal deal = {int(ways), int(groups)};
    const Part part(B);
    products(
        matrix, C, columns, blockIdx.x * deal.rows(), deal, part, space.products,
        [=](int b) { return input + part.at(b, columns); },
        [=](int row, int b, float sum) { x[b * C + row] += sum; });
}

// Norm, token shift, and the squared ReLU of the key product: hidden (B, width), of which the first
// F are written. The norm itself is the next ffn_x.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    rwkv7_key(const long long* where, const float* x, const float* vectors, const WEIGHT* key,
              float* hidden, long long layer, long long B, long long C, long long F,
              long long width, long long ways, long long groups) {
    DYNAMIC_SHARED(float, rows);
    __shared__ Space space;
    const Deal deal = {int(ways), int(groups)};
    const Part part(B);
    fetch(rows, C, part, x);
    layer_norm<BATCH>(rows, C, vectors + LN2 * C, vectors + LN2_BIAS * C, space.norm);
    shift(rows, C, part, slice(where, FFN_IN, layer, B * C), vectors + FFN_MIX * C,
          blockIdx.x == 0 ? slice(where, FFN_OUT, layer, B * C) : nullptr);
    __syncthreads();
    products(
        key, F, C, blockIdx.x * deal.rows(), deal, part, space.products,
        [=](int b) { return rows + b * C; },
        [=](int row, int b, float sum) {
            const float x = sum < 0 ? 0 : sum;  // a NaN stays one
            hidden[b * width + row] = x * x;
        });
}

// Logits (B, V): ln_out, the head, and each hint's gate on its token. vectors holds ln_out's weight
// and bias, the gates' weights (CHANNELS, C) and biases (CHANNELS * CODES,); has_hints is 0 or 1.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    rwkv7_head(const long long* where, const float* x, const float* vectors, const WEIGHT* matrix,
               long long B, long long C, long long vocab, long long has_hints, long long ways,
               long long groups) {
    DYNAMIC_SHARED(float, rows);
    __shared__ Space space;
    __shared__ float gates[BATCH * CHANNELS];
    const Deal deal = {int(ways), int(groups)};
    const Part part(B);
    const long long* ids = reinterpret_cast<const long long*>(where[IDS]);
    const long long* codes = reinterpret_cast<const long long*>(where[CODES_AT]);
    float* logits = reinterpret_cast<float*>(where[LOGITS]);
    const int first = blockIdx.x * deal.rows();
    fetch(rows, C, part, x);
    layer_norm<BATCH>(rows, C, vectors, vectors + C, space.norm);
    __syncthreads();
    // The gates of hints at tokens of this block, a warp a hint; most blocks have none. They are
    // read after the barrier that `products` has before it finishes a row.
    for (int g = threadIdx.x / 32; has_hints && g < part.valid * CHANNELS; g += WARPS) {
        const int k = g % CHANNELS;
        const long long hint = (long long)part.first * CHANNELS + g, id = ids[hint];
        if (codes[hint] <= 0 || codes[hint] >= CODES) continue;  // the latter's logits are NaN
        if (id < first || id >= first + deal.rows()) continue;
        float sum = 0;
        for (int c = threadIdx.x % 32; c < C; c += 32)
            sum += rows[g / CHANNELS * C + c] * vectors[(2 + k) * C + c];
        gates[g] = warp_sum(sum) + vectors[(2 + CHANNELS) * C + k * CODES + codes[hint]];
    }
    products(
        matrix, vocab, C, first, deal, part, space.products,
        [=](int b) { return rows + b * C; },
        [=](int row, int b, float sum) {
            for (int k = 0; has_hints && k < CHANNELS; ++k) {
                const long long hint = (long long)b * CHANNELS + k;
                if (codes[hint] > 0 && ids[hint] == row)
                    sum += gates[(b - part.first) * CHANNELS + k];
            }
            logits[b * vocab + row] = sum;
        });
}
