// y = x W for matrices that are packed once and multiplied often; knows nothing about networks.
//
// x is (M, K), W is (K, N), y is (M, N). Outputs are made in panels of 64, the unit of work for
// threads; the last panel is a half one where 32 or fewer outputs are left. Three kinds of W:
//   F32   floats, [panel][K][64].
//   BF16  floats rounded to the nearest bfloat16; they are multiplied and added as floats.
//   I8    whole numbers of -127..127 and one scale for each output, [panel][K/4][64][4]. A row
//         of x becomes whole numbers of 16 bits and one scale, so all sums are exact.
// An output is the same to the last bit whatever M, its place in x, the panels asked for and
// every address: F32 and BF16 add products with `fma` in the order of k inside blocks of 256,
// and the blocks' sums in their order; I8 adds whole numbers.
//
// Compile with -ffp-contract=off (simd.h says why). Nothing here allocates or starts a thread.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "simd.h"

namespace linear {

enum Kind { F32 = 0, BF16 = 1, I8 = 2 };
enum Source { FROM_F32 = 0, FROM_BF16 = 1, FROM_F16 = 2 };  // of the numbers to pack

constexpr int64_t kPanel = 64;      // outputs in a panel
constexpr int64_t kBlock = 256;     // inputs whose products one accumulator adds
constexpr int64_t kChunk = 384;     // rows that stay in the second cache while panels pass
constexpr int64_t kAlign = 64;      // bytes; where packed matrices and scratch must begin

// Rows of x that one pass over a block serves, and vectors of outputs that it makes of each: as
// many as registers hold.
#if defined(__AVX512F__)
constexpr int kRowsF32 = 6, kRowsBF16 = 6, kRowsI8 = 3;
constexpr int group_f32(int) { return 4; }
constexpr int group_bf16(int) { return 4; }
constexpr int group_i8(int) { return 4; }
#elif defined(__AVX__) || defined(__aarch64__)
constexpr int kRowsF32 = 6, kRowsBF16 = 2, kRowsI8 = 2;
constexpr int group_f32(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
constexpr int group_bf16(int rows) { return rows == 1 ? 4 : 2; }
constexpr int group_i8(int rows) { return rows == 1 ? 2 : 1; }
#else
constexpr int kRowsF32 = 2, kRowsBF16 = 1, kRowsI8 = 1;
constexpr int group_f32(int rows) { return rows == 1 ? 2 : 1; }
constexpr int group_bf16(int) { return 2; }
constexpr int group_i8(int) { return 1; }
#endif

// Sums stay in registers only where these loops are gone before GCC decides what may.
#define LINEAR_EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); ++i)

// Compiling takes a third of the time where these big functions aren't copied to their callers.
#define LINEAR_APART __attribute__((noinline))

using simd::Int;
using simd::Vec;

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// ---- sizes ------------------------------------------------------------------------------------

inline int64_t panels(int64_t N) { return (N + kPanel - 1) / kPanel; }

// Outputs that a panel has room for: 64, or 32.
inline int64_t panel_width(int64_t N, int64_t panel) {
  return N - panel * kPanel <= kPanel / 2 ? kPanel / 2 : kPanel;
}

inline std::size_t panel_bytes(int kind, int64_t K, int64_t width) {
  const int64_t one = kind == F32 ? 4 * K : kind == BF16 ? 2 * K : 8 + round_up(K, 4);
  return static_cast<std::size_t>(width * one);
}

// Bytes of a packed (K, N) matrix. I8 wants K <= 65,536: its sums have 32 bits.
inline std::size_t bytes(int kind, int64_t K, int64_t N) {
  if (N == 0) return 0;
  const int64_t last = panels(N) - 1;
  return static_cast<std::size_t>(last) * panel_bytes(kind, K, kPanel) +
         panel_bytes(kind, K, panel_width(N, last));
}

// Bytes that `prepare` writes for M rows; those of row m begin at scratch(kind, m, K).
inline std::size_t scratch(int kind, int64_t M, int64_t K) {
  const int64_t row = kAlign + round_up(2 * round_up(K, simd::kLanes), kAlign);
  return kind == I8 ? static_cast<std::size_t>(M * row) : 0;
}

// ---- packing ----------------------------------------------------------------------------------

inline float from_bf16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

inline float from_f16(uint16_t x) {
  const uint32_t exponent = x >> 10 & 31, fraction = x & 1023;
  uint32_t bits = (exponent + 112) << 23 | fraction << 13;
  if (exponent == 31) bits = 0x7f800000u | fraction << 13;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  if (exponent == 0) out = static_cast<float>(fraction) * 0x1p-24f;
  return x & 0x8000 ? -out : out;
}

inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (x != x) return static_cast<uint16_t>(bits >> 16 | 64);  // rounding could make it infinite
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// A matrix as it comes: W[k][n] is number k * stride_k + n * stride_n, of type `source`.
struct Matrix {
  const void* data;
  int source;
  int64_t K, N, stride_k, stride_n;

  float at(int64_t k, int64_t n) const {
    const int64_t i = k * stride_k + n * stride_n;
    if (source == FROM_F32) return static_cast<const float*>(data)[i];
    const uint16_t half = static_cast<const uint16_t*>(data)[i];
    return source == FROM_BF16 ? from_bf16(half) : from_f16(half);
  }
};

constexpr int64_t kSquare = 64;  // inputs that packing reads at once: 16 KB of floats

// square[k - k0][n - n0] = W[k][n] for `count` k from k0; zeros where the matrix has ended.
inline void read_square(const Matrix& w, int64_t k0, int64_t count, int64_t n0, int64_t width,
                        float (*square)[kPanel]) {
  const int64_t deep = std::max<int64_t>(0, std::min(count, w.K - k0));
  const int64_t wide = std::min(width, w.N - n0);
  for (int64_t k = 0; k < count; ++k)
    for (int64_t n = k < deep ? wide : 0; n < width; ++n) square[k][n] = 0.0f;
  if (w.stride_k <= w.stride_n) {
    for (int64_t n = 0; n < wide; ++n)
      for (int64_t k = 0; k < deep; ++k) square[k][n] = w.at(k0 + k, n0 + n);
  } else {
    for (int64_t k = 0; k < deep; ++k)
      for (int64_t n = 0; n < wide; ++n) square[k][n] = w.at(k0 + k, n0 + n);
  }
}

// Two neighbouring vectors of outputs share registers: one in the low halves of 32 bits, one in
// the high halves, so that one shift and one mask make floats of them.
inline void store_bf16(const float* row, int64_t width, uint16_t* to) {
  for (int64_t n = 0; n < width; n += 2 * simd::kLanes)
    for (int64_t l = 0; l < simd::kLanes; ++l) {
      to[n + 2 * l] = to_bf16(row[n + l]);
      to[n + 2 * l + 1] = to_bf16(row[n + simd::kLanes + l]);
    }
}

// scale[width], the sum of each output's whole numbers[width], then they: [K/4][width][4].
inline void pack_panel_i8(const Matrix& w, int64_t n0, int64_t width, unsigned char* to) {
  float square[kSquare][kPanel], largest[kPanel] = {}, scale[kPanel];
  for (int64_t k0 = 0; k0 < w.K; k0 += kSquare) {
    read_square(w, k0, kSquare, n0, width, square);
    for (int64_t k = 0; k < kSquare; ++k)
      for (int64_t n = 0; n < width; ++n) {
        const float size = std::fabs(square[k][n]);
        largest[n] = size <= largest[n] ? largest[n] : size;  // nothing is above NaN
        if (largest[n] != largest[n]) largest[n] = std::numeric_limits<float>::infinity();
      }
  }
  for (int64_t n = 0; n < width; ++n) scale[n] = largest[n] / 127.0f;
  std::memcpy(to, scale, static_cast<std::size_t>(width) * 4);
  int32_t total[kPanel] = {};
  auto* q = reinterpret_cast<int8_t*>(to + width * 8);
  for (int64_t k0 = 0; k0 < w.K; k0 += kSquare) {
    const int64_t count = std::min(kSquare, round_up(w.K, 4) - k0);
    read_square(w, k0, count, n0, width, square);
    for (int64_t k = 0; k < count; ++k)
      for (int64_t n = 0; n < width; ++n) {
        // An infinite scale makes the output not a number, whatever stands here.
        const bool plain = scale[n] > 0.0f && scale[n] < std::numeric_limits<float>::infinity();
        const float ratio = plain ? square[k][n] / scale[n] : 0.0f;
        const int32_t whole =
            static_cast<int32_t>(std::nearbyint(std::max(-127.0f, std::min(127.0f, ratio))));
        total[n] += whole;
        q[((k0 + k) / 4 * width + n) * 4 + k % 4] = static_cast<int8_t>(whole);
      }
  }
  std::memcpy(to + width * 4, total, static_cast<std::size_t>(width) * 4);
}

// Packs panels [panel0, panel1) of the matrix whose W[k][n] is number k * stride_k + n * stride_n
// of `w`, of type `source`; `packed` has room for bytes(kind, K, N) and begins at kAlign bytes.
inline void pack(int kind, int64_t K, int64_t N, const void* w, int source, int64_t stride_k,
                 int64_t stride_n, void* packed, int64_t panel0, int64_t panel1) {
  const Matrix matrix{w, source, K, N, stride_k, stride_n};
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    const int64_t width = panel_width(N, panel), n0 = panel * kPanel;
    unsigned char* to = static_cast<unsigned char*>(packed) +
                        static_cast<std::size_t>(panel) * panel_bytes(kind, K, kPanel);
    if (kind == I8) {
      pack_panel_i8(matrix, n0, width, to);
      continue;
    }
    for (int64_t k0 = 0; k0 < K; k0 += kSquare) {
      float square[kSquare][kPanel];
      const int64_t count = std::min(kSquare, K - k0);
      read_square(matrix, k0, count, n0, width, square);
      for (int64_t k = 0; k < count; ++k) {
        if (kind == F32)
          std::memcpy(reinterpret_cast<float*>(to) + (k0 + k) * width, square[k],
                      static_cast<std::size_t>(width) * 4);
        else
          store_bf16(square[k], width, reinterpret_cast<uint16_t*>(to) + (k0 + k) * width);
      }
    }
  }
}

// ---- passes -----------------------------------------------------------------------------------

// Calls f(rows as a constant, first row) for rows of 1..Most that add up to M, as even as can be.
template <int Most, class F> SIMD_INLINE void pick(int64_t rows, F&& f) {
  if (rows == Most)
    f(std::integral_constant<int, Most>{});
  else if constexpr (Most > 1)
    pick<Most - 1>(rows, f);
}
template <int Most, class F> SIMD_INLINE void each_pass(int64_t M, F&& f) {
  int64_t m = 0;
  for (int64_t left = (M + Most - 1) / Most; left > 0; --left) {
    const int64_t rows = (M - m + left - 1) / left;
    pick<Most>(rows, [&](auto constant) { f(constant, m); });
    m += rows;
  }
}

// What a pass fetches into the second cache while it works on something else: `lines` cache lines
// at each of its steps. The first passes over a block fetch the next one.
struct Ahead {
  const unsigned char* at = nullptr;
  int64_t lines = 0;

