// A whole forward pass of any RWKV generation on a CPU; knows nothing about Python, files or text.
//
// Tokens go through all layers in blocks of rows (row = one token of one batch row), so that what
// a layer makes stays in the cache for the next. Every number comes of one fixed chain of
// operations on its own row: threads, blocks, batch neighbours and the split of a text leave no
// trace in it. The formulas are those of engine/rwkv/v4.py, v6.py and v7_layers.py.
//
// B batch, T tokens, R rows of a block, C width, H heads, N head size, F width of the channel mix.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "rwkv_memory.h"
#include "rwkv_net.h"
#include "rwkv_rows.h"
#include "rwkv_stages.h"
#include "wkv_step.h"

namespace rwkv {

constexpr float kNormEps = 1e-5f, kGroupEps = 64e-5f;
constexpr float kLogDecay7 = -0.606530659712633424f;  // -exp(-1/2)
constexpr float kMaxLogRate = 80.0f;  // exp(-exp(80)) is 0 like every stronger decay

// What a caller gives for one forward pass. State tensors: att_x, ffn_x, then wkv, or num, den, exp.
struct Call {
  int64_t B, T;
  const int64_t *tokens, *ids, *codes;  // (B, T), (B, T, channels) or null
  const void* const* past;
  void* const* next;
  const int64_t* positions;  // rows b T + t whose logits are wanted, ascending
  int64_t wanted;
  float* logits;             // (wanted, V)
  // Instead of tokens and logits: embeddings (B, T, C), and the head's inputs (wanted, C).
  const float* embedded = nullptr;
  float* outputs = nullptr;
};

class Forward : Stages {
 public:
  Forward(const Net& net, const Call& call, threads::Pool* pool, const Buffers& buffers)
      : Stages(pool, buffers.quantised),
        net_(net),
        s_(net.sizes()),
        N_(s_.C / s_.H),
        call_(call),
        m_(buffers) {}

  void run(int64_t most_rows) {
    const int64_t all = call_.B * call_.T;
    int64_t done = 0;
    for (row0_ = 0; row0_ < all; row0_ += R_) {
      R_ = std::min(most_rows, all - row0_);
      embed();
      for (layer_ = 0; layer_ < s_.layers; ++layer_) {
        const Layer& p = net_.layer_at(layer_);
        switch (s_.generation) {
          case k7: time_mix_7(p); break;
          case k6: time_mix_6(p); break;
          case k5: time_mix_5(p); break;
          default: time_mix_4(p);
        }
        channel_mix(p);
      }
      const int64_t first = done;
      while (done < call_.wanted && call_.positions[done] < row0_ + R_) ++done;
      if (done > first) logits(first, done);
    }
  }

 private:
  // -- embedding and logits

  void embed() {
    const int64_t C = s_.C;
    each_row(R_, C * (1 + s_.channels), [&](int, int64_t row) {
      float* x = m_.x + row * C;
      if (call_.embedded) {
        std::memcpy(x, call_.embedded + (row0_ + row) * C,
                    static_cast<std::size_t>(C) * sizeof(float));
      } else {
        read_row(net_.emb, call_.tokens[row0_ + row], C, x);
      }
      if (call_.ids) add_hints(row, x);
      if (net_.ln0.weight) normalise(x, C, net_.ln0.weight, net_.ln0.bias, kNormEps, x);
    });
  }

  void add_hints(int64_t row, float* x) {
    const int64_t C = s_.C;
    float* token = m_.h + row * C;
    for (int64_t k = 0; k < s_.channels; ++k) {
      const int64_t at = (row0_ + row) * s_.channels + k, code = call_.codes[at];
      const float* meaning = net_.hint_code + (k * s_.codes + code) * C;
      const float* scale = net_.hint_scale + k * C;
      if (code) read_row(net_.hint_emb, call_.ids[at], C, token);
      for (int64_t i = 0; i < C; i += L) {
        Vec sum = load(x + i) + load(meaning + i);
        if (code) sum = simd::fma(load(scale + i), load(token + i), sum);
        store(x + i, sum);
      }
    }
  }

