/*
 * op_warp.c - what the lanes of a warp do with each other: shuffles, votes, reductions, and
 * waiting. The lanes that the mask of such an instruction names must all take part.
 */
#include "op_impl.h"

/* Checks the mask, which is operand i; lanes that have returned need not come. */
static void meet(struct warp *w, const struct instruction *in, uint32_t lanes, int i)
{
    const int lane = exec_first(lanes);
    const uint32_t mask = exec_operand(w, in, i)->u[lane];
    w->synced++;
    if (mask & w->live & ~lanes) {
        exec_report(w, in, lane, EXEC_WARP,
                    "the mask names lanes 0x%08x but only lanes 0x%08x came here", mask, lanes);
    }
    if (lanes & ~mask) {
        exec_report(w, in, lane, EXEC_WARP, "lanes 0x%08x came here that the mask 0x%08x lacks",
                    lanes & ~mask, mask);
    }
}

/* The lane that a shuffle reads for lane l: of b and of the limits in c. False: out of the limits.
 */
typedef bool source(int l, int b, int c, int *from);

static bool limits(int l, int c, int *low, int *high)
{
    const int segment = c >> 8 & 31;
    *low = l & segment;
    *high = *low | (c & 31 & ~segment);
    return true;
}

static bool from_up(int l, int b, int c, int *from)
{
    int low, high;
    limits(l, c, &low, &high);
    *from = l - (b & 31);
    return *from >= high; /* for "up" the limit is a lower one */
}

static bool from_down(int l, int b, int c, int *from)
{
    int low, high;
    limits(l, c, &low, &high);
    *from = l + (b & 31);
    return *from <= high;
}

static bool from_xor(int l, int b, int c, int *from)
{
    int low, high;
    limits(l, c, &low, &high);
    *from = l ^ (b & 31);
    return *from <= high;
}

static bool from_index(int l, int b, int c, int *from)
{
    int low, high;
    limits(l, c, &low, &high);
    *from = low | (b & 31 & ~(c >> 8 & 31));
    return *from <= high;
}

/* shfl d[|p], a, b, c, mask */
static void shuffle(struct warp *w, const struct instruction *in, uint32_t lanes, source *f)
{
    const int pair = in->operands == 6;
    const union reg a = *exec_operand(w, in, 1 + pair);
    const union reg *b = exec_operand(w, in, 2 + pair), *c = exec_operand(w, in, 3 + pair);
    union reg *d = exec_operand(w, in, 0);
    uint32_t inside = 0;
    meet(w, in, lanes, 4 + pair);
    FOR_LANES({
        int from;
        if (f(l, b->s[l], c->s[l], &from)) {
            inside |= 1u << l;
        } else {
            from = l;
        }
        if (!(lanes >> from & 1)) {
            exec_report(w, in, l, EXEC_WARP, "reads lane %d, which did not come here", from);
        }
        d->u[l] = lanes >> from & 1 ? a.u[from] : UINT32_MAX;
    });
    if (pair) {
        op_set_predicate(exec_operand(w, in, 1), lanes, inside);
    }
}

