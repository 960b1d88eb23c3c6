/*
 * ptx_kernel.c - one kernel while it is read: its registers, constants, names and parameters.
 */
#include "ptx_impl.h"

#include "sim.h"

#include <stdlib.h>
#include <string.h>

static const char *const specials[SPECIALS] = {
    [SPECIAL_TID_X] = "%tid.x",         [SPECIAL_TID_Y] = "%tid.y",
    [SPECIAL_TID_Z] = "%tid.z",         [SPECIAL_NTID_X] = "%ntid.x",
    [SPECIAL_NTID_Y] = "%ntid.y",       [SPECIAL_NTID_Z] = "%ntid.z",
    [SPECIAL_CTAID_X] = "%ctaid.x",     [SPECIAL_CTAID_Y] = "%ctaid.y",
    [SPECIAL_CTAID_Z] = "%ctaid.z",     [SPECIAL_NCTAID_X] = "%nctaid.x",
    [SPECIAL_NCTAID_Y] = "%nctaid.y",   [SPECIAL_NCTAID_Z] = "%nctaid.z",
    [SPECIAL_LANE] = "%laneid",         [SPECIAL_WARP] = "%warpid",
    [SPECIAL_MASK_EQ] = "%lanemask_eq", [SPECIAL_MASK_LT] = "%lanemask_lt",
    [SPECIAL_MASK_LE] = "%lanemask_le", [SPECIAL_MASK_GT] = "%lanemask_gt",
    [SPECIAL_MASK_GE] = "%lanemask_ge", [SPECIAL_DYNAMIC_SHARED] = "%dynamic_smem_size",
};

struct symbol *ptx_add_symbol(struct reader *r, struct slice name, enum symbol_kind kind)
{
    r->symbols = sim_grow(r->symbols, r->symbol_count, sizeof *r->symbols);
    struct symbol *s = &r->symbols[r->symbol_count++];
    *s = (struct symbol){.name = name, .kind = kind};
    return s;
}

int32_t ptx_new_register(struct reader *r)
{
    return (int32_t)r->kernel->registers++;
}

static int32_t add_constant(struct reader *r, uint64_t value, size_t bytes)
{
    struct kernel *k = r->kernel;
    k->constants = sim_grow(k->constants, k->constant_count, sizeof *k->constants);
    k->constant_bytes = sim_grow(k->constant_bytes, k->constant_count, 1);
    union reg *c = &k->constants[k->constant_count];
    memset(c, 0, sizeof *c);
    for (int lane = 0; lane < 32; lane++) {
        if (bytes == 8) {
            c->U[lane] = value;
        } else {
            c->u[lane] = (uint32_t)value;
        }
    }
    k->constant_bytes[k->constant_count] = (uint8_t)bytes;
    return ~(int32_t)k->constant_count++;
}

int32_t ptx_constant(struct reader *r, uint64_t value, size_t bytes)
{
    const struct kernel *k = r->kernel;
    for (size_t i = 0; i < k->constant_count; i++) {
        const union reg *c = &k->constants[i];
        const bool same = bytes == 8 ? c->U[0] == value : c->u[0] == (uint32_t)value;
        if (same && k->constant_bytes[i] == bytes) {
            return ~(int32_t)i;
        }
    }
    return add_constant(r, value, bytes);
}

/* Dynamic shared memory begins after all that is static, which is known at the end: the constant is
 * set then.
 */
static int32_t dynamic_shared(struct reader *r, size_t bytes)
{
    int32_t *c = &r->dynamic[bytes == 8];
    if (*c == PTX_NO_OPERAND) {
        *c = add_constant(r, 0, bytes);
        r->kernel->constant_bytes[~*c] = 0; /* equal to no other */
    }
    return *c;
}

