/*
 * exec.h - a block of threads while it runs. Blocks run one after the other, the warps of a block
 * in turns from barrier to barrier. The 32 lanes of a warp each have their place in the program;
 * those at the lowest place run together until they meet others, so that lanes that parted join
 * again.
 */
#ifndef VOV_TESTS_CUDASIM_EXEC_H
#define VOV_TESTS_CUDASIM_EXEC_H

#include "ptx.h"

struct dims {
    uint32_t x, y, z;
};

struct warp {
    struct block *block;
    int index;
    union reg *registers;
    uint32_t at[32];              /* the next instruction of each lane */
    uint32_t live;                /* lanes that have not returned */
    uint32_t waiting;             /* lanes at a barrier of the block */
    uint32_t barrier[32];         /* at which instruction each of them waits */
    uint32_t synced;              /* how often lanes of this warp have waited for each other */
    unsigned char *local;         /* local memory: local_bytes for each lane */
    unsigned char *local_written; /* whether each byte of it was written */
};

struct block {
    const struct kernel *kernel;
    struct dims grid, size, id;
    uint32_t number; /* of this block in the grid */
    int device;      /* that it runs on */
    int threads, warp_count;
    struct warp *warps;
    unsigned char *shared, *shared_written;
    size_t shared_bytes, dynamic_bytes;
    const unsigned char *params;
    uint32_t epoch; /* how many barriers of the block are past */
    uint64_t steps; /* instructions of warps so far */
};

/* A launch; the parameters follow. */
struct launch {
    struct kernel *kernel;
    struct dims grid, block;
    size_t shared;
    int device;
    max_align_t params[];
};

/* Runs a whole grid. The kernel's instructions were read. */
void exec_grid(const struct launch *l);

/* Prints what each kernel ran so far. */
void exec_print_profile(void);

/* Kinds of reports: an instruction makes one of each kind only. */
enum exec_kind {
    EXEC_BOUNDS,
    EXEC_ALIGNMENT,
    EXEC_UNWRITTEN,
    EXEC_RACE,
    EXEC_BARRIER,
    EXEC_WARP,
    EXEC_OTHER
};

/* Reports what a lane did: file and line, kernel, block and thread come before the text. */
void exec_report(const struct warp *w, const struct instruction *in, int lane, enum exec_kind kind,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The register or the constant that operand i names. */
static inline union reg *exec_operand(const struct warp *w, const struct instruction *in, int i)
{
    const int32_t r = in->r[i];
    return r >= 0 ? &w->registers[r] : &w->block->kernel->constants[~r];
}

/* The lowest lane of a set. */
static inline int exec_first(uint32_t lanes)
{
    return __builtin_ctz(lanes);
}

#endif
