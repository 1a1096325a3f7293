// Runs the threads of a grid, block by block, and does what they meet for: barriers, shuffles,
// tensor-core products. Knows no name of CUDA's.

#ifndef EMULATOR_SCHEDULER_H
#define EMULATOR_SCHEDULER_H

#include "fibers.h"

namespace emulator {

// ---- meetings ----

inline void meet(Meeting at, const char* file, int line) {
    now->at = at;
    now->file = file;
    now->line = line;
    to_scheduler();
}

inline float as_float(uint32_t x) {
    float y;
    memcpy(&y, &x, 4);
    return y;
}
inline uint32_t as_uint(float x) {
    uint32_t y;
    memcpy(&y, &x, 4);
    return y;
}

// One tensor core's sum: c and Count exact products are shifted to the largest exponent, cut off
// two bits below a float's last, added, and the sum cut off to a float. (Measured of A100 and H100:
// Fasi et al., "Numerical behavior of NVIDIA tensor cores", 2021.)
template <int Count>
inline float core_sum(float c, const double* products) {
    double most = fabs(double(c)), plain = c;
    for (int i = 0; i < Count; ++i) {
        most = std::max(most, fabs(products[i]));
        plain += products[i];
    }
    if (!std::isfinite(plain)) return float(plain);
    if (most == 0) return 0;
    uint64_t bits;
    memcpy(&bits, &most, 8);
    const uint64_t exponent = (bits >> 52) & 0x7ff;
    const uint64_t up = (uint64_t(1023 + 25) + 1023 - exponent) << 52, down = (exponent - 25) << 52;
    double scale, unscale;
    memcpy(&scale, &up, 8);
    memcpy(&unscale, &down, 8);
    int64_t sum = int64_t(double(c) * scale);
    for (int i = 0; i < Count; ++i) sum += int64_t(products[i] * scale);
    const double exact = double(sum) * unscale;
    float result = float(exact);  // now towards zero
    if (std::isfinite(result) && fabs(double(result)) > fabs(exact))
        result = as_float(as_uint(result) - 1);
    return result;
}

template <int Depth, int Core>  // D (16, 8) += A (16, Depth) B (Depth, 8)
inline void multiply(float (&D)[16][8], const float (&A)[16][Depth], const float (&B)[Depth][8]) {
    for (int first = 0; first < Depth; first += Core)
        for (int i = 0; i < 16; ++i)
            for (int j = 0; j < 8; ++j) {
                double products[Core];
                for (int k = 0; k < Core; ++k)
                    products[k] = double(A[i][first + k]) * double(B[first + k][j]);
                D[i][j] = core_sum<Core>(D[i][j], products);
            }
}

inline void exchange_sums(Lane* warp, float (&D)[16][8], bool out) {
    for (int l = 0; l < WarpSize; ++l)
        for (int i = 0; i < 4; ++i) {
            float& x = D[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2];
            out ? warp[l].d[i] = x : x = warp[l].d[i];
        }
}

inline void multiply_tf32(Lane* warp) {
    float A[16][8], B[8][8], D[16][8];
    const uint32_t used = 0xffffe000u;
    for (int l = 0; l < WarpSize; ++l) {
        for (int i = 0; i < 4; ++i)
            A[l / 4 + 8 * (i % 2)][l % 4 + 4 * (i / 2)] = as_float(warp[l].a[i] & used);
        for (int i = 0; i < 2; ++i) B[l % 4 + 4 * i][l / 4] = as_float(warp[l].b[i] & used);
    }
    exchange_sums(warp, D, false);
    multiply<8, 4>(D, A, B);
    exchange_sums(warp, D, true);
}

inline void multiply_bf16(Lane* warp) {
    float A[16][16], B[16][8], D[16][8];
    for (int l = 0; l < WarpSize; ++l) {
        for (int i = 0; i < 8; ++i) {
            const uint32_t two = warp[l].a[i / 2];
            A[l / 4 + 8 * (i / 2 % 2)][2 * (l % 4) + i % 2 + 8 * (i / 4)] =
                as_float(i % 2 ? two & 0xffff0000u : two << 16);
        }
        for (int i = 0; i < 4; ++i) {
            const uint32_t two = warp[l].b[i / 2];
            B[2 * (l % 4) + i % 2 + 8 * (i / 2)][l / 4] =
                as_float(i % 2 ? two & 0xffff0000u : two << 16);
        }
    }
    exchange_sums(warp, D, false);
    multiply<16, 8>(D, A, B);
    exchange_sums(warp, D, true);
}

inline void load_rows(Lane* warp) {  // ldmatrix: lane l's address in .a is a row, .d its words
    for (int l = 0; l < WarpSize; ++l)
        for (int m = 0; m < 4; ++m) {
            const char* row = reinterpret_cast<const char*>(warp[8 * m + l / 4].a);
            memcpy(reinterpret_cast<uint32_t*>(warp[l].d) + m, row + 4 * (l % 4), 4);
        }
}

// All lanes of a warp wait at the same meeting: does what they came for.
inline void carry_out(Lane* warp) {
    uint32_t any = 0;
    switch (warp[0].at) {
        case AtXor:
            for (int l = 0; l < WarpSize; ++l) {
                const int from = l ^ warp[l].number;
                warp[l].result = warp[from >= 0 && from < WarpSize ? from : l].value;
            }
            break;
        case AtShuffle:
            for (int l = 0; l < WarpSize; ++l) warp[l].result = warp[warp[l].number & 31].value;
            break;
        case AtDown:
            for (int l = 0; l < WarpSize; ++l) {
                const int from = l + warp[l].number;
                warp[l].result = warp[from >= 0 && from < WarpSize ? from : l].value;
            }
            break;
        case AtAny:
            for (int l = 0; l < WarpSize; ++l) any |= warp[l].value;
            for (int l = 0; l < WarpSize; ++l) warp[l].result = any;
            break;
        case AtTf32: multiply_tf32(warp); break;
        case AtBf16: multiply_bf16(warp); break;
        case AtMatrices: load_rows(warp); break;
        default: break;
    }
}

// ---- the scheduler ----

inline bool same_place(const Lane& x, const Lane& y) {
    return x.at == y.at && x.line == y.line && (x.file == y.file || !strcmp(x.file, y.file));
}

// Runs a warp's lanes to their next meeting; whether the warp can go on from there.
inline bool step(int warp) {
    Lane* first = &lanes[warp * WarpSize];
    int lane[WarpSize];
    for (int l = 0; l < WarpSize; ++l) lane[l] = order == Descending ? WarpSize - 1 - l : l;
    if (order == Random)
        for (int l = WarpSize - 1; l > 0; --l) std::swap(lane[l], lane[roll(l + 1)]);
    for (int l : lane)
        if (first[l].at == Runs) {
            to_lane(first[l], warp * WarpSize + l);
            if (!failure.empty()) return false;
        }
    if (first->at <= AtBlock) return false;
    for (int l = 1; l < WarpSize; ++l)
        if (!same_place(first[0], first[l])) return false;
    carry_out(first);
    for (int l = 0; l < WarpSize; ++l) first[l].at = Runs;
    return true;
}

inline std::string described(const Lane& lane) {
    if (lane.at == Gone) return "at the end of the kernel";
    const char* name = strrchr(lane.file, '/');
    return std::string("at ") + MeetingNames[lane.at] + " (" + (name ? name + 1 : lane.file) + ":" +
           std::to_string(lane.line) + ")";
}

// Nothing can go on: says which threads wait where.
inline std::string stuck(int count) {
    std::string text;
    std::vector<bool> told(count);
    for (int i = 0; i < count && text.size() < 600; ++i) {
        if (told[i]) continue;
        int alike = 0, last = i;
        for (int j = i; j < count; ++j)
            if (lanes[j].at == Gone ? lanes[i].at == Gone : same_place(lanes[i], lanes[j])) {
                told[j] = true;
                ++alike;
                last = j;
            }
        text += (text.empty() ? "" : "; ") + std::to_string(alike) + " of threads " +
                std::to_string(i) + " to " + std::to_string(last) + " wait " + described(lanes[i]);
    }
    return "block " + std::to_string(blockIdx.x) + " can't go on: " + text;
}

// All threads that are left wait at one barrier. A second barrier's threads make it false.
inline bool open_barrier(int count) {
    const Lane* first = nullptr;
    for (int i = 0; i < count; ++i) {
        if (lanes[i].at == Gone) continue;
        if (lanes[i].at != AtBlock || (first && !same_place(*first, lanes[i]))) return false;
        first = &lanes[i];
    }
    if (!first) return false;
    for (int i = 0; i < count; ++i)
        if (lanes[i].at == AtBlock) lanes[i].at = Runs;
    return true;
}

inline void run_block(int count) {
    const int warps = count / WarpSize;
    std::vector<int> runnable;
    for (int i = 0; i < count; ++i) begin(lanes[i], i);
    do {
        for (int w = 0; w < warps; ++w) runnable.push_back(order == Ascending ? warps - 1 - w : w);
        while (!runnable.empty()) {
            if (order == Random) std::swap(runnable.back(), runnable[roll(runnable.size())]);
            if (!step(runnable.back())) runnable.pop_back();
            if (!failure.empty()) return;
        }
    } while (open_barrier(count));
    for (int i = 0; i < count; ++i)
        if (lanes[i].at != Gone) {
            failure = stuck(count);
            return;
        }
}

inline void poison(char* memory, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) memory[i] = char(PoisonWord >> (8 * (i % 4)));
}

