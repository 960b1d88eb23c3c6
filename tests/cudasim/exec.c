/*
 * exec.c - runs grids: blocks in the order asked for, their warps from barrier to barrier, lanes of
 * a warp together wherever they are at the same place.
 */
#include "exec.h"

#include "race.h"
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libstdc++, if the program has it. */
extern char *__cxa_demangle(const char *name, char *room, size_t *size, int *status)
    __attribute__((weak));

void exec_report(const struct warp *w, const struct instruction *in, int lane, enum exec_kind kind,
                 const char *format, ...)
{
    struct block *b = w->block;
    struct instruction *told = &b->kernel->code[in - b->kernel->code];
    char place[200], text[300];
    if (told->told & 1u << kind) {
        return;
    }
    told->told |= 1u << kind;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *readable = __cxa_demangle ? __cxa_demangle(b->kernel->name, NULL, NULL, NULL) : NULL;
    const uint32_t thread = (uint32_t)(w->index * 32 + lane);
    sim_report_at(ptx_place(b->kernel->module, in->location, place, sizeof place),
                  "%.80s block (%u,%u,%u) thread (%u,%u,%u): %s",
                  readable ? readable : b->kernel->name, b->id.x, b->id.y, b->id.z,
                  thread % b->size.x, thread / b->size.x % b->size.y,
                  thread / (b->size.x * b->size.y), text);
    free(readable);
}

/* The lanes at the lowest place of those that can run; *limit is the next place where others are.
 */
static uint32_t choose(const struct warp *w, uint32_t *at, uint32_t *limit)
{
    const uint32_t ready = w->live & ~w->waiting;
    uint32_t group = 0;
    *at = *limit = UINT32_MAX;
    for (uint32_t rest = ready; rest; rest &= rest - 1) {
        const int lane = exec_first(rest);
        const uint32_t here = w->at[lane];
        if (here < *at) {
            *limit = *at;
            *at = here;
            group = 0;
        } else if (here > *at && here < *limit) {
            *limit = here;
        }
        group |= here == *at ? 1u << lane : 0;
    }
    return group;
}

static void place(struct warp *w, uint32_t lanes, uint32_t at)
{
    for (; lanes; lanes &= lanes - 1) {
        w->at[exec_first(lanes)] = at;
    }
}

static void jump_by_table(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    const struct jump_table *t = &w->block->kernel->tables[in->target];
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        const int lane = exec_first(rest);
        const uint32_t i = exec_operand(w, in, 0)->u[lane];
        if (i < t->count) {
            w->at[lane] = t->targets[i];
        } else {
            exec_report(w, in, lane, EXEC_OTHER, "jump by entry %u of a table of %zu", i, t->count);
            w->live &= ~(1u << lane);
        }
    }
}

/* What only the scheduler can do, for the lanes that take part; all of the group are placed. */
static void flow(struct warp *w, const struct instruction *in, uint32_t lanes, uint32_t group,
                 uint32_t at)
{
    place(w, group, at + 1);
    switch (in->flow) {
    case FLOW_NONE:
        break;
    case FLOW_BRANCH:
        place(w, lanes, in->target);
        break;
    case FLOW_TABLE:
        jump_by_table(w, in, lanes);
        break;
    case FLOW_EXIT:
        w->live &= ~lanes;
        break;
    case FLOW_BARRIER:
        w->waiting |= lanes;
        for (uint32_t rest = lanes; rest; rest &= rest - 1) {
            w->barrier[exec_first(rest)] = at;
        }
        break;
    }
}

static inline uint32_t taking_part(const struct warp *w, const struct instruction *in,
                                   uint32_t group)
{
    if (in->predicate == PTX_NO_OPERAND) {
        return group;
    }
    const uint32_t p = w->registers[in->predicate].u[0];
    return group & (in->predicate_not ? ~p : p);
}

