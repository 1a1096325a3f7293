// The WKV-7 recurrence on CUDA, forward and backward, on tensor cores. Knows nothing of layers.
//
//     u = S a;  S <- S diag(exp(logw)) + u b^T + v k^T;  y = S r      S (N, N) as [value, key]
//
// Macros: HEAD = N (32, 64, 128); VALUES, the rows of S in a block (32, 64); IO and DECAY_IO, the
// types of the inputs and of logw (f32, bf16, f16); STAGES, chunks of inputs on their way (1, 2).
// Null pointers: state and dstate2 for zeros. Sizes of grids and memory: engine/wkv7_cuda.py.

#include "wkv7_gradients.h"

// Blocks that a multiprocessor's shared memory holds: its registers shall do so too.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900
constexpr int BLOCKS = EXACT || N > 64 ? 1 : 2;
#else
constexpr int BLOCKS = 1;
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
wkv7_forward(const IO* r, const DECAY_IO* logw, const IO* k, const IO* v, const IO* a, const IO* b,
             const float* state, IO* y, float* state2, long long T, long long H) {
    DYNAMIC_SHARED(Shared, shared);
    const Sweep s = {a, r, k, b, v, logw, state, state2, y, nullptr, nullptr, T, H, 0};
    sweep<false, true>(s, *shared);
}

// Before wkv7_gradients: the state at every span and u at every chunk; in other blocks beside them,
// backwards in time, the state's gradient, z (what U's is in README.md) and dv.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
wkv7_sweeps(const IO* r, const DECAY_IO* logw, const IO* k, const IO* v, const IO* a, const IO* b,
            const float* state, const IO* dy, const float* dstate2, IO* dv, float* dstate,
            float* states, float* dstates, float* u, float* z, long long T, long long H,
            long long first) {
    DYNAMIC_SHARED(Shared, shared);
    if (blockIdx.z == 0) {
        const Sweep s = {b, k, r, a, dy, logw, dstate2, dstate, dv, dstates, z, T, H, first};
        sweep<true, true>(s, *shared);
    } else {
        const Sweep s = {a,       nullptr, k,      b, v, logw, state, nullptr,
                         nullptr, states,  u,      T, H, first};
        sweep<false, false>(s, *shared);
    }
}

extern "C" __global__ void __launch_bounds__(SPAN * CHUNK_THREADS, BLOCKS)
wkv7_gradients(const IO* r, const DECAY_IO* logw, const IO* k, const IO* v, const IO* a,
               const IO* b, const IO* dy, const float* states, const float* dstates, const float* u,
               const float* z, IO* dr, DECAY_IO* dlogw, IO* dk, IO* da, IO* db, long long T,
               long long H, long long first) {
    DYNAMIC_SHARED(Local, locals);
    const Gradients g = {r, k,  v,  a,  b,  dy,    logw, states, dstates, u,
                         z, dr, dk, da, db, dlogw, T,    H,      first};
    span_gradients(g, locals);
}
