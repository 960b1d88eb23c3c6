/*
 * Kernels that fail by themselves, and what the simulator does not know, which it says by name.
 */
#include "bug.cuh"

#include <cassert>

static __global__ void asserts(int n)
{
    /* BUG assertion: assertion failed */
    assert(n == 3);
}

static void assertion(int planted)
{
    asserts<<<1, 32>>>(3 + planted);
    finish(nullptr);
}

static __global__ void gives_up(int planted)
{
    if (planted) {
        /* BUG trapped: trap */
        __trap();
    }
}

static void trapped(int planted)
{
    gives_up<<<1, 32>>>(planted);
    finish(nullptr);
}

static __global__ void waits(volatile int *flag)
{
    /* BUG endless: the block does not end */
    while (*flag == 0) {
    }
}

static void endless(int planted)
{
    int *flag = zeros<int>(1);
    if (!planted) {
        CALL(cudaMemset(flag, 1, sizeof *flag));
    }
    waits<<<1, 1>>>(flag);
    finish(flag);
}

static __global__ void unknown_instruction(int *x)
{
    int y;
    /* BUG instruction: the simulator does not know 'mul24.lo.s32 */
    asm volatile("mul24.lo.s32 %0, %1, %1;" : "=r"(y) : "r"(*x));
    *x = y;
}

static __global__ void known_instruction(int *x)
{
    *x = *x * *x;
}

/* The launch itself is refused. */
static void instruction(int planted)
{
    int *x = zeros<int>(1);
    if (planted) {
        unknown_instruction<<<1, 1>>>(x);
    } else {
        known_instruction<<<1, 1>>>(x);
    }
    finish(x);
}

static __global__ void prints(int n)
{
    /* BUG print: the simulator does not know 'call */
    printf("%d\n", n);
}

static void print(int planted)
{
    if (planted) {
        prints<<<1, 1>>>(1);
    }
    finish(nullptr);
}

static __device__ __noinline__ int below(int n)
{
    /* BUG recursion: the simulator does not know 'call */
    return n < 2 ? n : below(n - 1) + below(n - 2);
}

static __global__ void recurses(int *x)
{
    *x = below(*x);
}

static void recursion(int planted)
{
    int *x = zeros<int>(1);
    if (planted) {
        recurses<<<1, 1>>>(x);
    }
    finish(x);
}

BUGS({"assertion", assertion}, {"trapped", trapped}, {"endless", endless},
     {"instruction", instruction}, {"print", print}, {"recursion", recursion})