  SIMD_INLINE void fetch(int64_t step) const {
    for (int64_t l = 0; l < lines; ++l)
      __builtin_prefetch(at + (step * lines + l) * kAlign, 0, 2);
  }
};

// Whether one pass reads every line of a block just once, in order. Then the CPU's own fetching
// is quicker than any share of ours.
inline bool in_order(int64_t M, int most, int vectors, int64_t width) {
  return M <= most && vectors * simd::kLanes >= width;
}

// The share of a pass: the next block begins at `next` and has `lines` lines for every step.
inline Ahead share(const unsigned char* next, int64_t lines, int64_t steps, int64_t pass,
                   int64_t passes) {
  const int64_t sharers = std::min(passes, lines), each = (lines + sharers - 1) / sharers;
  if (next == nullptr || pass >= sharers) return {};
  return {next + pass * each * steps * kAlign, each};
}

// Outputs that a pass is going to write; worth it where there are many.
template <int MR, int NV> SIMD_INLINE void fetch_outputs(const float* y, int64_t ldy) {
  if constexpr (MR > 2)
    for (int i = 0; i < MR; ++i)
      for (int j = 0; j < NV; ++j) __builtin_prefetch(y + i * ldy + j * simd::kLanes, 1, 3);
}

// ---- floats -----------------------------------------------------------------------------------

// Where a pass reads `NV` vectors of outputs of one input from.
struct Floats {
  using Number = float;
  static constexpr int kRows = kRowsF32;
  static constexpr int group(int rows) { return group_f32(rows); }
  template <int NV> static SIMD_INLINE void read(const float* w, Vec (&out)[NV]) {
    for (int j = 0; j < NV; ++j) out[j] = simd::load(w + j * simd::kLanes);
  }
};
struct Bfloats {
  using Number = uint16_t;
  static constexpr int kRows = kRowsBF16;
  static constexpr int group(int rows) { return group_bf16(rows); }
  template <int NV> static SIMD_INLINE void read(const uint16_t* w, Vec (&out)[NV]) {
    static_assert(NV % 2 == 0, "store_bf16 makes pairs");
    for (int j = 0; j < NV; j += 2) {
      const Int pair = simd::load_bits(w + j * simd::kLanes);
      Int low, high;
      SIMD_EACH {
        low.part[p] = pair.part[p] << 16;
        high.part[p] = pair.part[p] & static_cast<int32_t>(0xffff0000u);
      }
      out[j] = simd::floats(low);
      out[j + 1] = simd::floats(high);
    }
  }
};

// y[i][:] (+)= sum over `count` k of x[i][k] w[k][:] for MR rows and the first `wide` of NV
// vectors of outputs; w's rows are `width` apart. `first`: y is written, not added to.
template <class W, int MR, int NV>
LINEAR_APART void tile(const float* x, int64_t ldx, const typename W::Number* w, int64_t width,
                       int64_t count, float* y, int64_t ldy, int64_t wide, bool first,
                       Ahead ahead) {
  Vec sum[MR][NV];
  LINEAR_EACH(i, MR)
    LINEAR_EACH(j, NV) sum[i][j] = simd::zero();
  fetch_outputs<MR, NV>(y, ldy);
  for (int64_t k = 0; k < count; ++k) {
    ahead.fetch(k);
    Vec row[NV];
    W::template read<NV>(w + k * width, row);
    LINEAR_EACH(i, MR) {
      const Vec a = simd::broadcast(x[i * ldx + k]);
      LINEAR_EACH(j, NV) sum[i][j] = simd::fma(a, row[j], sum[i][j]);
    }
  }
  LINEAR_EACH(i, MR)
    LINEAR_EACH(j, NV) {
      float* to = y + i * ldy + j * simd::kLanes;
      const int64_t left = wide - j * simd::kLanes;
      if (left >= simd::kLanes) {
        simd::store(to, first ? sum[i][j] : simd::load(to) + sum[i][j]);
      } else if (left > 0) {
        const int n = static_cast<int>(left);
        simd::store(to, first ? sum[i][j] : simd::load(to, n) + sum[i][j], n);
      }
    }
}

// One pass over a block of a panel for MR rows.
template <class W, int MR>
inline void pass(const float* x, int64_t ldx, const typename W::Number* w, int64_t width,
                 int64_t count, float* y, int64_t ldy, int64_t wide, bool first, Ahead ahead) {
  constexpr int NV = W::group(MR);
  if (NV > 2 && width == kPanel / 2) {
    tile<W, MR, 2>(x, ldx, w, width, count, y, ldy, wide, first, ahead);
    return;
  }
  for (int64_t n = 0; n < wide; n += NV * simd::kLanes, ahead = {})
    tile<W, MR, NV>(x, ldx, w + n, width, count, y + n, ldy, wide - n, first, ahead);
}

template <class W>
inline void run_floats(int kind, const unsigned char* packed, int64_t M, int64_t K, int64_t N,
                       const float* x, int64_t ldx, float* y, int64_t ldy, int64_t panel0,
                       int64_t panel1) {
  using Number = typename W::Number;
  const int64_t passes = (M + W::kRows - 1) / W::kRows;
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    const int64_t width = panel_width(N, panel), n0 = panel * kPanel;
    const int64_t wide = std::min(width, N - n0);
    const int64_t lines = width * static_cast<int64_t>(sizeof(Number)) / kAlign;
    const bool alone = in_order(M, W::kRows, W::group(static_cast<int>(M)), width);
    const Number* w = reinterpret_cast<const Number*>(
        packed + static_cast<std::size_t>(panel) * panel_bytes(kind, K, kPanel));
    for (int64_t k0 = 0; k0 == 0 || k0 < K; k0 += kBlock) {
      const int64_t count = std::min(kBlock, K - k0);
      const bool last = panel + 1 == panel1 && k0 + kBlock >= K;
      const auto* next = last || alone
                             ? nullptr
                             : reinterpret_cast<const unsigned char*>(w + (k0 + count) * width);
      int64_t number = 0;
      each_pass<W::kRows>(M, [&](auto rows, int64_t m) {
        pass<W, decltype(rows)::value>(x + m * ldx + k0, ldx, w + k0 * width, width, count,
                                       y + m * ldy + n0, ldy, wide, k0 == 0,
                                       share(next, lines, count, number++, passes));
      });
    }
  }
}

