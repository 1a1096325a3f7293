// Small kernels, one for each thing that gpu.h names, and some with the mistakes that the emulator
// must show.

#include "gpu.h"

// ---- tensor cores: registers come as they are, lane by lane ----

#define PRODUCT(name, multiply)                                                               \
    extern "C" __global__ void name(float* d, const uint32_t* a, const uint32_t* b) {         \
        const int l = threadIdx.x;                                                            \
        float D[4];                                                                           \
        uint32_t A[4], B[2];                                                                  \
        for (int i = 0; i < 4; ++i) D[i] = d[4 * l + i], A[i] = a[4 * l + i];                 \
        for (int i = 0; i < 2; ++i) B[i] = b[2 * l + i];                                      \
        multiply(D, A, B);                                                                    \
        for (int i = 0; i < 4; ++i) d[4 * l + i] = D[i];                                      \
    }

__device__ __forceinline__ void three(float (&D)[4], const uint32_t (&A)[4],
                                      const uint32_t (&B)[2]) {
    float a[4], b[2];
    for (int i = 0; i < 4; ++i) a[i] = __uint_as_float(A[i]);
    for (int i = 0; i < 2; ++i) b[i] = __uint_as_float(B[i]);
    mma_3xtf32(D, split_tf32(a), split_tf32(b));
}

PRODUCT(product_tf32, mma_tf32)
PRODUCT(product_bf16, mma_bf16)
PRODUCT(product_3xtf32, three)

extern "C" __global__ void matrices(uint32_t* y, const uint32_t* x) {
    __shared__ __align__(16) uint32_t s[32 * 4];
    const int l = threadIdx.x;
    for (int i = 0; i < 4; ++i) s[4 * l + i] = x[4 * l + i];
    __syncwarp();
    uint32_t m[4];
    load_matrices(m, s + 4 * (31 - l));
    for (int i = 0; i < 4; ++i) y[4 * l + i] = m[i];
}

// ---- conversions, vectors, lanes ----

#define CONVERSIONS(IO)                                                \
    extern "C" __global__ void widen_##IO(float* y, const IO* x) {     \
        const long long i = blockIdx.x * 128 + threadIdx.x;            \
        load_vector<8>(x + 8 * i, y + 8 * i);                          \
        if (i == 0) y[3] = load(x + 3);                                \
        if (i == 0) load_vector<1>(x + 5, y + 5);                      \
    }                                                                  \
    extern "C" __global__ void narrow_##IO(IO* y, const float* x) {    \
        const long long i = blockIdx.x * 128 + threadIdx.x;            \
        store_vector<8>(y + 8 * i, x + 8 * i);                         \
        if (i == 0) store(y + 3, x[3]);                                \
        if (i == 0) store_vector<2>(y + 4, x + 4);                     \
    }

CONVERSIONS(f32)
CONVERSIONS(bf16)
CONVERSIONS(f16)

extern "C" __global__ void pairs(uint32_t* y, const float* x) {
    y[threadIdx.x] = pack_bf16(x[2 * threadIdx.x], x[2 * threadIdx.x + 1]);
}

extern "C" __global__ void round_tf32(uint32_t* y, const float* x) {
    y[threadIdx.x] = to_tf32(x[threadIdx.x]);
}

extern "C" __global__ void lanes(float* y, const float* x) {
    const int l = threadIdx.x;
    y[l] = shuffle_xor(x[l], 5);
    y[32 + l] = shuffle(x[l], (l + 7) % 32);
    y[64 + l] = shuffle_down(x[l], 3);
    y[96 + l] = warp_sum(x[l]);
    y[128 + l] = warp_any(l == 9) + 2 * warp_any(l == 99);
    y[160 + l] = fast_exp2(x[l] / 4 - 6);
}

extern "C" __global__ void where(long long* y, long long n, const float* none) {
    if (threadIdx.x || none) return;
    const long long b = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    y[b] = n + blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z + 1000 * blockDim.x;
}

extern "C" __global__ void scale(float* y, const float* x, long long n, const float* add) {
    DYNAMIC_SHARED(float, s);
    const long long i = blockIdx.x * blockDim.x + threadIdx.x;
    s[threadIdx.x] = i < n ? x[i] : 0;
    if (i < n) y[i] = 2 * s[threadIdx.x] + (add ? add[i] : 0);
}

// ---- threads that need each other ----

extern "C" __global__ void neighbours(float* y, long long shift, long long warp, long long block) {
    DYNAMIC_SHARED(float, s);
    const int t = threadIdx.x;
    s[t] = t;
    if (warp) __syncwarp();
    if (block) __syncthreads();
    y[blockIdx.x * blockDim.x + t] = s[(t + shift) % blockDim.x];
}

// Three copies in the background: how many are committed, how many may be pending.
extern "C" __global__ void copies(float* y, const float* x, long long commits, long long pending,
                                  long long barrier) {
    __shared__ __align__(16) float s[3][128];
    const int t = 4 * threadIdx.x;
    for (int i = 0; i < 3; ++i) {
        copy16_async(s[i] + t, x + 128 * i + t, i != 1 || t < 64);
        if (i < commits) copy_commit();
    }
    if (pending == 0) copy_wait<0>();
    if (pending == 1) copy_wait<1>();
    if (barrier) __syncthreads();
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 4; ++j) y[128 * i + t + j] = s[i][(t + j + 4) % 128];
}

// Some lanes copy into what the others still read.
extern "C" __global__ void hasty(float* y, const float* x, long long barrier) {
    __shared__ __align__(16) float s[128];
    const int t = threadIdx.x;
    for (int i = 0; i < 4; ++i) s[4 * t + i] = 1;
    __syncthreads();
    y[t] = s[127 - t];
    if (barrier) __syncthreads();
    copy16_async(s + 4 * t, x);
    copy_commit();
    copy_wait<0>();
}

// ---- mistakes ----

extern "C" __global__ void half(float* y) {
    if (threadIdx.x < 40) __syncthreads();
    else y[0] = warp_sum(y[0]);
}

extern "C" __global__ void two(float* y) {
    if (threadIdx.x < 32) __syncthreads();
    else
        __syncthreads();
}

extern "C" __global__ void left(float* y) {
    if (threadIdx.x >= 32) return;
    __syncthreads();
    y[threadIdx.x] = 7;
}

extern "C" __global__ void gone(float* y) {
    if (threadIdx.x % 32 < 3) return;
    y[threadIdx.x] = shuffle_xor(1, 1);
}

extern "C" __global__ void crooked(float* y) {
    DYNAMIC_SHARED(float, s);
    copy16_async(s + 1, y);
}

extern "C" __global__ void oblique(float* y) {
    float x[4];
    load_vector<4>(y + 1, x);
    y[threadIdx.x] = x[0];
}

extern "C" __global__ void beyond(float* y) {
    DYNAMIC_SHARED(float, s);
    s[threadIdx.x] = 0;
    y[threadIdx.x] = s[0];
}

extern "C" __global__ void read(float* y, long long n) {
    DYNAMIC_SHARED(float, s);
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x + n];
}