  // Logits (or outputs) of the positions [first, last) of call_.positions, all in this block.
  void logits(int64_t first, int64_t last) {
    const int64_t C = s_.C, M = last - first;
    float* h = call_.outputs ? call_.outputs + first * C : m_.h;
    each_row(M, C * 8, [&](int, int64_t i) {
      const int64_t row = call_.positions[first + i] - row0_;
      normalise(m_.x + row * C, C, net_.ln_out.weight, net_.ln_out.bias, kNormEps, h + i * C);
    });
    if (call_.outputs) return;
    float* to = call_.logits + first * s_.V;
    if (!call_.ids) return multiply(M, Stage{wide(net_.head, m_.h, to)});
    multiply(M, Stage{wide(net_.head, m_.h, to), wide(net_.gate, m_.h, m_.gates)});
    for (int64_t i = 0; i < M; ++i) {
      for (int64_t k = 0; k < s_.channels; ++k) {
        const int64_t at = call_.positions[first + i] * s_.channels + k, code = call_.codes[at];
        if (!code) continue;
        const float gate = m_.gates[i * s_.channels + k] + net_.gate_bias[k * s_.codes + code];
        to[i * s_.V + call_.ids[at]] += gate;
      }
    }
  }

  // -- what all layers share

  float* spare(int thread) const { return m_.spare + thread * Buffers::spare_floats(s_); }

  static Product wide(const Linear& w, const float* x, float* y, Then then = Then::kNothing) {
    Product p;
    p.w = &w, p.x = x, p.ldx = w.K, p.y = y, p.ldy = w.N, p.then = then;
    return p;
  }
  // The product that ends a time mix or channel mix. RWKV-2 adds it to the normed input.
  Product onto_stream(const Linear& w, const float* x, const float* gate = nullptr) const {
    Product p = wide(w, x, m_.out[0]);
    p.onto = s_.generation == k2 ? m_.h : m_.x;
    p.stream = m_.x, p.gate = gate;
    return p;
  }

  template <class T> const T* past(int which) const {
    return static_cast<const T*>(call_.past[which]);
  }
  template <class T> T* next(int which) const { return static_cast<T*>(call_.next[which]); }

  // The batch rows of this block.
  int64_t first_b() const { return row0_ / call_.T; }
  int64_t last_b() const { return (row0_ + R_ - 1) / call_.T; }
  // The rows of this block that belong to batch row b: [begin, end).
  int64_t begin_of(int64_t b) const { return std::max<int64_t>(0, b * call_.T - row0_); }
  int64_t end_of(int64_t b) const { return std::min(R_, (b + 1) * call_.T - row0_); }
  // Whether batch row b began before this block: its state is then already the next one.
  bool begun(int64_t b) const { return b * call_.T < row0_; }

  // h = norm(x) and then make(row, h, before) for each row, `before` being the h one token before.
  // which: the state tensor that keeps the last h.
  template <class Make> void shift(const Norm& norm, int which, const Make& make) {
    const int64_t C = s_.C;
    auto norm_row = [&](int64_t row, float* to) {
      normalise(m_.x + row * C, C, norm.weight, norm.bias, kNormEps, to);
    };
    each_row(R_, C * 16, [&](int thread, int64_t row) {
      float* h = m_.h + row * C;
      norm_row(row, h);
      const int64_t b = (row0_ + row) / call_.T, at = (layer_ * call_.B + b) * C;
      const float* before = h - C;
      if (row == begin_of(b)) {
        before = begun(b) ? next<float>(which) + at : past<float>(which) + at;
      } else if (row % kChunkRows == 0) {  // another thread may not have made it yet
        norm_row(row - 1, spare(thread));
        before = spare(thread);
      }
      make(row, h, before);
    });
    for (int64_t b = first_b(); b <= last_b(); ++b)
      std::memcpy(next<float>(which) + (layer_ * call_.B + b) * C, m_.h + (end_of(b) - 1) * C,
                  static_cast<std::size_t>(C) * sizeof(float));
  }

