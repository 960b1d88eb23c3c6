/*
 * ptx.h - a module of PTX as read: its variables, its kernels and their instructions.
 *
 * Calls are read into the caller, so a kernel is one array of instructions; recursion is refused.
 * An instruction knows the function that performs it (op.h); one that the tables lack makes its
 * kernel unfit, which is reported by name when the kernel is launched.
 */
#ifndef VOV_TESTS_CUDASIM_PTX_H
#define VOV_TESTS_CUDASIM_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ptx_type {
    PTX_NONE,
    PTX_B8,
    PTX_U8,
    PTX_S8,
    PTX_B16,
    PTX_U16,
    PTX_S16,
    PTX_F16,
    PTX_BF16,
    PTX_B32,
    PTX_U32,
    PTX_S32,
    PTX_F32,
    PTX_F16X2,
    PTX_BF16X2,
    PTX_B64,
    PTX_U64,
    PTX_S64,
    PTX_F64,
    PTX_PRED
};

/* A predicate has a bit for each lane, and none in memory. */
static inline size_t ptx_type_bytes(enum ptx_type type)
{
    static const uint8_t bytes[] = {
        [PTX_B8] = 1,  [PTX_U8] = 1,  [PTX_S8] = 1,    [PTX_B16] = 2,    [PTX_U16] = 2,
        [PTX_S16] = 2, [PTX_F16] = 2, [PTX_BF16] = 2,  [PTX_B32] = 4,    [PTX_U32] = 4,
        [PTX_S32] = 4, [PTX_F32] = 4, [PTX_F16X2] = 4, [PTX_BF16X2] = 4, [PTX_B64] = 8,
        [PTX_U64] = 8, [PTX_S64] = 8, [PTX_F64] = 8,   [PTX_PRED] = 0};
    return bytes[type];
}

enum ptx_space { PTX_GENERIC, PTX_GLOBAL, PTX_SHARED, PTX_LOCAL, PTX_PARAM, PTX_CONST };

/* What only the scheduler can do; FLOW_NONE is an instruction with a function. */
enum ptx_flow { FLOW_NONE, FLOW_BRANCH, FLOW_TABLE, FLOW_EXIT, FLOW_BARRIER };

enum ptx_round { ROUND_NEAREST, ROUND_ZERO, ROUND_DOWN, ROUND_UP, ROUND_AWAY };
enum ptx_combine { COMBINE_NONE, COMBINE_AND, COMBINE_OR, COMBINE_XOR };

/* Generic addresses that are not global memory. A shared address in 32 bits is the offset alone. */
#define PTX_SHARED_BASE 0x100000000000u
#define PTX_LOCAL_BASE 0x110000000000u
#define PTX_PARAM_BASE 0x120000000000u
#define PTX_WINDOW 0x1000000u

#define PTX_OPERANDS 10
#define PTX_NO_OPERAND INT32_MIN

struct warp;
struct instruction;
typedef void op_run(struct warp *w, const struct instruction *in, uint32_t lanes);

struct instruction {
    op_run *run;
    op_run *inner; /* what `run` wraps, if it rounds or flushes around it */
    enum ptx_flow flow;
    enum ptx_type type, type2;
    enum ptx_space space;
    enum ptx_round round;
    enum ptx_combine combine;
    bool to_integer; /* .rni and its like: rounds to an integer, not to a nearby float */
    bool saturate, flush, strong;
    uint32_t wide;     /* bit i: operand i is a register of 64 bits, whatever the type */
    uint32_t inverted; /* bit i: operand i is a predicate with a "!" before it */
    int32_t predicate; /* register; PTX_NO_OPERAND: runs always */
    bool predicate_not;
    int vector;              /* elements of a load or store: 1, 2 or 4 */
    int group;               /* registers in braces; 0: none */
    bool group_first;        /* the braces are the first operand */
    int32_t r[PTX_OPERANDS]; /* a register, or ~i for constant i */
    int operands;
    int32_t base; /* of an address in brackets: an operand; PTX_NO_OPERAND: the offset is all */
    bool base_wide;
    int64_t offset;
    uint32_t target;   /* FLOW_BRANCH: an instruction; FLOW_TABLE: a table of the kernel */
    uint32_t location; /* of the module */
    uint32_t told;     /* bit k: a report of kind k was made here */
    const char *text;  /* as it stands in the PTX */
};

/* Registers that hold where a thread is. */
enum ptx_special {
    SPECIAL_TID_X,
    SPECIAL_TID_Y,
    SPECIAL_TID_Z,
    SPECIAL_NTID_X,
    SPECIAL_NTID_Y,
    SPECIAL_NTID_Z,
    SPECIAL_CTAID_X,
    SPECIAL_CTAID_Y,
    SPECIAL_CTAID_Z,
    SPECIAL_NCTAID_X,
    SPECIAL_NCTAID_Y,
    SPECIAL_NCTAID_Z,
    SPECIAL_LANE,
    SPECIAL_WARP,
    SPECIAL_MASK_EQ,
    SPECIAL_MASK_LT,
    SPECIAL_MASK_LE,
    SPECIAL_MASK_GT,
    SPECIAL_MASK_GE,
    SPECIAL_DYNAMIC_SHARED,
    SPECIALS
};

/* One value for each of the 32 lanes. 16 bits stand in the lower half of u; a predicate is a bit of
 * u[0] for each lane.
 */
union reg {
    uint32_t u[32];
    int32_t s[32];
    float f[32];
    uint64_t U[32];
    int64_t S[32];
    double F[32];
};

struct ptx_param {
    uint32_t offset, bytes;
};

struct jump_table {
    uint32_t *targets;
    size_t count;
};

struct kernel {
    char *name; /* owned */
    struct ptx_module *module;
    const char *source; /* from the parameter list on */
    bool read;          /* the rest is filled in, at the first launch */
    bool unfit;         /* holds an instruction that is not supported */

    struct instruction *code;
    size_t count;
    struct jump_table *tables;
    size_t table_count;
    size_t registers;
    union reg *constants;
    uint8_t *constant_bytes;
    size_t constant_count;
    int32_t specials[SPECIALS]; /* registers; PTX_NO_OPERAND: not used */
    struct ptx_param *params;
    size_t param_count;
    uint32_t param_bytes, shared_bytes, local_bytes;
    uint64_t launches, steps; /* so far, for CUSIM_PROFILE */
    struct kernel *next;
};

/* Where an instruction comes from; parent: the place that it was inlined at, 0 for none. */
struct location {
    uint32_t file, line, column, parent;
};

struct ptx_module;

/* Reads a module, which lives as long as the program. Ends the program if it is not PTX that this
 * reader knows. */
struct ptx_module *ptx_open(const char *text, size_t bytes);

/* The kernel of that name, with its instructions; NULL if there is none. */
struct kernel *ptx_find_kernel(struct ptx_module *m, const char *name);
void ptx_read_kernel(struct kernel *k);

/* The device address of a variable; NULL if there is none. */
void *ptx_find_variable(struct ptx_module *m, const char *name);

/* Calls f with each kernel of the program. */
void ptx_each_kernel(void (*f)(struct kernel *k));

/* "file.cu:12" of an instruction: the innermost place in the program's own files. */
const char *ptx_place(const struct ptx_module *m, uint32_t location, char *text, size_t size);

#endif
