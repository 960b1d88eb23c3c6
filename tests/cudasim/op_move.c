/*
 * op_move.c - moving and converting values.
 */
#include "op_impl.h"

#include "mem.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

UNARY(mov, b16, b16, a)
UNARY(mov, b32, b32, a)
UNARY(mov, b64, b64, a)

OP(mov_pred)
{
    op_set_predicate(exec_operand(w, in, 0), lanes, op_predicate(w, in, 1));
}

/* mov {a, b}, c and mov c, {a, b}: the parts of a register, the lowest first. */
static void split(struct warp *w, const struct instruction *in, uint32_t lanes, unsigned bits)
{
    const union reg *whole = exec_operand(w, in, in->group);
    for (int i = 0; i < in->group; i++) {
        union reg *piece = exec_operand(w, in, i);
        const unsigned shift = bits * (unsigned)i;
        const bool wide = bits * (unsigned)in->group == 64;
        const uint32_t mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
        FOR_LANES(const uint64_t v = wide ? whole->U[l] : whole->u[l];
                  piece->u[l] = (uint32_t)(v >> shift) & mask;);
    }
}

static void join(struct warp *w, const struct instruction *in, uint32_t lanes, unsigned bits)
{
    union reg *whole = exec_operand(w, in, 0);
    const uint32_t mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
    FOR_LANES({
        uint64_t v = 0;
        for (int i = 0; i < in->group; i++) {
            v |= (uint64_t)(exec_operand(w, in, i + 1)->u[l] & mask) << bits * (unsigned)i;
        }
        if (bits * (unsigned)in->group == 64) {
            whole->U[l] = v;
        } else {
            whole->u[l] = (uint32_t)v;
        }
    });
}

static void move(struct warp *w, const struct instruction *in, uint32_t lanes, op_run *plain)
{
    const unsigned bits =
        in->group ? (unsigned)(8 * ptx_type_bytes(in->type)) / (unsigned)in->group : 0;
    if (!in->group) {
        plain(w, in, lanes);
    } else if (in->group_first) {
        split(w, in, lanes, bits);
    } else {
        join(w, in, lanes, bits);
    }
}

OP(move_b32)
{
    move(w, in, lanes, mov_b32);
}

OP(move_b64)
{
    move(w, in, lanes, mov_b64);
}

/* A number between its types: whole or not. */
struct value {
    bool is_float, negative;
    double f;
    uint64_t i; /* two's complement, if negative */
};

static struct value read_value(enum ptx_type type, uint64_t bits)
{
    const unsigned unused = 64 - 8 * (unsigned)ptx_type_bytes(type);
    struct value v = {.i = bits << unused >> unused};
    float f;
    const uint32_t low = (uint32_t)bits;
    switch (type) {
    case PTX_F32:
        memcpy(&f, &low, sizeof f);
        return (struct value){.is_float = true, .f = (double)f};
    case PTX_F64:
        v.is_float = true;
        memcpy(&v.f, &bits, sizeof v.f);
        return v;
    case PTX_F16:
        return (struct value){.is_float = true, .f = (double)half_to_float((uint16_t)bits)};
    case PTX_BF16:
        return (struct value){.is_float = true, .f = (double)bfloat_to_float((uint16_t)bits)};
    default:
        break;
    }
    if (op_is_signed(type)) {
        v.i = (uint64_t)((int64_t)(bits << unused) >> unused);
        v.negative = (int64_t)v.i < 0;
    }
    return v;
}

static double to_integer(double f, enum ptx_round round)
{
    switch (round) {
    case ROUND_ZERO:
        return trunc(f);
    case ROUND_DOWN:
        return floor(f);
    case ROUND_UP:
        return ceil(f);
    default:
        return rint(f);
    }
}

/* A float as a whole number of a type: beyond its ends, the end; NaN: 0. */
static uint64_t clamp_float(double f, unsigned bits, bool is_signed)
{
    const double high = ldexp(1, (int)bits - is_signed), low = is_signed ? -high : 0;
    if (isnan(f)) {
        return 0;
    }
    if (f >= high) {
        return is_signed ? ((uint64_t)1 << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits);
    }
    if (f < low) {
        return is_signed ? ~(uint64_t)0 << (bits - 1) : 0;
    }
    return f < 0 ? (uint64_t)(int64_t)f : (uint64_t)f;
}

/* cvt.sat between whole numbers. */
static uint64_t clamp_integer(struct value v, unsigned bits, bool is_signed)
{
    const uint64_t high = is_signed ? ((uint64_t)1 << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits);
    if (v.negative) {
        const uint64_t low = ~high;
        return !is_signed ? 0 : (int64_t)v.i < (int64_t)low ? low : v.i;
    }
    return v.i > high ? high : v.i;
}