/* Runs a warp until all its lanes wait or have returned. */
static void run_warp(struct warp *w)
{
    const struct instruction *code = w->block->kernel->code;
    uint32_t at, limit;
    for (uint32_t group = choose(w, &at, &limit); group; group = choose(w, &at, &limit)) {
        const uint32_t live = w->live;
        while (at < limit && w->live == live && !code[at].flow) {
            const struct instruction *in = &code[at];
            const uint32_t lanes = taking_part(w, in, group);
            if (lanes) {
                in->run(w, in, lanes);
            }
            w->block->steps++;
            at++;
        }
        place(w, group, at);
        if (at < limit && w->live == live) {
            flow(w, &code[at], taking_part(w, &code[at], group), group, at);
            w->block->steps++;
        }
        if (w->block->steps > sim_settings.steps) {
            exec_report(w, &code[at], exec_first(group), EXEC_OTHER, "the block does not end");
            w->live = 0;
        }
    }
}

/* What differs between the lanes of a warp; bits above the 31st are lost where they should. */
static uint32_t lane_value(const struct block *b, int special, uint32_t thread)
{
    const uint32_t lane = thread % 32, own = 1u << lane, below = own - 1;
    switch (special) {
    case SPECIAL_TID_X:
        return thread % b->size.x;
    case SPECIAL_TID_Y:
        return thread / b->size.x % b->size.y;
    case SPECIAL_TID_Z:
        return thread / (b->size.x * b->size.y);
    case SPECIAL_LANE:
        return lane;
    case SPECIAL_WARP:
        return thread / 32;
    case SPECIAL_MASK_EQ:
        return own;
    case SPECIAL_MASK_LT:
        return below;
    case SPECIAL_MASK_LE:
        return below | own;
    case SPECIAL_MASK_GT:
        return ~(below | own);
    default: /* SPECIAL_MASK_GE */
        return ~below;
    }
}

/* What all threads of a block share; false: the lanes differ. */
static bool block_value(const struct block *b, int special, uint32_t *value)
{
    const uint32_t values[] = {b->size.x, b->size.y, b->size.z, b->id.x,  b->id.y,
                               b->id.z,   b->grid.x, b->grid.y, b->grid.z};
    if (special >= SPECIAL_NTID_X && special <= SPECIAL_NCTAID_Z) {
        *value = values[special - SPECIAL_NTID_X];
        return true;
    }
    *value = (uint32_t)b->dynamic_bytes;
    return special == SPECIAL_DYNAMIC_SHARED;
}

static void start_warp(struct warp *w)
{
    const struct block *b = w->block;
    const int threads = b->threads - w->index * 32;
    w->live = threads >= 32 ? UINT32_MAX : (1u << threads) - 1;
    w->waiting = 0;
    memset(w->at, 0, sizeof w->at);
    memset(w->local_written, 0, 32 * (size_t)b->kernel->local_bytes);
    for (int i = 0; i < SPECIALS; i++) {
        const int32_t r = b->kernel->specials[i];
        if (r == PTX_NO_OPERAND) {
            continue;
        }
        uint32_t value;
        const bool same = block_value(b, i, &value);
        for (int lane = 0; lane < 32; lane++) {
            w->registers[r].u[lane] =
                same ? value : lane_value(b, i, (uint32_t)(w->index * 32 + lane));
        }
    }
}

/* The order in which n things are done: each of 0 to n - 1 once. */
struct order {
    uint64_t n, start, step;
};

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* In a random order, steps of a width that has no divisor in common with n. */
static struct order choose_order(uint64_t n)
{
    struct order o = {n, 0, 1};
    if (sim_settings.order == CUSIM_REVERSED) {
        o.start = n - 1;
        o.step = n - 1;
    } else if (sim_settings.order == CUSIM_RANDOM) {
        o.start = sim_random(n);
        do {
            o.step = 1 + sim_random(n);
        } while (common_divisor(o.step, n) != 1);
    }
    return o;
}

static uint64_t in_order(const struct order *o, uint64_t i)
{
    return (o->start + i * o->step) % o->n;
}

/* One turn: each warp runs to its next barrier or its end. */
static void run_warps(struct block *b)
{
    const struct order order = choose_order((uint64_t)b->warp_count);
    for (int i = 0; i < b->warp_count; i++) {
        run_warp(&b->warps[in_order(&order, (uint64_t)i)]);
    }
}

static void count_lanes(const struct block *b, int *live, int *waiting)
{
    *live = *waiting = 0;
    for (int i = 0; i < b->warp_count; i++) {
        *live += __builtin_popcount(b->warps[i].live);
        *waiting += __builtin_popcount(b->warps[i].live & b->warps[i].waiting);
    }
}