  // in[j] = h and the token before blended by mix[j]. A mix of 1 is the token before from RWKV-6
  // on, and the present one up to 5.2.
  void shift_and_mix(const Norm& norm, int which, const float* const* mix, int count) {
    const bool turned = s_.generation < k6;
    shift(norm, which, [&](int64_t row, const float* h, const float* before) {
      const float* from = turned ? before : h;
      const float* to = turned ? h : before;
      for (int j = 0; j < count; ++j) {
        float* in = m_.in[j] + row * s_.C;
        for (int64_t i = 0; i < s_.C; i += L)
          store(in + i, lerp(load(from + i), load(to + i), load(mix[j] + i)));
      }
    });
  }

  void channel_mix(const Layer& p) {
    if (s_.generation == k7) {
      shift_and_mix(p.ln2, 1, p.ffn_mix, 1);
      multiply(R_, Stage{wide(p.ffn_k, m_.in[0], m_.up, Then::kSquaredRelu)});
      return multiply(R_, Stage{onto_stream(p.ffn_v, m_.up)});
    }
    shift_and_mix(p.ln2, 1, p.ffn_mix, 2);
    multiply(R_, Stage{wide(p.ffn_k, m_.in[0], m_.up, Then::kSquaredRelu),
                       wide(p.ffn_r, m_.in[1], m_.out[1])});
    multiply(R_, Stage{onto_stream(p.ffn_v, m_.up, m_.out[1])});
  }

  // work(spare, row, S before it, S after it, first channel) for the rows of each batch row and
  // head, in order.
  template <class Work> void each_head(const Work& work) {
    const int64_t H = s_.H, NN = N_ * N_;
    spread((last_b() - first_b() + 1) * H, R_ * H * NN * 8, [&](int thread, int64_t unit) {
      const int64_t b = first_b() + unit / H, head = unit % H;
      const int64_t at = ((layer_ * call_.B + b) * H + head) * NN;
      float* to = next<float>(2) + at;
      const float* from = begun(b) ? to : past<float>(2) + at;
      for (int64_t row = begin_of(b); row < end_of(b); ++row, from = to)
        work(spare(thread), row, from, to, head * N_);
    });
  }

  // -- RWKV-7

  void time_mix_7(const Layer& p) {
    shift_and_mix(p.ln1, 0, p.mix, 6);
    const auto& [xr, xw, xk, xv, xa, xg] = m_.in;
    const auto& [r, k, v, w, a, g, nu] = m_.out;
    float *low_w = m_.low, *low_a = low_w + R_ * p.w1.N, *low_g = low_a + R_ * p.a1.N;
    float* low_nu = low_g + R_ * p.g1.N;
    Stage down{wide(p.r, xr, r),
               wide(p.k, xk, k),
               wide(p.v, xv, v),
               wide(p.w1, xw, low_w, Then::kTanh),
               wide(p.a1, xa, low_a),
               wide(p.g1, xg, low_g, Then::kSigmoid)};
    Stage up{wide(p.w2, low_w, w), wide(p.a2, low_a, a), wide(p.g2, low_g, g)};
    if (layer_) {
      down.add(wide(p.v1, xv, low_nu));
      up.add(wide(p.v2, low_nu, nu));
    }
    multiply(R_, down);
    multiply(R_, up);
    if (N_ == 64) {
      heads_7<64>(p);
    } else {
      heads_7<0>(p);
    }
    multiply(R_, Stage{onto_stream(p.out, m_.in[0])});
  }

