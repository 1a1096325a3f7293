"""e^x as a mantissa near 1 and a signed integer exponent of 2; knows nothing of recurrences.

A float32 exponential overflows at 88 and loses digits long before; a pair of the two does neither,
and rescaling it by powers of 2 changes no bit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LIMIT = 1 << 28
"""Exponents stay within this, so that sums of a few of them fit 32 bits: |x| up to 1.8e8."""

# ln 2 in two terms (Cody and Waite): a short one, whose products with small integers are exact,
# and what it lacks.
_LN2 = {
    torch.float32: (355 / 512, math.log(2) - 355 / 512),
    torch.float64: (0.6931471803691238, 1.9082149292705877e-10),
}
_LAYOUT = {  # as stored: the integer of the same size, bits of mantissa, bias
    torch.float32: (torch.int32, 23, 127),
    torch.float64: (torch.int64, 52, 1023),
}


def reduce_exp(x: Tensor) -> tuple[Tensor, Tensor]:
    """f and n (int32) with e^x = e^f 2^n and |f| <= ln(2) / 2; float32 or float64 in, f as x.

    The product x * log2(e) alone would lose 2e-5 at x = 300; f is exact to its own last digits.
    f is differentiable, n is a constant. Past LIMIT it is f that grows: e^f is then 0 or infinite.
    """
    high, low = _LN2[x.dtype]
    n = torch.round(x.detach() * (1 / math.log(2))).clamp(-LIMIT, LIMIT)
    return (x - n * high) - n * low, n.int()


def power_of_two(n: Tensor, dtype: torch.dtype) -> Tensor:
    """2^n for integers n, to the bit; 0 below the smallest normal number of `dtype`."""
    integer, bits, bias = _LAYOUT[dtype]
    return n.clamp(-bias, bias).to(integer).add_(bias).bitwise_left_shift_(bits).view(dtype)