// ---- whole numbers ----------------------------------------------------------------------------

// q = round(x 32767 / largest) of 16 bits as q + 32768 = 256 high + low. A row of scratch:
// its scale (kAlign bytes), high[K], low[K], both with zeros up to a multiple of 16.
constexpr int32_t kTop = 32767, kHalf = 32768;

// The first `left` of 16 numbers.
inline Vec load_some(const float* x, int64_t left) {
  return left >= simd::kLanes ? simd::load(x) : simd::load(x, static_cast<int>(left));
}

inline void prepare_row(int64_t K, const float* x, unsigned char* to) {
  // Floats without their signs are in the same order as their bits; infinity and NaN come last.
  Int largest{};
  for (int64_t k = 0; k < K; k += simd::kLanes)
    largest = simd::max(largest, simd::bits(simd::abs(load_some(x + k, K - k))));
  int32_t lane[simd::kLanes], most = 0;
  std::memcpy(lane, &largest, sizeof lane);
  for (int32_t size : lane) most = std::max(most, size);
  float top;
  std::memcpy(&top, &most, sizeof top);
  const bool plain = top > 1e-30f && top <= std::numeric_limits<float>::max();
  const float tiny = top <= 1e-30f ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  const float scale = plain ? top / kTop : tiny, ratio = plain ? kTop / top : 0.0f;
  std::memcpy(to, &scale, sizeof scale);

  const int64_t plane = round_up(K, simd::kLanes);
  const Vec magic = simd::broadcast(12582912.0f);  // 1.5 2^23: adding it rounds to whole numbers
  const Int base = simd::bits(magic);
  for (int64_t k = 0; k < plane; k += simd::kLanes) {
    const Vec a = plain ? load_some(x + k, K - k) : simd::zero();
    // Not `fma`: without it every CPU comes to the same whole numbers.
    Int q = simd::bits(a * simd::broadcast(ratio) + magic);
    SIMD_EACH q.part[p] = q.part[p] - base.part[p] + kHalf;
    int32_t whole[simd::kLanes];
    std::memcpy(whole, &q, sizeof whole);
    unsigned char* high = to + kAlign + k;
    for (int l = 0; l < simd::kLanes; ++l) high[l] = static_cast<unsigned char>(whole[l] >> 8);
    for (int l = 0; l < simd::kLanes; ++l) high[plane + l] = static_cast<unsigned char>(whole[l]);
  }
}