  template <int Fixed> void heads_7(const Layer& p) {
    each_head([&](float* spare, int64_t row, const float* from, float* to, int64_t c) {
      const int64_t N = Fixed ? Fixed : N_, at = row * s_.C + c;
      const float *r = m_.out[0] + at, *v = m_.out[2] + at, *g = m_.out[5] + at;
      float *w1 = spare, *k = w1 + N, *kk = k + N, *b = kk + N, *values = b + N, *y = values + N;
      float* first = m_.first + at;
      Vec square = simd::zero(), own = simd::zero();
      for (int64_t i = 0; i < N; i += L) {
        const Vec raw = load(m_.out[1] + at + i), key = raw * load(p.k_k + c + i);
        const Vec a = simd::sigmoid(load(p.a0 + c + i) + load(m_.out[4] + at + i));
        const Vec k_a = load(p.k_a + c + i), rest = simd::broadcast(1.0f) - k_a;
        const Vec w = simd::sigmoid(load(p.w0 + c + i) + load(m_.out[3] + at + i));
        store(w1 + i, wkv::expm1(w * simd::broadcast(kLogDecay7)));
        store(k + i, raw * simd::fma(a, k_a, rest));
        store(kk + i, key);
        store(b + i, a);
        square = simd::fma(key, key, square);
        own = simd::fma(load(r + i) * load(k + i), load(p.r_k + c + i), own);
        if (!layer_) {
          store(first + i, load(v + i));
          store(values + i, load(v + i));
        } else {
          const Vec share = simd::sigmoid(load(p.v0 + c + i) + load(m_.out[6] + at + i));
          store(values + i, lerp(load(v + i), load(first + i), share));
        }
      }
      const float norm = std::sqrt(simd::sum(square));
      const Vec scale = simd::broadcast(1.0f / (norm < 1e-12f ? 1e-12f : norm));
      for (int64_t i = 0; i < N; i += L) {
        store(kk + i, load(kk + i) * scale);
        store(b + i, load(kk + i) * load(b + i));
      }
      wkv::step7<Fixed>(static_cast<int>(N), {r, w1, k, values, kk, b}, from, to, y);
      normalise(y, N, p.ln_x.weight + c, p.ln_x.bias + c, kGroupEps, y);
      const Vec bonus = simd::broadcast(simd::sum(own));
      for (int64_t i = 0; i < N; i += L)
        store(m_.in[0] + at + i,
              simd::fma(bonus, load(values + i), load(y + i)) * load(g + i));
    });
  }

  // -- RWKV-6 and 5.2

  void time_mix_6(const Layer& p) {
    const int64_t C = s_.C;
    shift(p.ln1, 0, [&](int64_t row, const float* h, const float* before) {
      for (int64_t i = 0; i < C; i += L) {
        const Vec change = load(before + i) - load(h + i);
        store(m_.change + row * C + i, change);
        store(m_.in[0] + row * C + i, simd::fma(change, load(p.maa_x + i), load(h + i)));
      }
    });
    multiply(R_, Stage{wide(p.maa_w1, m_.in[0], m_.low, Then::kTanh)});
    Stage up;
    const int64_t rank = p.maa_w1.N / 5;
    for (int j = 0; j < 5; ++j) {
      Product part = wide(p.maa_w2[j], m_.low + j * rank, m_.out[j]);
      part.ldx = p.maa_w1.N;
      up.add(part);
    }
    multiply(R_, up);
    each_row(R_, C * 10, [&](int, int64_t row) {
      for (int j = 0; j < 5; ++j) {
        const int64_t at = row * C;
        for (int64_t i = 0; i < C; i += L) {
          const Vec mix = load(p.mix[j] + i) + load(m_.out[j] + at + i);
          store(m_.in[j] + at + i,
                simd::fma(load(m_.change + at + i), mix, load(m_.h + at + i)));
        }
      }
    });
    const float *xw = m_.in[0], *xk = m_.in[1], *xv = m_.in[2], *xr = m_.in[3], *xg = m_.in[4];
    multiply(R_, Stage{wide(p.r, xr, m_.out[0]), wide(p.k, xk, m_.out[1]),
                       wide(p.v, xv, m_.out[2]), wide(p.g, xg, m_.out[3]),
                       wide(p.w1, xw, m_.low, Then::kTanh)});
    multiply(R_, Stage{wide(p.w2, m_.low, m_.out[4])});
    heads_6(p);
    multiply(R_, Stage{onto_stream(p.out, m_.in[0])});
  }

