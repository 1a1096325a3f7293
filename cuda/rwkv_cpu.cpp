// The RWKV runtime for a CPU as plain C functions; knows nothing about Python, files or text.
//
// A caller makes a net, names its weights, and then runs forward passes on it, from any thread.
// rwkv_forward.h has what a pass computes, linear.h how matrices are packed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "linear.h"
#include "rwkv_forward.h"
#include "rwkv_memory.h"
#include "rwkv_net.h"
#include "simd.h"
#include "threads.h"

namespace {

using rwkv::Arena;
using rwkv::Buffers;
using rwkv::Call;
using rwkv::Net;
using rwkv::Sizes;

constexpr int64_t kBlockRows = 256;  // what a layer makes of them stays in the cache

bool in_range(const int64_t* x, int64_t n, int64_t end) {
  bool fits = true;
  for (int64_t i = 0; i < n; ++i) fits &= x[i] >= 0 && x[i] < end;
  return fits;
}

bool tokens_fit(const Sizes& s, const Call& call) {
  const int64_t n = call.B * call.T;
  if (!in_range(call.tokens, n, s.V)) return false;
  return !call.ids || (in_range(call.ids, n * s.channels, s.V) &&
                       in_range(call.codes, n * s.channels, s.codes));
}

// The pool for as long as this lives; none where there is one thread, or while others have it.
class Crew {
 public:
  explicit Crew(int threads) : pool(threads::Pool::acquire(threads)) {}
  ~Crew() {
    if (pool) pool->release();
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  int size() const { return pool ? pool->threads() : 1; }
  threads::Pool* const pool;
};

void forward(const Net& net, const Call& call, int threads) {
  static thread_local rwkv::Workspace workspace;
  const Crew crew(threads);
  const threads::FlushDenormals flush;
  const int64_t rows = std::min(kBlockRows, call.B * call.T);
  Arena counting(nullptr);
  Buffers(counting, net, rows, crew.size());
  Arena arena(workspace.at_least(counting.used()));
  const Buffers buffers(arena, net, rows, crew.size());
  rwkv::Forward(net, call, crew.pool, buffers).run(rows);
}

// 1 when memory ran out.
int run(const void* net, const Call& call, int threads) {
  try {
    forward(*static_cast<const Net*>(net), call, threads);
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

}  // namespace

// Functions with a result return 0 when all went well.
extern "C" {

int rwkv_lanes() { return simd::kNative; }

// sizes: as the fields of rwkv::Sizes. nullptr when memory ran out.
void* rwkv_new(const int64_t* sizes) {
  return new (std::nothrow) Net(
      {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7]});
}

void rwkv_free(void* net) { delete static_cast<Net*>(net); }

// The memory that the next three are given stays the caller's, unchanged as long as the net lives.
void rwkv_vector(void* net, const char* name, const void* data) {
  static_cast<Net*>(net)->vector(name, data);
}

void rwkv_table(void* net, const char* name, int type, const void* rows) {
  static_cast<Net*>(net)->table(name, {type, rows});
}

void rwkv_linear(void* net, const char* name, int kind, int64_t K, int64_t N, const void* packed) {
  static_cast<Net*>(net)->linear(name, {kind, K, N, packed});
}

// "" or the first weight that is missing; to be called after the others and before rwkv_forward.
const char* rwkv_ready(void* net) { return static_cast<Net*>(net)->ready(); }

// 1 when memory ran out, 2 for a token, hint or code that the tables haven't got.
int rwkv_forward(const void* net, int threads, int64_t B, int64_t T, const int64_t* tokens,
                 const int64_t* ids, const int64_t* codes, const void* const* past,
                 void* const* next, int64_t wanted, const int64_t* positions, float* logits) {
  const Call call{B, T, tokens, ids, codes, past, next, positions, wanted, logits};
  if (!tokens_fit(static_cast<const Net*>(net)->sizes(), call)) return 2;
  return run(net, call, threads);
}

// As rwkv_forward for embeddings (B, T, C), without hints; gives what the head takes, (wanted, C).
int rwkv_read_embeddings(const void* net, int threads, int64_t B, int64_t T, const float* embedded,
                         const void* const* past, void* const* next, int64_t wanted,
                         const int64_t* positions, float* outputs) {
  const Call call{B,    T,         nullptr, nullptr, nullptr,  past,
                  next, positions, wanted,  nullptr, embedded, outputs};
  return run(net, call, threads);
}

// Bytes of a packed (K, N) matrix; it begins at a multiple of 64.
size_t rwkv_packed_bytes(int kind, int64_t K, int64_t N) { return linear::bytes(kind, K, N); }

// Asks the system for large pages behind memory that nothing has been written to yet: walking
// through weights by pages of 4 KB costs a third of the speed. It may refuse.
void rwkv_large_pages(void* memory, size_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t page = 4096;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(memory) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

// Packs the matrix whose W[k][n] is number k * stride_k + n * stride_n of `w`, of type `source`.
void rwkv_pack(int threads, int kind, int64_t K, int64_t N, const void* w, int source,
               int64_t stride_k, int64_t stride_n, void* packed) {
  const Crew crew(threads);
  const threads::FlushDenormals flush;
  const auto pack_panel = [&](int, int64_t panel) {
    linear::pack(kind, K, N, w, source, stride_k, stride_n, packed, panel, panel + 1);
  };
  if (crew.pool) return crew.pool->run(linear::panels(N), pack_panel);
  for (int64_t panel = 0; panel < linear::panels(N); ++panel) pack_panel(0, panel);
}

}  // extern "C"