// Four whole numbers for each of 16 outputs, and four of x for all of them, in the form in which
// `dot` multiplies them.
#if defined(__AVX512VNNI__) || (defined(__AVXVNNI__) && !defined(__AVX512F__))
using Fours = Int;
SIMD_INLINE Fours fours_of_w(const int8_t* w) {
  return simd::load_bits(w);
}
SIMD_INLINE Fours fours_of_x(const unsigned char* x) {
  int32_t four;
  std::memcpy(&four, x, sizeof four);
  return simd::broadcast(four);
}
SIMD_INLINE Int dot(Int sum, Fours x, Fours w) {
  SIMD_EACH {
#if defined(__AVX512F__)
    sum.part[p] = (simd::Word)_mm512_dpbusd_epi32((__m512i)sum.part[p], (__m512i)x.part[p],
                                                  (__m512i)w.part[p]);
#else
    sum.part[p] = (simd::Word)_mm256_dpbusd_avx_epi32((__m256i)sum.part[p], (__m256i)x.part[p],
                                                      (__m256i)w.part[p]);
#endif
  }
  return sum;
}
#else
struct Fours {
  Int even, odd;  // pairs of 16 bits: numbers 0 and 2, 1 and 3
};
typedef int16_t Short __attribute__((vector_size(4 * simd::kNative)));
SIMD_INLINE Fours fours_of_w(const int8_t* w) {
  const Int all = simd::load_bits(w);
  Fours out;
  SIMD_EACH {
    const Short bytes = reinterpret_cast<Short>(all.part[p]);
    out.even.part[p] = reinterpret_cast<simd::Word>((bytes << 8) >> 8);
    out.odd.part[p] = reinterpret_cast<simd::Word>(bytes >> 8);
  }
  return out;
}
SIMD_INLINE Fours fours_of_x(const unsigned char* x) {
  uint32_t four;
  std::memcpy(&four, x, sizeof four);
  return {simd::broadcast(static_cast<int32_t>(four & 0x00ff00ffu)),
          simd::broadcast(static_cast<int32_t>(four >> 8 & 0x00ff00ffu))};
}
// The sums of the products of two neighbouring numbers of 16 bits.
SIMD_INLINE simd::Word pairs(simd::Word a, simd::Word b) {
#if defined(__AVX512BW__)
  return (simd::Word)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__) && !defined(__AVX512F__)
  return (simd::Word)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__) && !defined(__AVX__)
  return (simd::Word)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}
