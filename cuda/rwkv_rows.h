// Functions of single rows of numbers, and a product with what follows it; knows no layer.
//
// C width; the n of every row is a multiple of 16.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "linear.h"
#include "rwkv_net.h"
#include "simd.h"

namespace rwkv {

using simd::Vec;
using simd::load;
using simd::store;

constexpr int L = simd::kLanes;

inline float add_up(const float* x, int64_t n) {
  Vec sum = simd::zero();
  for (int64_t i = 0; i < n; i += L) sum = sum + load(x + i);
  return simd::sum(sum);
}

inline void normalise(const float* x, int64_t n, const float* weight, const float* bias, float eps,
                      float* out) {
  const Vec mean = simd::broadcast(add_up(x, n) / static_cast<float>(n));
  Vec sum = simd::zero();
  for (int64_t i = 0; i < n; i += L) {
    const Vec away = load(x + i) - mean;
    sum = simd::fma(away, away, sum);
  }
  const float variance = simd::sum(sum) / static_cast<float>(n);
  const Vec scale = simd::broadcast(1.0f / std::sqrt(variance + eps));
  for (int64_t i = 0; i < n; i += L)
    store(out + i, simd::fma((load(x + i) - mean) * scale, load(weight + i), load(bias + i)));
}

inline Vec lerp(Vec from, Vec to, Vec share) { return simd::fma(to - from, share, from); }

inline void read_row(const Table& table, int64_t row, int64_t C, float* out) {
  if (table.type == linear::FROM_F32) {
    std::memcpy(out, static_cast<const float*>(table.rows) + row * C,
                static_cast<std::size_t>(C) * sizeof(float));
    return;
  }
  const uint16_t* half = static_cast<const uint16_t*>(table.rows) + row * C;
  const bool brain = table.type == linear::FROM_BF16;
  for (int64_t i = 0; i < C; ++i)
    out[i] = brain ? linear::from_bf16(half[i]) : linear::from_f16(half[i]);
}

enum class Then { kNothing, kTanh, kSigmoid, kSquaredRelu };

inline Vec apply(Then then, Vec y) {
  switch (then) {
    case Then::kTanh: return simd::tanh(y);
    case Then::kSigmoid: return simd::sigmoid(y);
    case Then::kSquaredRelu:
      y = simd::if_less(y, simd::zero(), simd::zero(), y);  // not a number stays one
      return y * y;
    default: return y;
  }
}

// One matrix product and what is done with its outputs: y = then(x W). Where `stream` is given,
// y is only on the way to stream = onto + y, or onto + sigmoid(gate) y.
struct Product {
  const Linear* w = nullptr;
  const float* x = nullptr;
  int64_t ldx = 0;
  float* y = nullptr;
  int64_t ldy = 0;
  Then then = Then::kNothing;
  const float* onto = nullptr;
  float* stream = nullptr;
  const float* gate = nullptr;
};

// Products that may run at the same time.
struct Stage {
  static constexpr int kMost = 7;
  Product products[kMost];
  int count = 0;

  Stage() = default;
  Stage(std::initializer_list<Product> all) {
    for (const Product& p : all) add(p);
  }
  void add(const Product& p) { products[count++] = p; }
};

}  // namespace rwkv
