/*
 * op_integer.c - whole numbers: sums, products, quotients. They wrap around, and a division by zero
 * gives all ones, as on the GPU.
 */
#include "op_impl.h"

/* An unsigned type at least as wide as int, in which each type's sums may wrap around, and one
 * twice as wide as the type, for products.
 */
#define W_u16 uint32_t
#define W_s16 uint32_t
#define W_u32 uint32_t
#define W_s32 uint32_t
#define W_u64 uint64_t
#define W_s64 uint64_t
#define D_u16 uint32_t
#define D_s16 int32_t
#define D_u32 uint64_t
#define D_s32 int64_t
__extension__ typedef unsigned __int128 uint128;
__extension__ typedef __int128 int128;
#define D_u64 uint128
#define D_s64 int128

#define ALL(X) X(u16, 16) X(s16, 16) X(u32, 32) X(s32, 32) X(u64, 64) X(s64, 64)

#define DEFINE_ALL(t, bits)                                                                        \
    BINARY(add, t, t, (W_##t)a + (W_##t)b)                                                         \
    BINARY(sub, t, t, (W_##t)a - (W_##t)b)                                                         \
    BINARY(mul_lo, t, t, (W_##t)a *(W_##t)b)                                                       \
    BINARY(mul_hi, t, t, ((D_##t)a * (D_##t)b) >> bits)                                            \
    BINARY(min, t, t, a < b ? a : b)                                                               \
    BINARY(max, t, t, a > b ? a : b)                                                               \
    TERNARY(mad_lo, t, t, (W_##t)a *(W_##t)b + (W_##t)c)                                           \
    TERNARY(mad_hi, t, t, (W_##t)(((D_##t)a * (D_##t)b) >> bits) + (W_##t)c)
ALL(DEFINE_ALL)

#define DEFINE_UNSIGNED(t)                                                                         \
    BINARY(div, t, t, b == 0 ? UINT64_MAX : a / b)                                                 \
    BINARY(rem, t, t, b == 0 ? a : a % b)
DEFINE_UNSIGNED(u16)
DEFINE_UNSIGNED(u32)
DEFINE_UNSIGNED(u64)

#define DEFINE_SIGNED(t)                                                                           \
    UNARY(neg, t, t, 0 - (W_##t)a)                                                                 \
    UNARY(abs, t, t, a < 0 ? 0 - (W_##t)a : (W_##t)a)                                              \
    BINARY(div, t, t,                                                                              \
           b == 0    ? UINT64_MAX                                                                  \
           : b == -1 ? (uint64_t)0 - (uint64_t)a                                                   \
                     : (uint64_t)(a / b))                                                          \
    BINARY(rem, t, t, b == 0 ? a : b == -1 ? 0 : a % b)
DEFINE_SIGNED(s16)
DEFINE_SIGNED(s32)
DEFINE_SIGNED(s64)

/* Products twice as wide as their factors. */
#define DEFINE_WIDE(t, wide)                                                                       \
    BINARY(mul_wide, wide, t, (C_##wide)a *(C_##wide)b)                                            \
    TERNARY(mad_wide, wide, t, (W_##wide)((C_##wide)a * (C_##wide)b) + (W_##wide)c)
DEFINE_WIDE(u16, u32)
DEFINE_WIDE(s16, s32)
DEFINE_WIDE(u32, u64)
DEFINE_WIDE(s32, s64)

#define ROWS_ALL(t, bits)                                                                          \
    ROW("add", add, t)                                                                             \
    ROW("sub", sub, t)                                                                             \
    ROW("mul.lo", mul_lo, t)                                                                       \
    ROW("mul.hi", mul_hi, t)                                                                       \
    ROW("min", min, t)                                                                             \
    ROW("max", max, t)                                                                             \
    ROW("mad.lo", mad_lo, t) ROW("mad.hi", mad_hi, t) ROW("div", div, t) ROW("rem", rem, t)
#define ROWS_SIGNED(t) ROW("neg", neg, t) ROW("abs", abs, t)
#define ROWS_WIDE(t) ROW("mul.wide", mul_wide, t) ROW("mad.wide", mad_wide, t)

const struct op_row op_integer_rows[] = {ALL(ROWS_ALL) ROWS_SIGNED(s16) ROWS_SIGNED(
    s32) ROWS_SIGNED(s64) ROWS_WIDE(u16) ROWS_WIDE(s16) ROWS_WIDE(u32) ROWS_WIDE(s32){NULL, NULL}};
