// Runs the CPU kernels of WKV-4 and WKV-7, forward and backward, over odd shapes in memory that
// ends where the arrays end. Built by test_sanitize.py with sanitizers, -DWKV=4 or 7; says "clean".

#include <cmath>
#include <cstdio>
#include <memory>
#include <random>

#if WKV == 4
#include "wkv4_cpu.cpp"
#else
#define WKV7_SIZES(CASE) CASE(8) CASE(16) CASE(64)
#include "wkv7_cpu.cpp"
#endif

std::mt19937 generator(1);

// Numbers of their own piece of memory: normal ones times `scale`.
template <class T> std::unique_ptr<T[]> array(int64_t count, double scale) {
  std::unique_ptr<T[]> x(new T[static_cast<std::size_t>(count)]);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < count; ++i) x[i] = static_cast<T>(scale * normal(generator));
  return x;
}
template <class T> void finite(const std::unique_ptr<T[]>& x, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(x[i])) std::abort();
}

#if WKV == 4
template <class Real, class Forwards, class Backwards>
void run(const Forwards& forwards, const Backwards& backwards) {
  const int64_t shapes[][3] = {{1, 1, 1},  {2, 9, 7},    {1, 8, 16},  {3, 17, 33},
                               {1, 3, 64}, {2, 300, 65}, {1, 40, 131}};
  for (const auto& [B, T, C] : shapes)
    for (double size : {1.0, 300.0, 1e7}) {
      const int64_t rows = B * T * C, cells = B * C, chunks = (T + 7) / 8 + 1;
      const auto k = array<Real>(rows, size), v = array<Real>(rows, 1), u = array<Real>(C, 1);
      const auto w = array<double>(C, size);
      for (int64_t c = 0; c < C; ++c) w[c] = -std::fabs(w[c]);
      const auto num = array<Real>(cells, 1), den = array<Real>(cells, 0);
      const auto exp = array<int32_t>(cells, 10), exp2 = array<int32_t>(cells, 0);
      for (int64_t i = 0; i < cells; ++i) den[i] = Real(0.75);
      const auto y = array<Real>(rows, 0), saved = array<Real>(B * chunks * 3 * C, 0);
      const auto num2 = array<Real>(cells, 0), den2 = array<Real>(cells, 0);
      for (Real* keep : {static_cast<Real*>(nullptr), saved.get()})
        if (forwards(B, T, C, 4, k.get(), v.get(), w.get(), u.get(), num.get(), den.get(),
                     exp.get(), y.get(), num2.get(), den2.get(), exp2.get(), keep))
          std::abort();
      const auto dk = array<Real>(rows, 0), dv = array<Real>(rows, 0), du = array<Real>(C, 0);
      const auto dw = array<double>(C, 0);
      const auto dnum = array<Real>(cells, 0), dden = array<Real>(cells, 0);
      if (backwards(B, T, C, 4, k.get(), v.get(), w.get(), u.get(), saved.get(), y.get(),
                    num2.get(), den2.get(), dk.get(), dv.get(), dw.get(), du.get(), dnum.get(),
                    dden.get()))
        std::abort();
      finite(y, rows);
      finite(dk, rows);
      finite(dv, rows);
      finite(dw, C);
      finite(du, C);
      finite(dnum, cells);
    }
}

int main() {
  run<float>(wkv4_forward, wkv4_backward);
  run<double>(wkv4_forward_f64, wkv4_backward_f64);
  std::puts("clean");
}
#else
template <class Real, class Forwards, class Backwards>
void run(const Forwards& forwards, const Backwards& backwards) {
  const int64_t shapes[][4] = {{1, 1, 1, 64}, {2, 9, 1, 64}, {1, 33, 2, 64}, {1, 49, 1, 8},
                               {1, 5, 3, 8},  {1, 17, 1, 16}};
  for (const auto& [B, T, H, N] : shapes)
    for (double wild : {1.0, 100.0}) {
      const int64_t rows = B * T * H * N, states = B * H * N * N;
      std::unique_ptr<Real[]> x[6], grads[6];
      for (auto& input : x) input = array<Real>(rows, 0.3);
      for (auto& grad : grads) grad = array<Real>(rows, 0);
      for (int64_t i = 0; i < rows; ++i) x[1][i] = static_cast<Real>(-wild * std::fabs(x[1][i]));
      const auto state = array<Real>(states, 0.3), state2 = array<Real>(states, 0);
      const auto dstate = array<Real>(states, 0);
      const auto y = array<Real>(rows, 0), saved = array<Real>(rows, 0);
      for (Real* keep : {static_cast<Real*>(nullptr), saved.get()})
        if (forwards(B, T, H, N, 4, x[0].get(), x[1].get(), x[2].get(), x[3].get(), x[4].get(),
                     x[5].get(), state.get(), y.get(), state2.get(), keep))
          std::abort();
      if (backwards(B, T, H, N, 4, x[0].get(), x[1].get(), x[2].get(), x[3].get(), x[4].get(),
                    x[5].get(), state.get(), saved.get(), y.get(), state2.get(), grads[0].get(),
                    grads[1].get(), grads[2].get(), grads[3].get(), grads[4].get(),
                    grads[5].get(), dstate.get()))
        std::abort();
      finite(y, rows);
      finite(state2, states);
      finite(dstate, states);
      for (const auto& grad : grads) finite(grad, rows);
    }
}

int main() {
  run<float>(wkv7_forward, wkv7_backward);
  run<double>(wkv7_forward_f64, wkv7_backward_f64);
  std::puts("clean");
}
#endif
