// Products of small float tiles on tensor cores, for wkv7.cu. Knows nothing of the recurrence.
//
// A tile is 16 rows (tokens) of floats in shared memory. Its columns lie in pieces of four floats,
// exchanged within a row by the row's number (`at`), so that no access here meets a bank twice.
// Where a tile's columns are summed over, each eight of them lie in the order 0 2 4 6 1 3 5 7
// (`place`): then a product's result, as it lies in registers, is the next product's left operand.
//
// Lane l of a warp is written as g = l / 4 and i = l % 4. Results (16, 8): float 0 and 1 are row g,
// columns 2i and 2i + 1; float 2 and 3 are row g + 8.

#ifndef ADVENTURE_WKV7_TENSOR_H
#define ADVENTURE_WKV7_TENSOR_H

#include "gpu.h"

constexpr int CHUNK = 16;   // tokens in a tile
constexpr int SQUARE = 20;  // floats from row to row of a (CHUNK, CHUNK) tile
constexpr int SQUARE_FLOATS = CHUNK * SQUARE;

// Float inputs are multiplied as high and low parts, others as one tf32 number each.
constexpr bool EXACT = sizeof(IO) == 4;

template <int COLUMNS>
__device__ __forceinline__ int at(int row, int column) {
    return row * COLUMNS + (column ^ ((row & 7) << 2));
}
// at<COLUMNS>(row, 8 eight + low), low < 8, in the form that takes least when only `eight` changes.
template <int COLUMNS>
__device__ __forceinline__ int at(int row, int eight, int low) {
    return (row * COLUMNS + (low ^ ((row & 7) << 2))) ^ (8 * eight);
}
__device__ __forceinline__ int place(int column) {
    return (column & ~7) | ((column & 7) >> 1) | ((column & 1) << 2);
}

// Of an operand the tensor core takes the upper 19 bits and drops the rest. A number that is
// enlarged by seven tenths of half its last place comes out rounded, without a bias on the whole;
// what tf32 can hold comes out as it is. One multiplication, and NaN and infinity stay: cvt.rna
// takes four instructions.
constexpr float ROUNDED = 1.0f + 0.7f / 2048;

// What a tile holds for x, so that it can be used as it is.
__device__ __forceinline__ float kept(float x) { return EXACT ? x : x * ROUNDED; }

template <int COUNT>
struct Operand {
    uint32_t high[COUNT], low[COUNT];
};
typedef Operand<4> Left;   // (16, 8)
typedef Operand<2> Right;  // (8, 8)

// KEPT: x is from a tile made by `kept`.
template <bool KEPT = false, int COUNT>
__device__ __forceinline__ void put(Operand<COUNT>& to, int index, float x) {
    if (!EXACT) {
        to.high[index] = __float_as_uint(KEPT ? x : kept(x));
        return;
    }
    to.high[index] = __float_as_uint(x) & 0xffffe000u;
    to.low[index] = __float_as_uint((x - __uint_as_float(to.high[index])) * ROUNDED);
}

// A result of two accumulators: the low parts' products would be cut off beside the others.
struct Sum {
    float high[4], low[4];
    __device__ __forceinline__ float operator[](int i) const {
        return EXACT ? high[i] + low[i] : high[i];
    }
};
__device__ __forceinline__ Sum zero() { return {{0, 0, 0, 0}, {0, 0, 0, 0}}; }

__device__ __forceinline__ void multiply(Sum& sum, const Left& a, const Right& b) {
    if (EXACT) {
        mma_tf32(sum.low, a.low, b.high);
        mma_tf32(sum.low, a.high, b.low);
    }
    mma_tf32(sum.high, a.high, b.high);
}

// ---- operands ----

// Columns 8 block to 8 block + 7 of all rows of a tile whose columns are placed: as the left
// operand, or as the right operands of two results, columns 0 to 7 (the tile's first rows) and 8
// to 15. The tile is one made by `kept`.
struct Rows {
    float x[4];
    __device__ __forceinline__ Left left() const {
        Left a;
        put<true>(a, 0, x[0]), put<true>(a, 1, x[2]), put<true>(a, 2, x[1]), put<true>(a, 3, x[3]);
        return a;
    }
    __device__ __forceinline__ Right right(int half) const {
        Right b;
        put<true>(b, 0, x[2 * half]), put<true>(b, 1, x[2 * half + 1]);
        return b;
    }
};

__device__ __forceinline__ Rows rows_at(const float* row) {
    uint32_t bits[4];
    load_matrices(bits, row);
    Rows rows;
#pragma unroll
    for (int i = 0; i < 4; ++i) rows.x[i] = __uint_as_float(bits[i]);
    return rows;
}

template <int COLUMNS>
__device__ __forceinline__ Rows rows_of(const float* tile, int block, int lane) {
    return rows_at(tile + at<COLUMNS>(lane % 8 + lane / 16 * 8, block, lane / 8 % 2 * 4));
}
__device__ __forceinline__ Rows rows_of_square(const float* square, int block, int lane) {
    return rows_at(square + (lane % 8 + lane / 16 * 8) * SQUARE + 8 * block + lane / 8 % 2 * 4);
}

