/*
 * op.h - the tables of instructions. A key is the opcode, the modifiers that change the result, and
 * the type: "mul.wide.s32", "setp.lt.f32", "add.rz.f32". Those that do not (.uni, .approx, cache
 * hints, .rn) are not in it. A key that no table has is an instruction that is not supported.
 */
#ifndef VOV_TESTS_CUDASIM_OP_H
#define VOV_TESTS_CUDASIM_OP_H

#include "ptx.h"

struct op_row {
    const char *key;
    op_run *run;
};

/* Each table ends with a NULL key. */
extern const struct op_row op_integer_rows[];
extern const struct op_row op_bits_rows[];
extern const struct op_row op_float_rows[];
extern const struct op_row op_half_rows[];
extern const struct op_row op_compare_rows[];
extern const struct op_row op_move_rows[];
extern const struct op_row op_memory_rows[];
extern const struct op_row op_atomic_rows[];
extern const struct op_row op_warp_rows[];

/* NULL: not supported. */
op_run *op_find(const char *key);

op_run op_run_nothing;
op_run op_run_unsupported; /* reports the instruction by its text */
op_run op_run_assert;      /* reports a failed assert() and stops the lanes */
op_run op_run_rounded;     /* runs `inner` under the instruction's rounding */
op_run op_run_flushed;     /* runs `inner` with subnormal floats taken as zero */

#endif
