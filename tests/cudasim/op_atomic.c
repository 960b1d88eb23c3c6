/*
 * op_atomic.c - atomic operations on memory: atom gives the old value, red does not.
 */
#include "mem.h"
#include "op_impl.h"
#include "op_memory.h"

#include <string.h>

/* The new value of a word of memory from its old one and the operands; in the low bits. */
typedef uint64_t function(enum ptx_type type, uint64_t old, uint64_t a, uint64_t b);

static float as_float(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
}

static uint64_t from_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static uint64_t add_pair(enum ptx_type type, uint64_t old, uint64_t a)
{
    uint64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        const uint16_t x = (uint16_t)(old >> 16 * i), y = (uint16_t)(a >> 16 * i);
        const uint16_t s = type == PTX_F16X2
                               ? half_from_float(half_to_float(x) + half_to_float(y))
                               : bfloat_from_float(bfloat_to_float(x) + bfloat_to_float(y));
        sum |= (uint64_t)s << 16 * i;
    }
    return sum;
}

static uint64_t do_add(enum ptx_type type, uint64_t old, uint64_t a, uint64_t b)
{
    (void)b;
    double x, y;
    switch (type) {
    case PTX_F32:
        return from_float(as_float(old) + as_float(a));
    case PTX_F64:
        memcpy(&x, &old, sizeof x);
        memcpy(&y, &a, sizeof y);
        x += y;
        memcpy(&old, &x, sizeof old);
        return old;
    case PTX_F16:
        return half_from_float(half_to_float((uint16_t)old) + half_to_float((uint16_t)a));
    case PTX_BF16:
        return bfloat_from_float(bfloat_to_float((uint16_t)old) + bfloat_to_float((uint16_t)a));
    case PTX_F16X2:
    case PTX_BF16X2:
        return add_pair(type, old, a);
    default:
        return old + a;
    }
}

static bool less(enum ptx_type type, uint64_t a, uint64_t b)
{
    switch (type) {
    case PTX_S32:
        return (int32_t)a < (int32_t)b;
    case PTX_S64:
        return (int64_t)a < (int64_t)b;
    default:
        return a < b;
    }
}

static uint64_t do_min(enum ptx_type type, uint64_t old, uint64_t a, uint64_t b)
{
    (void)b;
    return less(type, a, old) ? a : old;
}

static uint64_t do_max(enum ptx_type type, uint64_t old, uint64_t a, uint64_t b)
{
    (void)b;
    return less(type, old, a) ? a : old;
}

#define DEFINE_BITS(name, expression)                                                              \
    static uint64_t do_##name(enum ptx_type type, uint64_t old, uint64_t a, uint64_t b)            \
    {                                                                                              \
        (void)type;                                                                                \
        (void)old;                                                                                 \
        (void)b;                                                                                   \
        return expression;                                                                         \
    }
DEFINE_BITS(and, old &a)
DEFINE_BITS(or, old | a)
DEFINE_BITS(xor, old ^ a)
DEFINE_BITS(exch, a)
DEFINE_BITS(inc, old >= a ? 0 : old + 1)
DEFINE_BITS(dec, old == 0 || old > a ? a : old - 1)
DEFINE_BITS(cas, old == a ? b : old)

static uint64_t operand(const struct warp *w, const struct instruction *in, int i, int lane,
                        unsigned bytes)
{
    if (i >= in->operands) {
        return 0;
    }
    const union reg *r = exec_operand(w, in, i);
    return bytes == 8 ? r->U[lane] : bytes == 2 ? (uint16_t)r->u[lane] : r->u[lane];
}

/* The lanes one after the other, as the memory would take them. */
static void each(struct warp *w, const struct instruction *in, uint32_t lanes, function *f,
                 bool gives)
{
    const unsigned bytes = (unsigned)ptx_type_bytes(in->type);
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        const int lane = exec_first(rest);
        unsigned char *p = op_access(w, in, lane, op_address(w, in, lane), bytes, RACE_ATOMIC);
        const uint64_t old = op_bits(p, bytes);
        const uint64_t new = f(in->type, old, operand(w, in, gives, lane, bytes),
                               operand(w, in, gives + 1, lane, bytes));
        op_set_bits(p, bytes, new);
        if (gives && bytes == 8) {
            exec_operand(w, in, 0)->U[lane] = old;
        } else if (gives) {
            exec_operand(w, in, 0)->u[lane] = (uint32_t)old;
        }
    }
}

#define DEFINE(name)                                                                               \
    OP(atom_##name)                                                                                \
    {                                                                                              \
        each(w, in, lanes, do_##name, true);                                                       \
    }                                                                                              \
    OP(red_##name)                                                                                 \
    {                                                                                              \
        each(w, in, lanes, do_##name, false);                                                      \
    }
DEFINE(add)
DEFINE(min)
DEFINE(max)
DEFINE(and)
DEFINE(or)
DEFINE(xor)
DEFINE(exch)
DEFINE(inc)
DEFINE(dec)
DEFINE(cas)

#define ROWS(name) {"atom." #name, atom_##name}, {"red." #name, red_##name},

const struct op_row op_atomic_rows[] = {ROWS(add) ROWS(min) ROWS(max) ROWS(and) ROWS(or) ROWS(xor)
                                            ROWS(exch) ROWS(inc) ROWS(dec) ROWS(cas){NULL, NULL}};