SIMD_INLINE Int dot(Int sum, Fours x, Fours w) {
  SIMD_EACH {
    sum.part[p] += pairs(x.even.part[p], w.even.part[p]);
    sum.part[p] += pairs(x.odd.part[p], w.odd.part[p]);
  }
  return sum;
}
#endif

// y[i][:] for MR prepared rows and the first `wide` of NV vectors of outputs.
template <int MR, int NV>
LINEAR_APART void tile_i8(const unsigned char* x, int64_t ldx, int64_t K,
                          const unsigned char* panel, int64_t width, int64_t n0, float* y,
                          int64_t ldy, int64_t wide, Ahead ahead) {
  const auto* q = reinterpret_cast<const int8_t*>(panel + width * 8) + n0 * 4;
  const int64_t plane = round_up(K, simd::kLanes);
  Int high[MR][NV], low[MR][NV];
  LINEAR_EACH(i, MR)
    LINEAR_EACH(j, NV) high[i][j] = low[i][j] = simd::broadcast(0);
  fetch_outputs<MR, NV>(y, ldy);
  for (int64_t k = 0; k < K; k += 4) {
    ahead.fetch(k / 4);
    Fours w[NV];
    LINEAR_EACH(j, NV) w[j] = fours_of_w(q + k * width + j * 4 * simd::kLanes);
    LINEAR_EACH(i, MR) {
      const unsigned char* row = x + i * ldx + kAlign + k;
      const Fours a = fours_of_x(row);
      LINEAR_EACH(j, NV) high[i][j] = dot(high[i][j], a, w[j]);
      const Fours b = fours_of_x(row + plane);
      LINEAR_EACH(j, NV) low[i][j] = dot(low[i][j], b, w[j]);
    }
  }
  const float* scale = reinterpret_cast<const float*>(panel) + n0;
  const auto* total = reinterpret_cast<const int32_t*>(panel + width * 4) + n0;
  LINEAR_EACH(i, MR) {
    float row_scale;
    std::memcpy(&row_scale, x + i * ldx, sizeof row_scale);
    LINEAR_EACH(j, NV) {
      const Int sums = simd::load_bits(total + j * simd::kLanes);
      Vec upper, lower;
      SIMD_EACH {
        const simd::Word signed_high = high[i][j].part[p] - 128 * sums.part[p];
        upper.part[p] = __builtin_convertvector(signed_high, simd::Float);
        lower.part[p] = __builtin_convertvector(low[i][j].part[p], simd::Float);
      }
      const Vec value = simd::fma(simd::broadcast(256.0f), upper, lower) *
                        (simd::broadcast(row_scale) * simd::load(scale + j * simd::kLanes));
      const int64_t left = wide - j * simd::kLanes;
      float* to = y + i * ldy + j * simd::kLanes;
      if (left >= simd::kLanes)
        simd::store(to, value);
      else if (left > 0)
        simd::store(to, value, static_cast<int>(left));
    }
  }
}

