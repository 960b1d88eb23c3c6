/*
 * op_bits.c - bits: logic, shifts, fields, counting. Shifts by more than the width give what a
 * shift bit by bit would.
 */
#include "op_impl.h"

#define LOGIC(t)                                                                                   \
    BINARY(and, t, t, a &b) BINARY(or, t, t, a | b) BINARY(xor, t, t, a ^ b) UNARY(not, t, t, ~a)
LOGIC(b16)
LOGIC(b32)
LOGIC(b64)

/* The amount is always of 32 bits. */
#define SHIFT(name, t, expression)                                                                 \
    OP(name##_##t)                                                                                 \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        const union reg *y = exec_operand(w, in, 2);                                               \
        FOR_LANES(const C_##t a = GET_##t(x, l); const uint32_t n = y->u[l];                       \
                  PUT_##t(d, l, (expression)););                                                   \
    }
SHIFT(shl, b16, n > 15 ? 0u : (uint32_t)a << n)
SHIFT(shl, b32, n > 31 ? 0 : a << n)
SHIFT(shl, b64, n > 63 ? 0 : a << n)
SHIFT(shr, b16, n > 15 ? 0 : a >> n)
SHIFT(shr, u16, n > 15 ? 0 : a >> n)
SHIFT(shr, s16, a >> (n > 15 ? 15 : n))
SHIFT(shr, b32, n > 31 ? 0 : a >> n)
SHIFT(shr, u32, n > 31 ? 0 : a >> n)
SHIFT(shr, s32, a >> (n > 31 ? 31 : n))
SHIFT(shr, b64, n > 63 ? 0 : a >> n)
SHIFT(shr, u64, n > 63 ? 0 : a >> n)
SHIFT(shr, s64, a >> (n > 63 ? 63 : n))

/* Funnel shifts: of the pair b:a, the upper word after a shift to the left, or the lower one. */
TERNARY(shf_l, b32, b32, (uint32_t)((((uint64_t)b << 32 | a) << (c & 31)) >> 32))
TERNARY(shf_r, b32, b32, (uint32_t)(((uint64_t)b << 32 | a) >> (c & 31)))
TERNARY(shf_l_clamp, b32, b32, c > 31 ? a : (uint32_t)((((uint64_t)b << 32 | a) << c) >> 32))
TERNARY(shf_r_clamp, b32, b32, c > 31 ? b : (uint32_t)(((uint64_t)b << 32 | a) >> c))

static uint32_t reverse(uint32_t a)
{
    a = (a >> 1 & 0x55555555u) | (a & 0x55555555u) << 1;
    a = (a >> 2 & 0x33333333u) | (a & 0x33333333u) << 2;
    a = (a >> 4 & 0x0f0f0f0fu) | (a & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(a);
}

UNARY(popc, b32, b32, __builtin_popcount(a))
UNARY(clz, b32, b32, a ? __builtin_clz(a) : 32)
UNARY(brev, b32, b32, reverse(a))
UNARY(brev, b64, b64, (uint64_t)reverse((uint32_t)a) << 32 | reverse((uint32_t)(a >> 32)))
UNARY(popc, b32, b64, __builtin_popcountll(a))
UNARY(clz, b32, b64, a ? __builtin_clzll(a) : 64)

/* The place of the highest bit that differs from the sign; shiftamt: how far to shift it to the
 * top. */
#define HIGHEST(bits, a)                                                                           \
    ((a) == 0 ? UINT32_MAX                                                                         \
              : (uint32_t)(bits)-1 -                                                               \
                    (uint32_t)(bits == 32 ? __builtin_clz((uint32_t)(a)) : __builtin_clzll(a)))
#define SHIFT_UP(bits, a)                                                                          \
    ((a) == 0 ? UINT32_MAX                                                                         \
              : (uint32_t)(bits == 32 ? __builtin_clz((uint32_t)(a)) : __builtin_clzll(a)))
UNARY(bfind, u32, u32, HIGHEST(32, a))
UNARY(bfind, u32, s32, HIGHEST(32, (uint32_t)(a < 0 ? ~a : a)))
UNARY(bfind, u32, u64, HIGHEST(64, a))
UNARY(bfind, u32, s64, HIGHEST(64, (uint64_t)(a < 0 ? ~a : a)))
UNARY(bfind_shift, u32, u32, SHIFT_UP(32, a))
UNARY(bfind_shift, u32, s32, SHIFT_UP(32, (uint32_t)(a < 0 ? ~a : a)))
UNARY(bfind_shift, u32, u64, SHIFT_UP(64, a))
UNARY(bfind_shift, u32, s64, SHIFT_UP(64, (uint64_t)(a < 0 ? ~a : a)))

static uint64_t low_bits(uint32_t n)
{
    return n > 63 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
}

/* A field of n bits from bit `from` on, in a number of `width` bits; filled with its sign. */
static uint64_t field(uint64_t a, uint32_t from, uint32_t n, uint32_t width, bool is_signed)
{
    from &= 255;
    n &= 255;
    const uint64_t value = from > 63 ? 0 : (a & low_bits(width)) >> from & low_bits(n);
    if (!is_signed || n == 0) {
        return value;
    }
    const uint32_t last = from + n - 1 < width - 1 ? from + n - 1 : width - 1;
    const bool negative = a >> last & 1;
    const uint32_t bits = from > last ? 0 : last - from + 1;
    return negative ? value | ~low_bits(bits) : value;
}

#define EXTRACT(t, width, is_signed)                                                               \
    OP(bfe_##t)                                                                                    \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        const union reg *from = exec_operand(w, in, 2);                                            \
        const union reg *n = exec_operand(w, in, 3);                                               \
        FOR_LANES(                                                                                 \
            PUT_##t(d, l,                                                                          \
                    field((uint64_t)GET_##t(x, l), from->u[l], n->u[l], width, is_signed)););      \
    }
EXTRACT(u32, 32, false)
EXTRACT(s32, 32, true)
EXTRACT(u64, 64, false)
EXTRACT(s64, 64, true)

/* Bits of a, put into b. */
static uint64_t insert(uint64_t a, uint64_t b, uint32_t from, uint32_t n)
{
    from &= 255;
    const uint64_t mask = from > 63 ? 0 : low_bits(n & 255) << from;
    return (b & ~mask) | ((from > 63 ? 0 : a << from) & mask);
}

#define INSERT(t)                                                                                  \
    OP(bfi_##t)                                                                                    \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg *x = exec_operand(w, in, 1);                                               \
        const union reg *y = exec_operand(w, in, 2);                                               \
        const union reg *from = exec_operand(w, in, 3);                                            \
        const union reg *n = exec_operand(w, in, 4);                                               \
        FOR_LANES(PUT_##t(d, l, insert(GET_##t(x, l), GET_##t(y, l), from->u[l], n->u[l])););      \
    }
INSERT(b32)
INSERT(b64)

/* Any function of three bits: its table is the fifth operand. */
OP(lop3_b32)
{
    union reg *d = exec_operand(w, in, 0);
    const union reg *x = exec_operand(w, in, 1);
    const union reg *y = exec_operand(w, in, 2);
    const union reg *z = exec_operand(w, in, 3);
    const uint32_t table = exec_operand(w, in, 4)->u[0];
    FOR_LANES({
        uint32_t result = 0;
        for (uint32_t i = 0; i < 8; i++) {
            const uint32_t a = i & 4 ? x->u[l] : ~x->u[l];
            const uint32_t b = i & 2 ? y->u[l] : ~y->u[l];
            const uint32_t c = i & 1 ? z->u[l] : ~z->u[l];
            result |= table >> i & 1 ? a & b & c : 0;
        }
        d->u[l] = result;
    });
}

/* Four bytes chosen from the eight of b:a; the high bit of a choice spreads the byte's sign. */
static uint32_t permute(uint32_t a, uint32_t b, uint32_t choice)
{
    const uint64_t bytes = (uint64_t)b << 32 | a;
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t c = choice >> 4 * i & 15;
        uint32_t byte = (uint32_t)(bytes >> 8 * (c & 7)) & 255;
        byte = c & 8 ? (byte & 128 ? 255 : 0) : byte;
        result |= byte << 8 * i;
    }
    return result;
}
TERNARY(prmt, b32, b32, permute(a, b, c))

#define LOGIC_PREDICATE(name, expression)                                                          \
    OP(name##_pred)                                                                                \
    {                                                                                              \
        const uint32_t a = op_predicate(w, in, 1);                                                 \
        const uint32_t b = in->operands > 2 ? op_predicate(w, in, 2) : 0;                          \
        (void)b;                                                                                   \
        op_set_predicate(exec_operand(w, in, 0), lanes, (expression));                             \
    }
LOGIC_PREDICATE(and, a &b)
LOGIC_PREDICATE(or, a | b)
LOGIC_PREDICATE(xor, a ^ b)
LOGIC_PREDICATE(not, ~a)

#define ROWS_LOGIC(t) ROW("and", and, t) ROW("or", or, t) ROW("xor", xor, t) ROW("not", not, t)

const struct op_row op_bits_rows[] = {
    ROWS_LOGIC(b16) ROWS_LOGIC(b32) ROWS_LOGIC(b64) ROWS_LOGIC(pred) ROW("shl", shl, b16)
        ROW("shl", shl, b32) ROW("shl", shl, b64) ROW("shr", shr, b16) ROW("shr", shr, u16)
            ROW("shr", shr, s16) ROW("shr", shr, b32) ROW("shr", shr, u32) ROW("shr", shr, s32) ROW(
                "shr", shr, b64) ROW("shr", shr, u64) ROW("shr", shr, s64) ROW("shf.l", shf_l, b32)
                ROW("shf.r", shf_r, b32) ROW("shf.l.clamp", shf_l_clamp, b32)
                    ROW("shf.r.clamp", shf_r_clamp, b32) ROW("popc", popc, b32)
                        ROW("popc", popc, b64) ROW("clz", clz, b32) ROW("clz", clz, b64)
                            ROW("brev", brev, b32) ROW("brev", brev, b64) ROW("bfind", bfind, u32)
                                ROW("bfind", bfind, s32) ROW("bfind", bfind, u64)
                                    ROW("bfind", bfind, s64) ROW("bfind.shiftamt", bfind_shift, u32)
                                        ROW("bfind.shiftamt", bfind_shift,
                                            s32) ROW("bfind.shiftamt", bfind_shift, u64)
                                            ROW("bfind.shiftamt", bfind_shift, s64)
                                                ROW("bfe", bfe, u32) ROW("bfe", bfe, s32)
                                                    ROW("bfe", bfe, u64) ROW("bfe", bfe, s64)
                                                        ROW("bfi", bfi, b32) ROW("bfi", bfi, b64)
                                                            ROW("lop3", lop3, b32)
                                                                ROW("prmt", prmt, b32){NULL, NULL}};
