// A network's weights as the runtime wants them, found by their official names; runs nothing.
//
// Vectors are float32 wherever their owner keeps them, matrices are packed by linear.h. A vector
// that the formulas use only through a function of it comes as that function's value (decay1 ...).
//
// C width, H heads, N head size, F width of the channel mix, V vocabulary.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rwkv {

struct Linear {
  int kind = 0;
  int64_t K = 0, N = 0;
  const void* packed = nullptr;
};

struct Table {  // embeddings; type is one of linear::Source
  int type = 0;
  const void* rows = nullptr;
};

struct Norm {
  const float *weight = nullptr, *bias = nullptr;
};

enum Generation { k2 = 20, k3 = 30, k4 = 40, k5 = 52, k6 = 60, k7 = 70 };

struct Sizes {
  int64_t generation, layers, C, H, F, V;
  int64_t channels, codes;  // of copy hints; 0 and 0 for a network without
};

struct Layer {
  Norm ln1, ln2, ln_x;
  const float* mix[6] = {};      // in the order of the inputs that they make
  const float* ffn_mix[2] = {};  // key, receptance
  Linear r, k, v, g, out, ffn_k, ffn_v, ffn_r;
  // RWKV-7
  Linear w1, w2, a1, a2, g1, g2, v1, v2;
  const float *w0 = nullptr, *a0 = nullptr, *v0 = nullptr;
  const float *k_k = nullptr, *k_a = nullptr, *r_k = nullptr;
  // RWKV-6: w1 and w2 are those of its decay
  Linear maa_w1, maa_w2[5];
  const float *maa_x = nullptr, *decay = nullptr;
  // RWKV-5.2 and 6
  const float* faaaa = nullptr;
  // Up to 5.2: e^decay as (decay1 + 1) 2^decay_exp; up to 4: e^first as bonus 2^bonus_exp
  const float *decay1 = nullptr, *bonus = nullptr;
  const int32_t *decay_exp = nullptr, *bonus_exp = nullptr;
};

class Net {
 public:
  explicit Net(const Sizes& sizes) : sizes_(sizes) {}

  void vector(const char* name, const void* data) { vectors_[name] = data; }
  void table(const char* name, const Table& table) { tables_[name] = table; }
  void linear(const char* name, const Linear& linear) { linears_[name] = linear; }

  // To be called once all weights are named. Returns the name of a missing one, or "".
  const char* ready() {
    missing_.clear();
    layers_.clear();
    for (int64_t i = 0; i < sizes_.layers; ++i) {
      prefix_ = "blocks." + std::to_string(i) + ".";
      if (i == 0 && sizes_.generation != k2) ln0 = norm("ln0");
      layers_.push_back(layer(i));
    }
    prefix_.clear();
    emb = find(tables_, "emb.weight");
    ln_out = norm("ln_out");
    head = find(linears_, "head.weight");
    if (sizes_.channels) {
      hint_emb = find(tables_, "hint.emb.weight");
      hint_scale = floats("hint.scale");
      hint_code = floats("hint.code.weight");
      gate = find(linears_, "hint.gate.weight");
      gate_bias = floats("hint.gate.bias");
    }
    return missing_.c_str();
  }

  const Sizes& sizes() const { return sizes_; }
  const Layer& layer_at(int64_t i) const { return layers_[static_cast<std::size_t>(i)]; }

  bool has_kind(int kind) const {
    for (const auto& item : linears_)
      if (item.second.kind == kind) return true;
    return false;
  }

  Table emb, hint_emb;
  Norm ln0, ln_out;
  Linear head, gate;
  const float *hint_scale = nullptr, *hint_code = nullptr, *gate_bias = nullptr;

 private:
  template <class T> T find(const std::map<std::string, T>& among, const std::string& name) {
    const auto found = among.find(prefix_ + name);
    if (found != among.end()) return found->second;
    if (missing_.empty()) missing_ = prefix_ + name;
    return T{};
  }
  const float* floats(const std::string& name) {
    return static_cast<const float*>(find(vectors_, name));
  }
  const int32_t* integers(const std::string& name) {
    return static_cast<const int32_t*>(find(vectors_, name));
  }
  Norm norm(const std::string& name) { return {floats(name + ".weight"), floats(name + ".bias")}; }
  Linear matrix(const std::string& name) { return find(linears_, name); }