template <int MR>
inline void pass_i8(const unsigned char* x, int64_t ldx, int64_t K, const unsigned char* panel,
                    int64_t width, float* y, int64_t ldy, int64_t wide, Ahead ahead) {
  constexpr int NV = group_i8(MR);
  if (NV > 2 && width == kPanel / 2) {
    tile_i8<MR, 2>(x, ldx, K, panel, width, 0, y, ldy, wide, ahead);
    return;
  }
  for (int64_t n = 0; n < wide; n += NV * simd::kLanes, ahead = {})
    tile_i8<MR, NV>(x, ldx, K, panel, width, n, y + n, ldy, wide - n, ahead);
}

inline void run_i8(const unsigned char* packed, int64_t M, int64_t K, int64_t N,
                   const unsigned char* prepared, float* y, int64_t ldy, int64_t panel0,
                   int64_t panel1) {
  const int64_t ldx = static_cast<int64_t>(scratch(I8, 1, K));
  const int64_t passes = (M + kRowsI8 - 1) / kRowsI8;
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    const int64_t width = panel_width(N, panel), n0 = panel * kPanel;
    const int64_t wide = std::min(width, N - n0);
    const unsigned char* w = packed + static_cast<std::size_t>(panel) * panel_bytes(I8, K, kPanel);
    const bool alone = in_order(M, kRowsI8, group_i8(static_cast<int>(M)), width);
    const auto* next = panel + 1 == panel1 || alone ? nullptr : w + panel_bytes(I8, K, width);
    const int64_t lines = width * 4 / kAlign, steps = (K + 3) / 4;
    int64_t number = 0;
    each_pass<kRowsI8>(M, [&](auto rows, int64_t m) {
      pass_i8<decltype(rows)::value>(prepared + m * ldx, ldx, K, w, width, y + m * ldy + n0, ldy,
                                     wide, share(next, lines, steps, number++, passes));
    });
  }
}

