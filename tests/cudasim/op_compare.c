/*
 * op_compare.c - comparisons and choices.
 */
#include "op_impl.h"

#include <math.h>

/* setp may join its result with a third operand, and give the opposite as a second result. */
static void set(struct warp *w, const struct instruction *in, uint32_t lanes, uint32_t result,
                int pair)
{
    const int joined = 3 + pair;
    const bool has = in->combine != COMBINE_NONE && joined < in->operands;
    const uint32_t with = has ? op_predicate(w, in, joined) : 0;
    uint32_t p = result, q = ~result;
    if (has) {
        p = in->combine == COMBINE_AND ? p & with : in->combine == COMBINE_OR ? p | with : p ^ with;
        q = in->combine == COMBINE_AND ? q & with : in->combine == COMBINE_OR ? q | with : q ^ with;
    }
    op_set_predicate(exec_operand(w, in, 0), lanes, p);
    if (pair) {
        op_set_predicate(exec_operand(w, in, 1), lanes, q);
    }
}

/* "p|q" as the result makes one operand more. */
static int is_pair(const struct instruction *in)
{
    return in->operands - (in->combine != COMBINE_NONE) > 3;
}

#define COMPARE(name, t, expression)                                                               \
    OP(name##_##t)                                                                                 \
    {                                                                                              \
        const int pair = is_pair(in);                                                              \
        const union reg *x = exec_operand(w, in, 1 + pair);                                        \
        const union reg *y = exec_operand(w, in, 2 + pair);                                        \
        uint32_t result = 0;                                                                       \
        FOR_LANES(const C_##t a = GET_##t(x, l); const C_##t b = GET_##t(y, l);                    \
                  result |= (uint32_t)(expression) << l;);                                         \
        set(w, in, lanes, result, pair);                                                           \
    }

#define EQUAL(t) COMPARE(eq, t, a == b) COMPARE(ne, t, a != b)
#define ORDER(t)                                                                                   \
    COMPARE(lt, t, a < b) COMPARE(le, t, a <= b) COMPARE(gt, t, a > b) COMPARE(ge, t, a >= b)
EQUAL(b16)
EQUAL(b32)
EQUAL(b64)
EQUAL(u16)
EQUAL(s16)
EQUAL(u32)
EQUAL(s32)
EQUAL(u64)
EQUAL(s64)
ORDER(u16)
ORDER(s16)
ORDER(u32)
ORDER(s32)
ORDER(u64)
ORDER(s64)

/* Of floats: lt and its like are false if one is NaN, ltu and its like true. */
#define FLOAT(t)                                                                                   \
    COMPARE(eq, t, a == b)                                                                         \
    COMPARE(ne, t, a<b || a> b)                                                                    \
    ORDER(t)                                                                                       \
    COMPARE(equ, t, !(a < b || a > b))                                                             \
    COMPARE(neu, t, a != b)                                                                        \
    COMPARE(ltu, t, !(a >= b))                                                                     \
    COMPARE(leu, t, !(a > b))                                                                      \
    COMPARE(gtu, t, !(a <= b))                                                                     \
    COMPARE(geu, t, !(a < b))                                                                      \
    COMPARE(num, t, !isnan(a) && !isnan(b))                                                        \
    COMPARE(nan, t, isnan(a) || isnan(b))
FLOAT(f32)
FLOAT(f64)
FLOAT(f16)
FLOAT(bf16)

#define SELECT(t)                                                                                  \
    OP(selp_##t)                                                                                   \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        const union reg *y = exec_operand(w, in, 2);                                               \
        const uint32_t p = op_predicate(w, in, 3);                                                 \
        FOR_LANES(PUT_##t(d, l, p >> l & 1 ? GET_##t(x, l) : GET_##t(y, l)););                     \
    }
SELECT(b16)
SELECT(b32)
SELECT(b64)

#define TEST(name, expression)                                                                     \
    OP(name)                                                                                       \
    {                                                                                              \
        const union reg *x = exec_operand(w, in, 1);                                               \
        uint32_t result = 0;                                                                       \
        FOR_LANES(const double a = in->type == PTX_F64 ? x->F[l] : (double)x->f[l];                \
                  const int kind = in->type == PTX_F64 ? fpclassify(a) : fpclassify(x->f[l]);      \
                  result |= (uint32_t)(expression) << l;);                                         \
        op_set_predicate(exec_operand(w, in, 0), lanes, result);                                   \
    }
TEST(test_finite, kind != FP_NAN && kind != FP_INFINITE)
TEST(test_infinite, kind == FP_INFINITE)
TEST(test_number, kind != FP_NAN)
TEST(test_nan, kind == FP_NAN)
TEST(test_normal, kind == FP_NORMAL)
TEST(test_subnormal, kind == FP_SUBNORMAL)

#define ROWS_EQUAL(t) ROW("setp.eq", eq, t) ROW("setp.ne", ne, t)
#define ROWS_ORDER(t)                                                                              \
    ROW("setp.lt", lt, t) ROW("setp.le", le, t) ROW("setp.gt", gt, t) ROW("setp.ge", ge, t)
#define ROWS_UNSIGNED(t) /* lo, ls, hi, hs: lt, le, gt, ge of unsigned numbers */                  \
    ROW("setp.lo", lt, t) ROW("setp.ls", le, t) ROW("setp.hi", gt, t) ROW("setp.hs", ge, t)
#define ROWS_FLOAT(t)                                                                              \
    ROWS_EQUAL(t)                                                                                  \
    ROWS_ORDER(t)                                                                                  \
    ROW("setp.equ", equ, t)                                                                        \
    ROW("setp.neu", neu, t)                                                                        \
    ROW("setp.ltu", ltu, t)                                                                        \
    ROW("setp.leu", leu, t)                                                                        \
    ROW("setp.gtu", gtu, t) ROW("setp.geu", geu, t) ROW("setp.num", num, t) ROW("setp.nan", nan, t)
#define ROWS_SELECT(bits, letter) {"selp." #letter #bits, selp_b##bits},

const struct op_row op_compare_rows[] = {
    ROWS_EQUAL(b16) ROWS_EQUAL(b32) ROWS_EQUAL(b64) ROWS_EQUAL(u16) ROWS_EQUAL(s16) ROWS_EQUAL(u32)
        ROWS_EQUAL(s32) ROWS_EQUAL(u64) ROWS_EQUAL(s64) ROWS_ORDER(u16) ROWS_ORDER(s16)
            ROWS_ORDER(u32) ROWS_ORDER(s32) ROWS_ORDER(u64) ROWS_ORDER(s64) ROWS_UNSIGNED(u16)
                ROWS_UNSIGNED(u32) ROWS_UNSIGNED(u64) ROWS_FLOAT(f32) ROWS_FLOAT(f64)
                    ROWS_FLOAT(f16) ROWS_FLOAT(bf16) ROWS_SELECT(16, b) ROWS_SELECT(16, u)
                        ROWS_SELECT(16, s) ROWS_SELECT(16, f) ROWS_SELECT(32, b) ROWS_SELECT(32, u)
                            ROWS_SELECT(32, s) ROWS_SELECT(32, f) ROWS_SELECT(64, b)
                                ROWS_SELECT(64, u) ROWS_SELECT(64, s)
                                    ROWS_SELECT(64, f){"testp.finite", test_finite},
    {"testp.infinite", test_infinite},
    {"testp.number", test_number},
    {"testp.notanumber", test_nan},
    {"testp.normal", test_normal},
    {"testp.subnormal", test_subnormal},
    {NULL, NULL}};
