// What a forward pass writes to between its steps: one piece of memory, kept for the next pass.
//
// R rows of a block, C width, H heads, F width of the channel mix.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include "linear.h"
#include "rwkv_net.h"

namespace rwkv {

constexpr int kInputs = 6, kOutputs = 7;  // buffers of R x C that a layer's products read, write

// One piece of memory handed out from the front; without memory it only counts.
class Arena {
 public:
  explicit Arena(char* begin) : begin_(begin) {}
  char* bytes(std::size_t n) {
    char* here = begin_ ? begin_ + used_ : nullptr;
    used_ += (n + 63) / 64 * 64;
    return here;
  }
  float* floats(int64_t n) {
    return reinterpret_cast<float*>(bytes(static_cast<std::size_t>(n) * sizeof(float)));
  }
  std::size_t used() const { return used_; }

 private:
  char* begin_;
  std::size_t used_ = 0;
};

// A thread's memory for its calls: kept, and grown when a call needs more.
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { ::operator delete(data_, std::align_val_t{64}); }
  char* at_least(std::size_t n) {
    if (n > size_) {
      char* larger = static_cast<char*>(::operator new(n, std::align_val_t{64}));
      ::operator delete(data_, std::align_val_t{64});
      data_ = larger;
      size_ = n;
    }
    return data_;
  }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

struct Buffers {
  float *x, *h, *change, *first;  // R x C: stream, layer-normed, before - h, layer 0's values
  float *in[kInputs], *out[kOutputs];
  float *low, *up;                // R x (widths of a layer's low-rank parts), R x F
  float *gates;                   // R x channels
  float *spare;                   // for each thread
  char *quantised;

  static int64_t spare_floats(const Sizes& s) { return s.C + 8 * (s.C / s.H); }
  static int64_t low_floats(const Layer& p) {
    return p.w1.N + p.a1.N + p.g1.N + p.v1.N + p.maa_w1.N;
  }

  Buffers(Arena& arena, const Net& net, int64_t R, int threads) {
    const Sizes& s = net.sizes();
    for (float** buffer : {&x, &h, &change, &first}) *buffer = arena.floats(R * s.C);
    for (float*& buffer : in) buffer = arena.floats(R * s.C);
    for (float*& buffer : out) buffer = arena.floats(R * s.C);
    int64_t widest = 0;
    for (int64_t l = 0; l < s.layers; ++l) widest = std::max(widest, low_floats(net.layer_at(l)));
    low = arena.floats(R * widest);
    up = arena.floats(R * s.F);
    gates = arena.floats(R * s.channels);
    spare = arena.floats(threads * spare_floats(s));
    const std::size_t narrow = kInputs * linear::scratch(linear::I8, R, s.C);
    const std::size_t wide = linear::scratch(linear::I8, R, s.F);
    quantised = arena.bytes(net.has_kind(linear::I8) ? std::max(narrow, wide) : 0);
  }
};

}  // namespace rwkv
