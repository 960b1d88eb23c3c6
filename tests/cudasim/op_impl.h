/*
 * op_impl.h - how the op_*.c files write an instruction: as an expression of its operands a, b and
 * c in a type, which a macro puts in a loop over the lanes.
 */
#ifndef VOV_TESTS_CUDASIM_OP_IMPL_H
#define VOV_TESTS_CUDASIM_OP_IMPL_H

#include "exec.h"
#include "half.h"
#include "op.h"

/* For each lane l of `lanes`; the whole warp, which is the rule, in a loop that vectorises. */
#define FOR_LANES(...)                                                                             \
    do {                                                                                           \
        if (lanes == UINT32_MAX) {                                                                 \
            for (int l = 0; l < 32; l++) {                                                         \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        } else {                                                                                   \
            for (uint32_t rest_ = lanes; rest_; rest_ &= rest_ - 1) {                              \
                const int l = exec_first(rest_);                                                   \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#define C_u8 uint8_t
#define C_s8 int8_t
#define C_b16 uint16_t
#define C_u16 uint16_t
#define C_s16 int16_t
#define C_b32 uint32_t
#define C_u32 uint32_t
#define C_s32 int32_t
#define C_b64 uint64_t
#define C_u64 uint64_t
#define C_s64 int64_t
#define C_f32 float
#define C_f64 double
#define C_f16 float
#define C_bf16 float

/* Lane l of register r as a type. */
#define GET_u8(r, l) (uint8_t)(r)->u[l]
#define GET_s8(r, l) (int8_t)(r)->u[l]
#define GET_b16(r, l) (uint16_t)(r)->u[l]
#define GET_u16(r, l) (uint16_t)(r)->u[l]
#define GET_s16(r, l) (int16_t)(r)->u[l]
#define GET_b32(r, l) (r)->u[l]
#define GET_u32(r, l) (r)->u[l]
#define GET_s32(r, l) (r)->s[l]
#define GET_b64(r, l) (r)->U[l]
#define GET_u64(r, l) (r)->U[l]
#define GET_s64(r, l) (r)->S[l]
#define GET_f32(r, l) (r)->f[l]
#define GET_f64(r, l) (r)->F[l]
#define GET_f16(r, l) half_to_float((uint16_t)(r)->u[l])
#define GET_bf16(r, l) bfloat_to_float((uint16_t)(r)->u[l])

#define PUT_b16(r, l, v) (r)->u[l] = (uint16_t)(v)
#define PUT_u16(r, l, v) (r)->u[l] = (uint16_t)(v)
#define PUT_s16(r, l, v) (r)->u[l] = (uint16_t)(v)
#define PUT_b32(r, l, v) (r)->u[l] = (uint32_t)(v)
#define PUT_u32(r, l, v) (r)->u[l] = (uint32_t)(v)
#define PUT_s32(r, l, v) (r)->u[l] = (uint32_t)(v)
#define PUT_b64(r, l, v) (r)->U[l] = (uint64_t)(v)
#define PUT_u64(r, l, v) (r)->U[l] = (uint64_t)(v)
#define PUT_s64(r, l, v) (r)->U[l] = (uint64_t)(v)
#define PUT_f32(r, l, v) (r)->f[l] = (v)
#define PUT_f64(r, l, v) (r)->F[l] = (v)
#define PUT_f16(r, l, v) (r)->u[l] = half_from_float(v)
#define PUT_bf16(r, l, v) (r)->u[l] = bfloat_from_float(v)

static inline bool op_is_signed(enum ptx_type type)
{
    return type == PTX_S8 || type == PTX_S16 || type == PTX_S32 || type == PTX_S64;
}

/* The bits of operand i for loads, stores and conversions, whose registers may be wider than the
 * type, and the way back: a wider register gets the sign, or zeros.
 */
static inline uint64_t op_get(const struct warp *w, const struct instruction *in, int i, int l,
                              enum ptx_type type)
{
    const union reg *r = exec_operand(w, in, i);
    return ptx_type_bytes(type) == 8 || in->wide >> i & 1 ? r->U[l] : r->u[l];
}

static inline void op_put(const struct warp *w, const struct instruction *in, int i, int l,
                          enum ptx_type type, uint64_t bits)
{
    union reg *r = exec_operand(w, in, i);
    const unsigned unused = 64 - 8 * (unsigned)ptx_type_bytes(type);
    const bool wide = unused == 0 || in->wide >> i & 1;
    if (op_is_signed(type)) {
        bits = (uint64_t)((int64_t)(bits << unused) >> unused);
    } else {
        bits = bits << unused >> unused;
    }
    if (wide) {
        r->U[l] = bits;
    } else {
        r->u[l] = (uint32_t)bits;
    }
}

#define OP(name) static void name(struct warp *w, const struct instruction *in, uint32_t lanes)

/* name_t: operand 0 in type tr becomes the expression of a (of type t), and b, and c. */
#define UNARY(name, tr, t, expression)                                                             \
    OP(name##_##t)                                                                                 \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        FOR_LANES(const C_##t a = GET_##t(x, l); PUT_##tr(d, l, (expression)););                   \
    }

#define BINARY(name, tr, t, expression)                                                            \
    OP(name##_##t)                                                                                 \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        const union reg *y = exec_operand(w, in, 2);                                               \
        FOR_LANES(const C_##t a = GET_##t(x, l); const C_##t b = GET_##t(y, l);                    \
                  PUT_##tr(d, l, (expression)););                                                  \
    }

/* As BINARY with a third operand of type tr. */
#define TERNARY(name, tr, t, expression)                                                           \
    OP(name##_##t)                                                                                 \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        const union reg *y = exec_operand(w, in, 2);                                               \
        const union reg *z = exec_operand(w, in, 3);                                               \
        FOR_LANES(const C_##t a = GET_##t(x, l); const C_##t b = GET_##t(y, l);                    \
                  const C_##tr c = GET_##tr(z, l); PUT_##tr(d, l, (expression)););                 \
    }

#define ROW(key, name, t) {key "." #t, name##_##t},

/* The lanes for which a predicate operand is true, a "!" before it taken into account. */
static inline uint32_t op_predicate(const struct warp *w, const struct instruction *in, int i)
{
    const uint32_t p = exec_operand(w, in, i)->u[0];
    return in->inverted >> i & 1 ? ~p : p;
}

static inline void op_set_predicate(union reg *r, uint32_t lanes, uint32_t value)
{
    r->u[0] = (r->u[0] & ~lanes) | (value & lanes);
}

#endif
