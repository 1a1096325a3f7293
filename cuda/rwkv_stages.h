// Stages of a layer, split over threads: work on rows, and matrix products that may run together.
//
// R rows of a block, C width. Threads divide a stage, never a number: no result depends on them.

#pragma once

#include <algorithm>
#include <cstdint>

#include "linear.h"
#include "rwkv_rows.h"
#include "threads.h"

namespace rwkv {

constexpr int64_t kChunkRows = 8;    // rows that a thread takes at once between products
constexpr int64_t kWorth = 1 << 17;  // multiply-adds below which a stage isn't split

class Stages {
 public:
  // pool: nullptr for one thread. quantised: room for what linear.h prepares for a stage.
  Stages(threads::Pool* pool, char* quantised) : pool_(pool), quantised_(quantised) {}

  // work(thread, unit) for all units; `cost` multiply-adds decide whether threads are worth it.
  template <class Work> void spread(int64_t units, int64_t cost, const Work& work) {
    if (pool_ && units > 1 && cost >= kWorth) {
      pool_->run(units, work);
    } else {
      for (int64_t unit = 0; unit < units; ++unit) work(0, unit);
    }
  }

  // work(thread, row) for `rows` rows of `cost` multiply-adds or the like.
  template <class Work> void each_row(int64_t rows, int64_t cost, const Work& work) {
    const int64_t units = (rows + kChunkRows - 1) / kChunkRows;
    spread(units, rows * cost, [&](int thread, int64_t unit) {
      const int64_t end = std::min(rows, (unit + 1) * kChunkRows);
      for (int64_t row = unit * kChunkRows; row < end; ++row) work(thread, row);
    });
  }

  // All products of a stage for `rows` rows.
  void multiply(int64_t rows, const Stage& stage) {
    char* quantised[Stage::kMost];
    int64_t panels = 0, cost = 0;
    char* free = quantised_;
    for (int i = 0; i < stage.count; ++i) {
      const Linear& w = *stage.products[i].w;
      quantised[i] = free;
      free += linear::scratch(w.kind, rows, w.K);
      panels += linear::panels(w.N);
      cost += rows * w.K * w.N;
    }
    if (free != quantised_) quantise(rows, stage, quantised);
    spread(panels, cost, [&](int, int64_t panel) {
      int i = 0;
      for (int64_t own; panel >= (own = linear::panels(stage.products[i].w->N)); ++i) panel -= own;
      run_panel(rows, stage.products[i], quantised[i], panel);
    });
  }

 private:
  void quantise(int64_t rows, const Stage& stage, char* const* to) {
    each_row(rows, stage.count * stage.products[0].w->K, [&](int, int64_t row) {
      for (int i = 0; i < stage.count; ++i) {
        const Product& p = stage.products[i];
        const Linear& w = *p.w;
        linear::prepare(w.kind, 1, w.K, p.x + row * p.ldx, p.ldx,
                        to[i] + linear::scratch(w.kind, row, w.K));
      }
    });
  }

  static void run_panel(int64_t rows, const Product& p, const void* quantised, int64_t panel) {
    const Linear& w = *p.w;
    linear::run(w.kind, w.packed, rows, w.K, w.N, p.x, p.ldx, quantised, p.y, p.ldy, panel,
                panel + 1);
    if (p.then == Then::kNothing && !p.stream) return;
    const int64_t begin = panel * linear::kPanel, end = std::min(w.N, begin + linear::kPanel);
    for (int64_t row = 0; row < rows; ++row) {
      float* y = p.y + row * p.ldy;
      for (int64_t i = begin; i < end; i += L) {
        const int n = static_cast<int>(std::min<int64_t>(L, end - i));
        Vec out = apply(p.then, load(y + i, n));
        if (p.stream) {
          const int64_t at = row * p.ldy + i;
          const Vec onto = load(p.onto + at);
          out = p.gate ? simd::fma(simd::sigmoid(load(p.gate + at)), out, onto) : onto + out;
          store(p.stream + at, out);
        } else {
          store(y + i, out, n);
        }
      }
    }
  }

  threads::Pool* const pool_;
  char* const quantised_;
};

}  // namespace rwkv