inline void make_stacks(int count) {
    while (int(lanes.size()) < count) {
        void* memory = mmap(nullptr, StackBytes + GuardBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, GuardBytes, PROT_NONE)) {
            failure = "no memory for the threads' stacks";
            return;
        }
        lanes.emplace_back();
        lanes.back().bottom = static_cast<char*>(memory) + GuardBytes;
    }
}

inline void run_grid(int count, size_t shared) {
    const size_t fence = 256;  // behind shared memory, to see what is written there
#if defined(__SANITIZE_ADDRESS__)
    const size_t behind = 0;
#else
    const size_t behind = fence;
#endif
    void* memory = nullptr;
    if (posix_memalign(&memory, 128, shared + behind)) {
        failure = "no memory for shared memory";
        return;
    }
    dynamic_shared = static_cast<char*>(memory);
    const int64_t blocks = int64_t(gridDim.x) * gridDim.y * gridDim.z;
    std::vector<int64_t> turns(blocks);
    for (int64_t i = 0; i < blocks; ++i) turns[i] = order == Descending ? blocks - 1 - i : i;
    if (order == Random)
        for (int64_t i = blocks - 1; i > 0; --i) std::swap(turns[i], turns[roll(uint32_t(i + 1))]);
    for (int64_t turn : turns) {
        blockIdx.x = unsigned(turn % gridDim.x);
        blockIdx.y = unsigned(turn / gridDim.x % gridDim.y);
        blockIdx.z = unsigned(turn / gridDim.x / gridDim.y);
        poison(dynamic_shared, shared + behind);
        if (__start_shared_memory)
            poison(__start_shared_memory, size_t(__stop_shared_memory - __start_shared_memory));
        run_block(count);
        for (size_t i = shared; i < shared + behind && failure.empty(); ++i)
            if (dynamic_shared[i] != char(PoisonWord >> (8 * (i % 4))))
                failure = "block " + std::to_string(turn) + " writes byte " + std::to_string(i) +
                          " of " + std::to_string(shared) + " bytes of dynamic shared memory";
        if (!failure.empty()) break;
    }
    free(memory);
    dynamic_shared = nullptr;
}

}  // namespace emulator

// Runs a kernel. grid: three sizes; words: WordCount arguments; order: 0 ascending, 1 descending,
// 2 random by seed. Returns null, or why the launch failed (valid until the next one).
extern "C" __attribute__((visibility("default"))) const char* emulate(
    void* kernel, const unsigned* grid, unsigned block, size_t shared, const uint64_t* words,
    int order, uint64_t seed) {
    using namespace emulator;
    failure.clear();
    emulator::kernel = reinterpret_cast<Kernel>(kernel);
    emulator::words = words;
    emulator::order = Order(order);
    dice = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
    if (!dice) dice = 1;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block, 1, 1};
    threadIdx = {0, 0, 0};
    if (block == 0 || block % WarpSize || block > 1024)
        failure = "a block of " + std::to_string(block) +
                  " threads isn't whole warps, at most 1024";
    else
        make_stacks(int(block));
    if (failure.empty()) run_grid(int(block), shared);
    return failure.empty() ? nullptr : failure.c_str();
}

#endif
