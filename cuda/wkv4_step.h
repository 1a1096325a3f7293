// One token of WKV-4, forward and backward, for one channel or a vector of them; knows nothing of
// memory, threads or the device.
//
// Per channel, with w <= 0 the log of the decay and u the bonus:
//   y = (A + e^(u+k) v) / (B + e^(u+k)) ;  A <- e^w A + e^k v ;  B <- e^w B + e^k
// A, B and their gradients are numbers times 2^exp. Terms are joined at the larger exponent:
// nothing overflows, and what vanishes is too small to count. README.md derives it.
//
// M says what numbers are: types F and I (an integer of F's size), and whole, to_int, exp_near
// below. The same text serves SIMD vectors and a CUDA thread; WKV4_INLINE is what functions are.

#pragma once

template <class M> struct Wkv4 {
  using F = typename M::F;
  using I = typename M::I;

  // m 2^n, m in [0.7, 1.42] for ordinary x.
  struct Power {
    F m;
    I n;
  };
  // A = num 2^exp, B = den 2^exp.
  struct Sums {
    F num, den;
    I exp;
  };
  // e^w = (1 + decay1 + decay2) 2^decay_exp with decay2 what rounding took from decay1: every token
  // has the same error, so it counts T times. e^u = bonus 2^bonus_exp.
  struct Rates {
    F decay1, decay2, bonus;
    I decay_exp, bonus_exp;
  };
  // What a token's output was made of: y = (A + fresh v) / below, all times 2^-top; and v - y.
  struct Output {
    F y, fresh, ahead;
    I top;
  };
  // The gradients of A and B: a 2^exp, b 2^exp.
  struct Grads {
    F a, b;
    I exp;
  };
  // What rounding took from such a pair of numbers, of which the first is num or a.
  struct Lost {
    F first{}, second{};
  };
  // What a token gives to the gradients of its key and value, of u and of w.
  struct Shares {
    F k, v, u, w;
  };

  static WKV4_INLINE F fill(double x) { return F{} + static_cast<typename M::Real>(x); }
  static WKV4_INLINE I larger(I a, I b) { return a > b ? a : b; }
  static WKV4_INLINE I smaller(I a, I b) { return a < b ? a : b; }

  // 2^n to the bit for n <= kBias; 0 below the smallest normal number.
  static WKV4_INLINE F two_to(I n) {
    return M::from_bits((larger(n, I{} - M::kBias) + M::kBias) << M::kMantissa);
  }
  static WKV4_INLINE F two_to_any(I n) { return two_to(smaller(n, I{} + M::kBias)); }

  // e^x = e^f 2^n with |f| <= ln 2 / 2. ln 2 comes in two terms, of which the first times n is
  // exact up to |x| = 30,000; x log2(e) alone would lose 2e-5 at x = 300. Past 1e7 f grows.
  static WKV4_INLINE void reduce(F x, F& f, I& n) {
    const F limit = fill(268435456.0);
    F whole = M::whole(x * fill(1.4426950408889634));
    whole = whole > -limit ? whole : -limit;  // in this order not a number becomes one
    whole = whole < limit ? whole : limit;
    f = (x - whole * fill(M::kLn2High)) - whole * fill(M::kLn2Low);
    n = M::to_int(whole);
  }
  static WKV4_INLINE Power exp(F x) {
    F f;
    Power p;
    reduce(x, f, p.n);
    p.m = M::exp_near(f);
    return p;
  }

  // The output of a token with key k (as e^k) and value v, s being the sums before it; 1 / below.
  static WKV4_INLINE Output output(Power k, F v, const Rates& rates, const Sums& s, F& inverse) {
    Output out;
    const I newest = k.n + rates.bonus_exp;
    out.top = larger(s.exp, newest);
    const F old = two_to(s.exp - out.top);
    out.fresh = two_to(newest - out.top) * (rates.bonus * k.m);
    inverse = M::inverse(s.den * old + out.fresh);
    out.y = (s.num * old + out.fresh * v) * inverse;
    out.ahead = (v * s.den - s.num) * (old * inverse);  // v - y would cancel where fresh is all
    return out;
  }

  // The decay is added as what it takes away: one rounding at the size of the sum, and none of a
  // slow decay's digits is lost. What this rounding loses is added next time (Kahan).
  static WKV4_INLINE F decay(F kept, const Rates& rates, F added) {
    return kept + (kept * rates.decay1 + (kept * rates.decay2 + added));
  }
  static WKV4_INLINE F decay(F kept, const Rates& rates, F added, F keep, F& lost) {
    const F small = kept * rates.decay2 + (lost * keep + added);
    const F change = kept * rates.decay1 + small, sum = kept + change;
    lost = change - (sum - kept);
    return sum;
  }

  // The sums after a token.
  static WKV4_INLINE void add(Power k, F v, const Rates& rates, Sums& s, Lost& lost) {
    const I decayed = s.exp + rates.decay_exp;
    s.exp = larger(decayed, k.n);
    const F keep = two_to(decayed - s.exp), take = two_to(k.n - s.exp) * k.m;
    s.num = decay(s.num * keep, rates, take * v, keep, lost.first);
    s.den = decay(s.den * keep, rates, take, keep, lost.second);
  }

  // s += `before`, decayed over the tokens that s was made of: the rates are of so many.
  static WKV4_INLINE void join(const Sums& before, const Rates& rates, Sums& s) {
    const I decayed = before.exp + rates.decay_exp, top = larger(decayed, s.exp);
    const F keep = two_to(decayed - top), take = two_to(s.exp - top);
    s.num = decay(before.num * keep, rates, s.num * take);
    s.den = decay(before.den * keep, rates, s.den * take);
    s.exp = top;
  }

  // The whole number n with x in [2^(n-1), 2^n); 0 where x isn't above zero.
  static WKV4_INLINE I size(F x) {
    const I n = (M::bits(x) >> M::kMantissa) - (M::kBias - 1);
    return x > F{} ? n : I{};
  }
  // den in [0.5, 1). Nothing but the exponent changes.
  static WKV4_INLINE void normalise(Sums& s, Lost& lost) {
    const I n = size(s.den);
    const F scale = two_to(-n);
    s.num *= scale;
    s.den *= scale;
    lost.first *= scale;
    lost.second *= scale;
    s.exp += n;
  }
  static WKV4_INLINE void normalise(Grads& g, Lost& lost) {
    const F a = g.a < F{} ? -g.a : g.a, b = g.b < F{} ? -g.b : g.b;
    const I n = size(a > b ? a : b);
    const F scale = two_to(-n);
    g.a *= scale;
    g.b *= scale;
    lost.first *= scale;
    lost.second *= scale;
    g.exp += n;
  }

  // sum + lost is the sum of the x with what rounding took from it.
  static WKV4_INLINE void gather(F x, F& sum, F& lost) {
    const F next = sum + x, part = next - sum;
    lost += (sum - (next - part)) + (x - part);
    sum = next;
  }

  // What a token's output alone gives to the gradients of A and B before it: from g, those after
  // the token, to those before it. r = dy / below.
  static WKV4_INLINE void pull(F r, const Output& out, const Rates& rates, Grads& g, Lost& lost) {
    const I decayed = g.exp + rates.decay_exp;
    g.exp = larger(decayed, -out.top);
    const F keep = two_to(decayed - g.exp), take = two_to(-out.top - g.exp) * r;
    g.a = decay(g.a * keep, rates, take, keep, lost.first);
    g.b = decay(g.b * keep, rates, -take * out.y, keep, lost.second);
  }

  // A token's shares; s the sums before it, g the gradients of the sums after it. No product here
  // is larger than the gradients that came in: e^k is part of every denominator that g has met.
  static WKV4_INLINE Shares shares(F r, Power k, F v, const Output& out, const Rates& rates,
                                   const Sums& s, const Grads& g) {
    const F direct = out.fresh * r, through = two_to_any(k.n + g.exp) * k.m;
    const F decayed = two_to_any(s.exp + rates.decay_exp + g.exp) * (s.num * g.a + s.den * g.b);
    Shares share;
    share.u = direct * out.ahead;
    share.v = direct + through * g.a;
    share.k = share.u + through * (v * g.a + g.b);
    share.w = decayed + decayed * rates.decay1;
    return share;
  }
};