static uint32_t round_up(uint32_t n, uint32_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static void set_dynamic_shared(struct reader *r)
{
    const uint32_t start = round_up(r->kernel->shared_bytes, 16);
    for (int i = 0; i < 2; i++) {
        if (r->dynamic[i] == PTX_NO_OPERAND) {
            continue;
        }
        union reg *c = &r->kernel->constants[~r->dynamic[i]];
        for (int lane = 0; lane < 32; lane++) {
            if (i == 1) {
                c->U[lane] = PTX_SHARED_BASE + start;
            } else {
                c->u[lane] = start;
            }
        }
        r->kernel->shared_bytes = start;
    }
}

/* The register that a name like %r12 has in its run of registers. */
static bool find_register(const struct symbol *s, struct slice word, int32_t *reg)
{
    if (s->kind != SYMBOL_REGISTERS || word.n < s->name.n ||
        memcmp(word.p, s->name.p, s->name.n) != 0) {
        return false;
    }
    *reg = s->first;
    if (s->count == 0) {
        return word.n == s->name.n;
    }
    uint64_t i = 0;
    const struct slice number = {word.p + s->name.n, word.n - s->name.n};
    if (!slice_number(number, &i) || i >= s->count) {
        return false;
    }
    *reg += (int32_t)i;
    return true;
}

/* A shared variable of the module gets its place in a kernel when that first names it. */
static const struct symbol *place_shared(struct reader *r, const struct symbol *variable)
{
    const struct symbol *placed = ptx_find_symbol(r->shared, r->shared_count, variable->name);
    if (placed) {
        return placed;
    }
    r->shared = sim_grow(r->shared, r->shared_count, sizeof *r->shared);
    struct symbol *s = &r->shared[r->shared_count++];
    *s = *variable;
    if (!s->open) {
        r->kernel->shared_bytes = round_up(r->kernel->shared_bytes, s->align);
        s->address = PTX_SHARED_BASE + r->kernel->shared_bytes;
        r->kernel->shared_bytes += (uint32_t)s->bytes;
    }
    return s;
}

static int32_t special(struct reader *r, struct slice word)
{
    for (int i = 0; i < SPECIALS; i++) {
        if (slice_is(word, specials[i])) {
            int32_t *reg = &r->kernel->specials[i];
            *reg = *reg == PTX_NO_OPERAND ? ptx_new_register(r) : *reg;
            return *reg;
        }
    }
    return PTX_NO_OPERAND;
}

static const struct symbol *lookup(struct reader *r, struct slice word, int32_t *reg)
{
    for (size_t i = r->symbol_count; i-- > r->symbol_base;) {
        const struct symbol *s = &r->symbols[i];
        if (find_register(s, word, reg) ||
            (s->kind == SYMBOL_MEMORY && slice_equal(s->name, word))) {
            return s;
        }
    }
    const struct ptx_module *m = r->module;
    const struct symbol *s = ptx_find_symbol(m->variables, m->variable_count, word);
    return s && s->space == PTX_SHARED ? place_shared(r, s) : s;
}

int32_t ptx_operand(struct reader *r, struct slice word, size_t bytes, const struct symbol **found)
{
    uint64_t value = 0;
    int32_t reg = PTX_NO_OPERAND;
    if (found) {
        *found = NULL;
    }
    if (slice_is(word, "_")) {
        return ptx_new_register(r); /* a result that nobody wants */
    }
    if (slice_number(word, &value)) {
        return ptx_constant(r, value, bytes);
    }
    reg = special(r, word);
    if (reg != PTX_NO_OPERAND) {
        return reg;
    }
    const struct symbol *s = lookup(r, word, &reg);
    if (found) {
        *found = s;
    }
    if (!s) {
        return PTX_NO_OPERAND;
    }
    if (s->kind == SYMBOL_REGISTERS) {
        return reg;
    }
    if (s->space == PTX_SHARED && s->open) {
        return dynamic_shared(r, bytes);
    }
    return ptx_constant(r, s->space == PTX_PARAM ? PTX_PARAM_BASE + s->address : s->address, bytes);
}

struct instruction *ptx_new_instruction(struct reader *r, const char *start, const char *end)
{
    struct kernel *k = r->kernel;
    k->code = sim_grow(k->code, k->count, sizeof *k->code);
    struct instruction *in = &k->code[k->count++];
    *in = (struct instruction){
        .predicate = PTX_NO_OPERAND, .base = PTX_NO_OPERAND, .vector = 1, .location = r->location};
    in->text = slice_copy((struct slice){start, (size_t)(end - start)});
    return in;
}

void ptx_add_fixup(struct reader *r, struct fixup fixup)
{
    r->fixups = sim_grow(r->fixups, r->fixup_count, sizeof *r->fixups);
    r->fixups[r->fixup_count++] = fixup;
}

static void read_kernel_params(struct reader *r)
{
    struct kernel *k = r->kernel;
    if (!scan_accept(&r->scan, "(")) {
        return;
    }
    while (!scan_accept(&r->scan, ")")) {
        const struct declaration d = ptx_read_declaration(&r->scan);
        scan_accept(&r->scan, ",");
        k->param_bytes = round_up(k->param_bytes, d.align);
        struct symbol *s = ptx_add_symbol(r, d.name, SYMBOL_MEMORY);
        s->space = PTX_PARAM;
        s->address = k->param_bytes;
        s->bytes = d.bytes;
        k->params = sim_grow(k->params, k->param_count, sizeof *k->params);
        k->params[k->param_count++] = (struct ptx_param){k->param_bytes, (uint32_t)d.bytes};
        k->param_bytes += (uint32_t)d.bytes;
    }
}

void ptx_read_kernel(struct kernel *k)
{
    if (k->read) {
        return;
    }
    struct reader r = {.module = k->module,
                       .kernel = k,
                       .scan = {k->source},
                       .dynamic = {PTX_NO_OPERAND, PTX_NO_OPERAND}};
    for (int i = 0; i < SPECIALS; i++) {
        k->specials[i] = PTX_NO_OPERAND;
    }
    read_kernel_params(&r);
    while (ptx_skip_directive(r.module, &r.scan, &r.location)) {
    }
    scan_expect(&r.scan, "{");
    ptx_read_body(&r);
    set_dynamic_shared(&r);
    k->read = true;
    free(r.symbols);
    free(r.shared);
    free(r.labels);
    free(r.fixups);
}
