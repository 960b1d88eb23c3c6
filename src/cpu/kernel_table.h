/*
 * kernel_table.h - the entries of a table of innermost loops: `const struct cpu_kernels name =
 * KERNEL_TABLE;` in each kernels_*.c file.
 */
#ifndef VOV_CPU_KERNEL_TABLE_H
#define VOV_CPU_KERNEL_TABLE_H

#include "kernel_act.h"
#include "kernel_dots.h"
#include "kernel_norm.h"
#include "kernel_panel.h"
#include "kernel_peak.h"
#include "kernel_pool.h"
#include "kernel_tile.h"
#include "kernel_wino.h"

#include <limits.h>

/* The numbers of struct conv_cut and conv_costs in their order. With AVX-512: of one core of a Xeon
 * of the Sapphire Rapids kind, with 2 MiB of second cache; else: of an AMD Zen 3 with 512 KiB
 * (`make bench-kernels`, and layers whose weights were not in a cache). */
#if VEC_BYTES == 64
#define CONV_CUT                                                                                   \
    {                                                                                              \
        56, 512, 2, 4, 2, 400 << 10, 100, 1400 << 10, 768 << 10, 1 << 20                           \
    }
#define CONV_COSTS                                                                                 \
    {                                                                                              \
        135, 16, 0.4, 0.075,                                                                       \
        {                                                                                          \
            0.25, 0.245, 0.36                                                                      \
        }                                                                                          \
    }
#else
#define CONV_CUT                                                                                   \
    {                                                                                              \
        40, 256, 4, 16, 1, 400 << 10, 24, 400 << 10, INT_MAX, 0                                    \
    }
#define CONV_COSTS                                                                                 \
    {                                                                                              \
        92, 14, 0.4, 0.35,                                                                         \
        {                                                                                          \
            0.40, 0.45, 0.50                                                                       \
        }                                                                                          \
    }
#endif

#define KERNEL_TABLE                                                                               \
    {                                                                                              \
        .cut = CONV_CUT, .costs = CONV_COSTS, .tile = kernel_tile, .dots = KERNEL_DOTS,            \
        .pack_panel = kernel_pack_panel, .transpose8 = kernel_transpose8, .finish = kernel_finish, \
        .fill_row = kernel_fill_row, .act_fwd = kernel_act_fwd, .act_bwd = kernel_act_bwd,         \
        .add = kernel_add, .affine = kernel_affine, .scale = kernel_scale,                         \
        .product = kernel_product, .add_product = kernel_add_product, .exp_less = kernel_exp_less, \
        .sum = kernel_sum, .dot = kernel_dot, .moments = kernel_moments,                           \
        .norm_apply = kernel_norm_apply, .norm_sums = kernel_norm_sums, .norm_dx = kernel_norm_dx, \
        .wino = {WINO_TABLE(2), WINO_TABLE(4), WINO_TABLE(6)}, .larger = kernel_larger,            \
        .largest = kernel_largest, .largest_at = kernel_largest_at,                                \
        .window_sums = kernel_window_sums, .window_spread = kernel_window_spread,                  \
        .twice = kernel_twice, .twice_back = kernel_twice_back, .quarter = kernel_quarter,         \
        .quarter_back = kernel_quarter_back, .multiply_adds = kernel_multiply_adds,                \
        .multiply = kernel_multiply, .join_rows = kernel_join_rows, .put_rows = kernel_put_rows,   \
    }

#endif