/* All threads that still run wait: they must be all there are, and at one barrier. */
static void pass_barrier(struct block *b, int waiting)
{
    const struct instruction *code = b->kernel->code;
    const struct warp *first = NULL;
    uint32_t at = 0;
    for (int i = 0; i < b->warp_count; i++) {
        struct warp *w = &b->warps[i];
        for (uint32_t rest = w->waiting & w->live; rest; rest &= rest - 1) {
            const int lane = exec_first(rest);
            if (!first) {
                first = w;
                at = w->barrier[lane];
                if (waiting < b->threads) {
                    exec_report(w, &code[at], lane, EXEC_BARRIER,
                                "__syncthreads reached by %d of %d threads; the others have "
                                "returned",
                                waiting, b->threads);
                }
            } else if (w->barrier[lane] != at) {
                exec_report(w, &code[w->barrier[lane]], lane, EXEC_BARRIER,
                            "threads of one block wait at different __syncthreads");
            }
        }
        w->waiting = 0;
    }
    b->epoch++;
}

static void run_block(struct block *b)
{
    b->epoch = 0;
    b->steps = 0;
    race_new_block();
    memset(b->shared_written, 0, b->shared_bytes);
    for (int i = 0; i < b->warp_count; i++) {
        start_warp(&b->warps[i]);
    }
    for (;;) {
        int live, waiting;
        run_warps(b);
        count_lanes(b, &live, &waiting);
        if (live == 0) {
            return;
        }
        pass_barrier(b, waiting);
    }
}

/* Memory for a block, which the next launch takes again; it is not cleared. */
static unsigned char *block_memory(size_t bytes)
{
    static unsigned char *memory;
    static size_t room;
    if (bytes > room) {
        free(memory);
        memory = sim_alloc(bytes);
        room = bytes;
    }
    return memory;
}

/* Takes `bytes` off the start of *memory, which stays aligned for a register. */
static void *take(unsigned char **memory, size_t bytes)
{
    unsigned char *p = *memory;
    *memory += (bytes + sizeof(union reg) - 1) / sizeof(union reg) * sizeof(union reg);
    return p;
}

static void open_block(struct block *b)
{
    const struct kernel *k = b->kernel;
    const size_t local = 32 * (size_t)k->local_bytes, slack = 3 * sizeof(union reg);
    b->threads = (int)(b->size.x * b->size.y * b->size.z);
    b->warp_count = (b->threads + 31) / 32;
    const size_t warps = (size_t)b->warp_count;
    unsigned char *memory =
        block_memory(2 * b->shared_bytes + slack + warps * sizeof *b->warps +
                     warps * (k->registers * sizeof(union reg) + 2 * local + slack));
    b->shared = take(&memory, b->shared_bytes);
    b->shared_written = take(&memory, b->shared_bytes);
    b->warps = take(&memory, warps * sizeof *b->warps);
    for (int i = 0; i < b->warp_count; i++) {
        struct warp *w = &b->warps[i];
        *w = (struct warp){.block = b, .index = i};
        w->registers = take(&memory, k->registers * sizeof *w->registers);
        w->local = take(&memory, local);
        w->local_written = take(&memory, local);
    }
}

void exec_grid(const struct launch *l)
{
    struct kernel *k = l->kernel;
    const struct dims grid = l->grid;
    struct block b = {.kernel = k,
                      .grid = grid,
                      .size = l->block,
                      .device = l->device,
                      .params = (const unsigned char *)l->params,
                      .shared_bytes = k->shared_bytes + l->shared,
                      .dynamic_bytes = l->shared};
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    const struct order order = choose_order(blocks);
    race_new_launch();
    open_block(&b);
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t n = in_order(&order, i);
        b.id = (struct dims){(uint32_t)(n % grid.x), (uint32_t)(n / grid.x % grid.y),
                             (uint32_t)(n / ((uint64_t)grid.x * grid.y))};
        b.number = (uint32_t)n;
        run_block(&b);
        k->steps += b.steps;
    }
    k->launches++;
}

static void print_kernel(struct kernel *k)
{
    if (k->launches > 0) {
        fprintf(stderr, "cusim: %12llu instructions of warps in %6llu launches of %s\n",
                (unsigned long long)k->steps, (unsigned long long)k->launches, k->name);
    }
}

void exec_print_profile(void)
{
    ptx_each_kernel(print_kernel);
}