  void time_mix_5(const Layer& p) {
    shift_and_mix(p.ln1, 0, p.mix, 4);
    multiply(R_, Stage{wide(p.r, m_.in[0], m_.out[0]), wide(p.k, m_.in[1], m_.out[1]),
                       wide(p.v, m_.in[2], m_.out[2]), wide(p.g, m_.in[3], m_.out[3])});
    heads_6(p);
    multiply(R_, Stage{onto_stream(p.out, m_.in[0])});
  }

  void heads_6(const Layer& p) {
    if (N_ == 64) {
      heads_6<64>(p);
    } else {
      heads_6<0>(p);
    }
  }

  template <int Fixed> void heads_6(const Layer& p) {
    const bool moving = s_.generation == k6;  // 5.2's decay is the same at all tokens
    each_head([&](float* spare, int64_t row, const float* from, float* to, int64_t c) {
      const int64_t N = Fixed ? Fixed : N_, at = row * s_.C + c;
      const float *r = m_.out[0] + at, *k = m_.out[1] + at, *v = m_.out[2] + at;
      float *w1 = spare, *y = spare + N;
      Vec own = simd::zero();
      for (int64_t i = 0; i < N; i += L) {
        own = simd::fma(load(r + i) * load(k + i), load(p.faaaa + c + i), own);
        if (!moving) continue;
        const Vec rate = load(p.decay + c + i) + load(m_.out[4] + at + i);
        store(w1 + i, wkv::expm1(-simd::exp(simd::min(simd::broadcast(kMaxLogRate), rate))));
      }
      const wkv::Token token{r, moving ? w1 : p.decay1 + c, k, v, nullptr, nullptr};
      wkv::step6<Fixed>(static_cast<int>(N), token, simd::sum(own), from, to, y);
      normalise(y, N, p.ln_x.weight + c, p.ln_x.bias + c, kGroupEps, y);
      for (int64_t i = 0; i < N; i += L) {
        const Vec g = load(m_.out[3] + at + i);
        store(m_.in[0] + at + i, load(y + i) * (g * simd::sigmoid(g)));
      }
    });
  }

  // -- RWKV-4, 3 and 2

  void time_mix_4(const Layer& p) {
    shift_and_mix(p.ln1, 0, p.mix, 3);
    multiply(R_, Stage{wide(p.k, m_.in[0], m_.out[0]), wide(p.v, m_.in[1], m_.out[1]),
                       wide(p.r, m_.in[2], m_.out[2])});
    const int64_t C = s_.C, groups = C / L;
    spread((last_b() - first_b() + 1) * groups, R_ * C * 64, [&](int, int64_t unit) {
      const int64_t b = first_b() + unit / groups, c = unit % groups * L;
      const int64_t state = (layer_ * call_.B + b) * C + c;
      const bool old = begun(b);
      const wkv::Rates rates{load(p.decay1 + c), load(p.bonus + c), integers(p.decay_exp + c),
                             integers(p.bonus_exp + c)};
      wkv::Sums sums{load((old ? next<float>(2) : past<float>(2)) + state),
                     load((old ? next<float>(3) : past<float>(3)) + state),
                     integers((old ? next<int32_t>(4) : past<int32_t>(4)) + state)};
      for (int64_t row = begin_of(b); row < end_of(b); ++row) {
        const int64_t at = row * C + c;
        const Vec y = wkv::step4(load(m_.out[0] + at), load(m_.out[1] + at), rates, sums);
        store(m_.in[0] + at, simd::sigmoid(load(m_.out[2] + at)) * y);
      }
      store(next<float>(2) + state, sums.num);
      store(next<float>(3) + state, sums.den);
      std::memcpy(next<int32_t>(4) + state, &sums.exp, sizeof sums.exp);
    });
    multiply(R_, Stage{onto_stream(p.out, m_.in[0])});
  }

  static simd::Int integers(const int32_t* from) {
    simd::Int out;
    std::memcpy(&out, from, sizeof out);
    return out;
  }

  const Net& net_;
  const Sizes& s_;
  const int64_t N_;
  const Call& call_;
  const Buffers& m_;
  int64_t row0_ = 0, R_ = 0, layer_ = 0;  // the block's first row and its size; the layer
};

}  // namespace rwkv