  Layer layer(int64_t i) {
    Layer p;
    p.ln1 = norm("ln1");
    p.ln2 = norm("ln2");
    p.r = matrix("att.receptance.weight");
    p.k = matrix("att.key.weight");
    p.v = matrix("att.value.weight");
    p.out = matrix("att.output.weight");
    p.ffn_k = matrix("ffn.key.weight");
    p.ffn_v = matrix("ffn.value.weight");
    if (sizes_.generation != k7) p.ffn_r = matrix("ffn.receptance.weight");
    switch (sizes_.generation) {
      case k7: add_7(p, i); break;
      case k6: add_6(p); break;
      case k5: add_5(p); break;
      default: add_4(p);
    }
    return p;
  }

  template <std::size_t n> void mixes(const float** to, const char* const (&names)[n]) {
    for (std::size_t j = 0; j < n; ++j) to[j] = floats(names[j]);
  }

  void add_7(Layer& p, int64_t i) {
    mixes(p.mix, {"att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g"});
    mixes(p.ffn_mix, {"ffn.x_k"});
    p.ln_x = norm("att.ln_x");
    p.w0 = floats("att.w0"), p.w1 = matrix("att.w1"), p.w2 = matrix("att.w2");
    p.a0 = floats("att.a0"), p.a1 = matrix("att.a1"), p.a2 = matrix("att.a2");
    p.g1 = matrix("att.g1"), p.g2 = matrix("att.g2");
    // Layer 0 has no earlier values to mix with, even where these exist.
    if (i > 0) p.v0 = floats("att.v0"), p.v1 = matrix("att.v1"), p.v2 = matrix("att.v2");
    p.k_k = floats("att.k_k"), p.k_a = floats("att.k_a"), p.r_k = floats("att.r_k");
  }

  void add_6(Layer& p) {
    p.maa_x = floats("att.time_maa_x");
    mixes(p.mix, {"att.time_maa_w", "att.time_maa_k", "att.time_maa_v", "att.time_maa_r",
                  "att.time_maa_g"});
    mixes(p.ffn_mix, {"ffn.time_maa_k", "ffn.time_maa_r"});
    p.maa_w1 = matrix("att.time_maa_w1");
    for (int j = 0; j < 5; ++j) p.maa_w2[j] = matrix("att.time_maa_w2." + std::to_string(j));
    p.decay = floats("att.time_decay");
    p.w1 = matrix("att.time_decay_w1"), p.w2 = matrix("att.time_decay_w2");
    add_heads(p);
  }

  void add_5(Layer& p) {
    mixes(p.mix, {"att.time_mix_r", "att.time_mix_k", "att.time_mix_v", "att.time_mix_g"});
    mixes(p.ffn_mix, {"ffn.time_mix_k", "ffn.time_mix_r"});
    p.decay1 = floats("att.decay1");
    add_heads(p);
  }

  void add_heads(Layer& p) {
    p.g = matrix("att.gate.weight");
    p.faaaa = floats("att.time_faaaa");
    p.ln_x = norm("att.ln_x");
  }

  void add_4(Layer& p) {
    if (sizes_.generation == k2) {
      mixes(p.mix, {"att.time_mix", "att.time_mix", "att.time_mix"});
      mixes(p.ffn_mix, {"ffn.time_mix", "ffn.time_mix"});
    } else {
      mixes(p.mix, {"att.time_mix_k", "att.time_mix_v", "att.time_mix_r"});
      mixes(p.ffn_mix, {"ffn.time_mix_k", "ffn.time_mix_r"});
    }
    p.decay1 = floats("att.decay1"), p.decay_exp = integers("att.decay_exp");
    p.bonus = floats("att.bonus"), p.bonus_exp = integers("att.bonus_exp");
  }

  const Sizes sizes_;
  std::map<std::string, const void*> vectors_;
  std::map<std::string, Table> tables_;
  std::map<std::string, Linear> linears_;
  std::vector<Layer> layers_;
  std::string prefix_, missing_;
};

}  // namespace rwkv