#define SHUFFLE(name)                                                                              \
    OP(shfl_##name)                                                                                \
    {                                                                                              \
        shuffle(w, in, lanes, from_##name);                                                        \
    }
SHUFFLE(up)
SHUFFLE(down)
SHUFFLE(xor)
SHUFFLE(index)

OP(vote_ballot)
{
    union reg *d = exec_operand(w, in, 0);
    const uint32_t result = op_predicate(w, in, 1) & lanes;
    meet(w, in, lanes, 2);
    FOR_LANES(d->u[l] = result;);
}

static void vote(struct warp *w, const struct instruction *in, uint32_t lanes, bool result)
{
    meet(w, in, lanes, 2);
    op_set_predicate(exec_operand(w, in, 0), lanes, result ? lanes : 0);
}

OP(vote_all)
{
    vote(w, in, lanes, (op_predicate(w, in, 1) & lanes) == lanes);
}

OP(vote_any)
{
    vote(w, in, lanes, (op_predicate(w, in, 1) & lanes) != 0);
}

OP(vote_uni)
{
    const uint32_t p = op_predicate(w, in, 1) & lanes;
    vote(w, in, lanes, p == 0 || p == lanes);
}

OP(activemask)
{
    union reg *d = exec_operand(w, in, 0);
    FOR_LANES(d->u[l] = lanes;);
}

/* redux d, a, mask: the expression joins the result r and the next lane's v. */
#define REDUCE(name, type, expression)                                                             \
    OP(redux_##name)                                                                               \
    {                                                                                              \
        union reg *d = exec_operand(w, in, 0);                                                     \
        const union reg a = *exec_operand(w, in, 1);                                               \
        type r = (type)a.u[exec_first(lanes)];                                                     \
        meet(w, in, lanes, 2);                                                                     \
        for (uint32_t rest = lanes & (lanes - 1); rest; rest &= rest - 1) {                        \
            const type v = (type)a.u[exec_first(rest)];                                            \
            r = (expression);                                                                      \
        }                                                                                          \
        FOR_LANES(d->u[l] = (uint32_t)r;);                                                         \
    }
REDUCE(add, uint32_t, r + v)
REDUCE(min_u32, uint32_t, v < r ? v : r)
REDUCE(max_u32, uint32_t, v > r ? v : r)
REDUCE(min_s32, int32_t, v < r ? v : r)
REDUCE(max_s32, int32_t, v > r ? v : r)
REDUCE(and, uint32_t, r &v)
REDUCE(or, uint32_t, r | v)
REDUCE(xor, uint32_t, r ^ v)

/* match.any d, a, mask: the lanes that hold the same value. */
static uint32_t equal_lanes(const union reg *a, bool wide, uint32_t lanes, int l)
{
    uint32_t same = 0;
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        const int other = exec_first(rest);
        const bool equal = wide ? a->U[other] == a->U[l] : a->u[other] == a->u[l];
        same |= equal ? 1u << other : 0;
    }
    return same;
}

OP(match_any)
{
    union reg *d = exec_operand(w, in, 0);
    const union reg a = *exec_operand(w, in, 1);
    meet(w, in, lanes, 2);
    FOR_LANES(d->u[l] = equal_lanes(&a, in->type == PTX_B64, lanes, l););
}

OP(bar_warp)
{
    meet(w, in, lanes, 0);
}

OP(trap)
{
    exec_report(w, in, exec_first(lanes), EXEC_OTHER, "trap");
    w->live &= ~lanes;
}

const struct op_row op_warp_rows[] = {{"shfl.up.b32", shfl_up},
                                      {"shfl.down.b32", shfl_down},
                                      {"shfl.bfly.b32", shfl_xor},
                                      {"shfl.idx.b32", shfl_index},
                                      {"vote.ballot.b32", vote_ballot},
                                      {"vote.all.pred", vote_all},
                                      {"vote.any.pred", vote_any},
                                      {"vote.uni.pred", vote_uni},
                                      {"activemask.b32", activemask},
                                      {"redux.add.u32", redux_add},
                                      {"redux.add.s32", redux_add},
                                      {"redux.min.u32", redux_min_u32},
                                      {"redux.max.u32", redux_max_u32},
                                      {"redux.min.s32", redux_min_s32},
                                      {"redux.max.s32", redux_max_s32},
                                      {"redux.and.b32", redux_and},
                                      {"redux.or.b32", redux_or},
                                      {"redux.xor.b32", redux_xor},
                                      {"match.any.b32", match_any},
                                      {"match.any.b64", match_any},
                                      {"bar.warp", bar_warp},
                                      {"trap", trap},
                                      {"membar", op_run_nothing},
                                      {"membar.gl", op_run_nothing},
                                      {"fence", op_run_nothing},
                                      {"nanosleep.u32", op_run_nothing},
                                      {NULL, NULL}};