// ---- multiplying ------------------------------------------------------------------------------

// What all panels need of x, (M, K) with rows `ldx` numbers apart: nothing unless kind is I8.
// `to` has room for scratch(kind, M, K) bytes and begins at kAlign bytes. A row that holds NaN or
// an infinity makes outputs of NaN; one of nothing above 1e-30 makes zeros.
inline void prepare(int kind, int64_t M, int64_t K, const float* x, int64_t ldx, void* to) {
  if (kind != I8) return;
  for (int64_t m = 0; m < M; ++m)
    prepare_row(K, x + m * ldx, static_cast<unsigned char*>(to) + scratch(I8, m, K));
}

// y (M, N) = x (M, K) W in the outputs of panels [panel0, panel1); nothing else of y is touched.
// `prepared` is what `prepare` wrote for the same rows. x and y must not overlap.
inline void run(int kind, const void* packed, int64_t M, int64_t K, int64_t N, const float* x,
                int64_t ldx, const void* prepared, float* y, int64_t ldy, int64_t panel0,
                int64_t panel1) {
  const auto* w = static_cast<const unsigned char*>(packed);
  const auto* q = static_cast<const unsigned char*>(prepared);
  for (int64_t m = 0; m < M; m += kChunk, x += kChunk * ldx, y += kChunk * ldy) {
    const int64_t rows = std::min(kChunk, M - m);
    if (kind == F32)
      run_floats<Floats>(kind, w, rows, K, N, x, ldx, y, ldy, panel0, panel1);
    else if (kind == BF16)
      run_floats<Bfloats>(kind, w, rows, K, N, x, ldx, y, ldy, panel0, panel1);
    else
      run_i8(w, rows, K, N, q + scratch(kind, m, K), y, ldy, panel0, panel1);
  }
}

}  // namespace linear
