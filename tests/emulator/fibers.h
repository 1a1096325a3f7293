// The threads of a block as fibers, one stack each; knows nothing of what they wait for.

#ifndef EMULATOR_FIBERS_H
#define EMULATOR_FIBERS_H

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

// Saves the callee's registers on this stack, its address in *from, and goes on from stack `to`.
extern "C" void emulator_switch(void** from, void* to);
#if defined(__x86_64__)
__asm__(R"(
.text
.local emulator_switch
.type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch, .-emulator_switch
)");
#elif defined(__aarch64__)
__asm__(R"(
.text
.local emulator_switch
.type emulator_switch, %function
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emulator_switch, .-emulator_switch
)");
#else
#error "the emulator knows how to switch stacks on x86-64 and aarch64 only"
#endif

extern "C" {
extern char __start_shared_memory[] __attribute__((weak));
extern char __stop_shared_memory[] __attribute__((weak));
}

namespace emulator {

typedef uint64_t Word;
constexpr int WarpSize = 32, WordCount = 30;
typedef void (*Kernel)(Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word,
                       Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word,
                       Word, Word, Word, Word);
constexpr uint32_t PoisonWord = 0x7fa57fa5;  // a signalling NaN as float, bf16 and f16
constexpr size_t GuardBytes = 4096;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t StackBytes = 256 << 10;
#else
constexpr size_t StackBytes = 64 << 10;
#endif

enum Meeting {
    Runs, Gone, AtBlock, AtWarp, AtXor, AtShuffle, AtDown, AtAny, AtTf32, AtBf16, AtMatrices
};
static const char* const MeetingNames[] = {
    "nothing",      "the end",  "__syncthreads", "__syncwarp", "shuffle_xor",  "shuffle",
    "shuffle_down", "warp_any", "mma_tf32",      "mma_bf16",   "load_matrices"};

struct Copy {
    void* to;
    const void* from;  // null: zeros
    int64_t group;
};

struct Lane {
    void* stack;  // where it goes on
    Meeting at;
    const char* file;
    int line, number;
    uint32_t value, result;  // what it brings to a meeting and takes away
    float* d;
    const uint32_t *a, *b;
    std::vector<Copy> copies;
    int64_t groups;  // closed by copy_commit
    void* fake;      // what the address sanitizer knows about its stack
    char* bottom;
};

enum Order { Ascending, Descending, Random };

static std::vector<Lane> lanes;
static Lane* now;            // the lane that runs
static void* scheduler;      // where the scheduler goes on
static std::string failure;  // why the launch ends, or ""
static char* dynamic_shared;
static Kernel kernel;
static const Word* words;
static Order order;
static uint64_t dice;

inline uint32_t roll(uint32_t sides) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return uint32_t((dice >> 33) % sides);
}

// The addresses of the scheduler's own stack, for the sanitizer.
static const void* scheduler_bottom;
static size_t scheduler_size;

inline void to_scheduler(bool forever = false) {
    Lane* self = now;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(forever ? nullptr : &self->fake, scheduler_bottom,
                                   scheduler_size);
#endif
    (void)forever;
    emulator_switch(&self->stack, scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(self->fake, &scheduler_bottom, &scheduler_size);
#endif
}

inline void to_lane(Lane& lane, unsigned index) {
    now = &lane;
    threadIdx.x = index;
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, lane.bottom, StackBytes);
#endif
    emulator_switch(&scheduler, lane.stack);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// Ends the launch; the lane never goes on.
[[noreturn]] inline void fail(const std::string& why) {
    if (failure.empty())
        failure = "thread " + std::to_string(threadIdx.x) + " of block " +
                  std::to_string(blockIdx.x) + ": " + why;
    to_scheduler(true);
    abort();
}

static void lane_main() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
#endif
    const Word* w = words;
    kernel(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13],
           w[14], w[15], w[16], w[17], w[18], w[19], w[20], w[21], w[22], w[23], w[24], w[25],
           w[26], w[27], w[28], w[29]);
    now->at = Gone;
    to_scheduler(true);
    abort();
}

inline void begin(Lane& lane, int index) {
    // Stacks begin at different cache lines: at equal ones they would drive each other out.
    char* top = lane.bottom + StackBytes - (index * 192) % 4096;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(lane.bottom, StackBytes);
#endif
#if defined(__x86_64__)
    void** stack = reinterpret_cast<void**>(top) - 8;  // six registers, the return address
    stack[6] = reinterpret_cast<void*>(&lane_main);
    stack[7] = nullptr;
#else
    void** stack = reinterpret_cast<void**>(top) - 20;
    stack[11] = reinterpret_cast<void*>(&lane_main);  // x30
#endif
    lane.stack = stack;
    lane.at = Runs;
    lane.copies.clear();
    lane.groups = 0;
    lane.fake = nullptr;
}

}  // namespace emulator

#endif