// Rows 8 block to 8 block + 7 of a tile, summed over: the right operand of columns 8 eight to
// 8 eight + 7. low: where in these this lane's column lies, g or place(g).
template <int COLUMNS, bool KEPT>
__device__ __forceinline__ Right columns_right(const float* tile, int block, int eight, int low,
                                               int lane) {
    const int row = lane % 4 * 2;
    const float* rows = tile + 8 * block * COLUMNS;
    Right b;
    put<KEPT>(b, 0, rows[at<COLUMNS>(row, eight, low)]);
    put<KEPT>(b, 1, rows[at<COLUMNS>(row + 1, eight, low)]);
    return b;
}

// The same, transposed, as the left operand of columns 8 eight to 8 eight + 15.
template <int COLUMNS, bool KEPT>
__device__ __forceinline__ Left columns_left(const float* tile, int block, int eight, int lane) {
    const Right first = columns_right<COLUMNS, KEPT>(tile, block, eight, lane / 4, lane);
    const Right second = columns_right<COLUMNS, KEPT>(tile, block, eight + 1, lane / 4, lane);
    return {{first.high[0], second.high[0], first.high[1], second.high[1]},
            {first.low[0], second.low[0], first.low[1], second.low[1]}};
}

// Four floats of a result as the left operand of the next product.
__device__ __forceinline__ Left left_of(float x0, float x1, float x2, float x3) {
    Left a;
    put(a, 0, x0), put(a, 1, x2), put(a, 2, x1), put(a, 3, x3);
    return a;
}

// ---- (CHUNK, CHUNK) matrices ----

// A matrix as its two results of eight columns.
struct Square {
    float x[2][4];
};

template <int COLUMNS>  // rows of `a` times rows of `b`
__device__ __forceinline__ Square rows_by_rows(const float* a, const float* b, int lane) {
    Sum sum[2] = {zero(), zero()};
#pragma unroll
    for (int block = 0; block < COLUMNS / 8; ++block) {
        const Left left = rows_of<COLUMNS>(a, block, lane).left();
        const Rows right = rows_of<COLUMNS>(b, block, lane);
        multiply(sum[0], left, right.right(0));
        multiply(sum[1], left, right.right(1));
    }
    Square c;
#pragma unroll
    for (int i = 0; i < 8; ++i) c.x[i / 4][i % 4] = sum[i / 4][i % 4];
    return c;
}

__device__ __forceinline__ int square_row(int index, int lane) {
    return lane / 4 + index % 4 / 2 * 8;
}
__device__ __forceinline__ int square_column(int index, int lane) {
    return index / 4 * 8 + lane % 4 * 2 + index % 2;
}

__device__ __forceinline__ void keep_square(float* to, const Square& c, int lane) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
        to[square_row(i, lane) * SQUARE + place(square_column(i, lane))] = kept(c.x[i / 4][i % 4]);
}

// a b, where b is given transposed.
__device__ __forceinline__ Square product(const Square& a, const Square& transposed) {
    Sum sum[2] = {zero(), zero()};
#pragma unroll
    for (int block = 0; block < 2; ++block) {
        const float* x = a.x[block];
        const Left left = left_of(x[0], x[1], x[2], x[3]);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            Right right;
            put(right, 0, transposed.x[block][2 * half]);
            put(right, 1, transposed.x[block][2 * half + 1]);
            multiply(sum[half], left, right);
        }
    }
    Square c;
#pragma unroll
    for (int i = 0; i < 8; ++i) c.x[i / 4][i % 4] = sum[i / 4][i % 4];
    return c;
}

__device__ __forceinline__ Square plus(const Square& a, const Square& b) {
    Square c;
#pragma unroll
    for (int i = 0; i < 8; ++i) c.x[i / 4][i % 4] = a.x[i / 4][i % 4] + b.x[i / 4][i % 4];
    return c;
}

// Of a matrix as it lies in memory, or its transpose: where row and column are in the same 2 size
// numbers and not in the same `size`.
__device__ __forceinline__ Square between(const float* square, int size, bool transposed,
                                          int lane) {
    Square c;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int row = square_row(i, lane), column = square_column(i, lane), apart = row ^ column;
        c.x[i / 4][i % 4] = apart >= size && apart < 2 * size
                                ? square[transposed ? column * SQUARE + row : row * SQUARE + column]
                                : 0.0f;
    }
    return c;
}

__device__ __forceinline__ Square identity(int lane) {
    Square c;
#pragma unroll
    for (int i = 0; i < 8; ++i)
        c.x[i / 4][i % 4] = square_row(i, lane) == square_column(i, lane) ? 1.0f : 0.0f;
    return c;
}

// (I - x)^-1 for x that is zero on the diagonal and on one side of it. The inverse of blocks on the
// diagonal, of 2, 4, 8 numbers, makes that of twice their size: y + y x' y with x' what is between
// them. (The product of I + x, I + x^2, I + x^4, I + x^8 is shorter, and useless where tokens are
// alike: powers of x grow to thousands there, and cancel.) One warp; `square` is its memory.
__device__ __forceinline__ Square inverse(const Square& x, float* square, int lane) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
        square[square_row(i, lane) * SQUARE + square_column(i, lane)] = x.x[i / 4][i % 4];
    __syncwarp();
    Square y = plus(identity(lane), between(square, 1, false, lane));
    Square yt = plus(identity(lane), between(square, 1, true, lane));
#pragma unroll 1  // the keepers need the registers
    for (int size = 2; size < CHUNK; size *= 2) {
        const Square right = product(yt, between(square, size, false, lane));  // (x' y)^T
        if (2 * size < CHUNK) yt = plus(yt, product(right, y));
        y = plus(y, product(y, right));
    }
    __syncwarp();
    return y;
}

#endif