static bool is_float(enum ptx_type type)
{
    return type == PTX_F32 || type == PTX_F64 || type == PTX_F16 || type == PTX_BF16;
}

/* In the rounding that is set. From 64 bits straight to 32, as two roundings would not do. */
static uint64_t float_bits(enum ptx_type type, struct value v)
{
    const double f = v.is_float ? v.f : v.negative ? (double)(int64_t)v.i : (double)v.i;
    const float narrow = v.is_float ? (float)v.f : v.negative ? (float)(int64_t)v.i : (float)v.i;
    uint64_t bits = 0;
    switch (type) {
    case PTX_F64:
        memcpy(&bits, &f, sizeof f);
        return bits;
    case PTX_F16:
        return half_from_float(narrow);
    case PTX_BF16:
        return bfloat_from_float(narrow);
    default:
        memcpy(&bits, &narrow, sizeof narrow);
        return bits;
    }
}

static uint64_t convert_value(const struct instruction *in, uint64_t from)
{
    struct value v = read_value(in->type2, from);
    const unsigned bits = (unsigned)(8 * ptx_type_bytes(in->type));
    if (v.is_float && in->to_integer) {
        v.f = to_integer(v.f, in->round);
    }
    if (is_float(in->type)) {
        if (in->saturate) {
            v.f = v.f > 0 ? fmin(v.f, 1) : 0;
        }
        return float_bits(in->type, v);
    }
    if (v.is_float) {
        return clamp_float(v.f, bits, op_is_signed(in->type));
    }
    return in->saturate ? clamp_integer(v, bits, op_is_signed(in->type)) : v.i;
}

/* Two floats to a pair of 16-bit ones; the first operand is the upper half. */
static void convert_pair(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    union reg *d = exec_operand(w, in, 0);
    const union reg *high = exec_operand(w, in, 1), *low = exec_operand(w, in, 2);
    const bool brain = in->type == PTX_BF16X2;
    FOR_LANES({
        const float h = high->f[l], f = low->f[l];
        const uint32_t upper = brain ? bfloat_from_float(h) : half_from_float(h);
        d->u[l] = upper << 16 | (brain ? bfloat_from_float(f) : half_from_float(f));
    });
}

OP(convert)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD, FE_TONEAREST};
    const bool directed = !in->to_integer && in->round != ROUND_NEAREST;
    if (in->type == PTX_F16X2 || in->type == PTX_BF16X2) {
        convert_pair(w, in, lanes);
        return;
    }
    if (directed) {
        fesetround(modes[in->round]);
    }
    FOR_LANES(op_put(w, in, 0, l, in->type, convert_value(in, op_get(w, in, 1, l, in->type2))););
    if (directed) {
        fesetround(FE_TONEAREST);
    }
}

/* Whether a generic address lies in a memory. */
static bool is_in(enum ptx_space space, uint64_t address)
{
    switch (space) {
    case PTX_SHARED:
        return address - PTX_SHARED_BASE < PTX_WINDOW;
    case PTX_LOCAL:
        return address - PTX_LOCAL_BASE < PTX_WINDOW;
    case PTX_PARAM:
        return address - PTX_PARAM_BASE < PTX_WINDOW;
    default:
        return address - MEM_BASE < MEM_BYTES;
    }
}

OP(is_space)
{
    const union reg *x = exec_operand(w, in, 1);
    uint32_t result = 0;
    FOR_LANES(result |= (uint32_t)is_in(in->space, x->U[l]) << l;);
    op_set_predicate(exec_operand(w, in, 0), lanes, result);
}

/* To and from an address in 32 bits, which only shared memory has. */
OP(cvta_u32)
{
    mov_b32(w, in, lanes);
}

const struct op_row op_move_rows[] = {
    {"mov.b16", mov_b16},   {"mov.u16", mov_b16},  {"mov.s16", mov_b16},   {"mov.f16", mov_b16},
    {"mov.b32", move_b32},  {"mov.u32", mov_b32},  {"mov.s32", mov_b32},   {"mov.f32", mov_b32},
    {"mov.b64", move_b64},  {"mov.u64", mov_b64},  {"mov.s64", mov_b64},   {"mov.f64", mov_b64},
    {"mov.pred", mov_pred}, {"cvta.u64", mov_b64}, {"cvta.u32", cvta_u32}, {"cvt", convert},
    {"isspacep", is_space}, {NULL, NULL}};
