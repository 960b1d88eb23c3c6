/*
 * ptx_body.c - the statements of a kernel: declarations, labels, blocks, instructions, and calls,
 * whose bodies are read in the place of the call.
 */
#include "ptx_impl.h"

#include "op.h"
#include "sim.h"

#include <string.h>

/* .reg .b32 %r<11>, temp; */
static void read_registers(struct reader *r)
{
    const struct slice word = scan_next(&r->scan);
    const enum ptx_type type = ptx_type_named((struct slice){word.p + 1, word.n - !!word.n});
    do {
        struct slice name = scan_next(&r->scan);
        uint64_t count = 0;
        const char *angle = memchr(name.p, '<', name.n);
        if (angle) {
            const struct slice number = {angle + 1, (size_t)(name.p + name.n - angle) - 2};
            if (!slice_number(number, &count)) {
                sim_unfit("PTX: bad registers '%.*s'", (int)name.n, name.p);
            }
            name.n = (size_t)(angle - name.p);
        }
        struct symbol *s = ptx_add_symbol(r, name, SYMBOL_REGISTERS);
        s->type = type;
        s->count = count;
        s->first = (int32_t)r->kernel->registers;
        r->kernel->registers += count ? count : 1;
    } while (scan_accept(&r->scan, ","));
    scan_expect(&r->scan, ";");
}

/* Memory of a thread (.local, and the .param of a call) or of the block (.shared). */
static void read_memory(struct reader *r, enum ptx_space space)
{
    const struct declaration d = ptx_read_declaration(&r->scan);
    struct symbol *s = ptx_add_symbol(r, d.name, SYMBOL_MEMORY);
    uint32_t *used = space == PTX_SHARED ? &r->kernel->shared_bytes : &r->kernel->local_bytes;
    *used = (*used + d.align - 1) / d.align * d.align;
    s->space = space;
    s->address = (space == PTX_SHARED ? PTX_SHARED_BASE : PTX_LOCAL_BASE) + *used;
    s->bytes = d.bytes;
    s->align = d.align;
    s->open = d.open;
    *used += (uint32_t)d.bytes;
    scan_expect(&r->scan, ";");
}

static void add_label(struct reader *r, struct slice name)
{
    r->labels = sim_grow(r->labels, r->label_count, sizeof *r->labels);
    r->labels[r->label_count++] = (struct label){name, (uint32_t)r->kernel->count};
}

static uint32_t find_label(const struct reader *r, struct slice name)
{
    for (size_t i = r->label_count; i-- > r->label_base;) {
        if (slice_equal(r->labels[i].name, name)) {
            return r->labels[i].at;
        }
    }
    sim_unfit("PTX: kernel %s has no label '%.*s'", r->kernel->name, (int)name.n, name.p);
}

/* name: .branchtargets A, B, C; the list that a brx.idx before or after it names. */
static void read_targets(struct reader *r, struct slice name)
{
    struct kernel *k = r->kernel;
    const size_t table = k->table_count;
    struct jump_table t = {.targets = NULL};
    k->tables = sim_grow(k->tables, k->table_count, sizeof *k->tables);
    k->table_count++;
    do {
        const struct slice target = scan_next(&r->scan);
        t.targets = sim_grow(t.targets, t.count, sizeof *t.targets);
        ptx_add_fixup(
            r, (struct fixup){.name = target, .in_table = true, .table = table, .entry = t.count});
        t.count++;
    } while (scan_accept(&r->scan, ","));
    scan_expect(&r->scan, ";");
    k->tables[table] = t;
    r->labels = sim_grow(r->labels, r->label_count, sizeof *r->labels);
    r->labels[r->label_count++] = (struct label){name, (uint32_t)table};
}

static void resolve(struct reader *r)
{
    for (size_t i = r->fixup_base; i < r->fixup_count; i++) {
        const struct fixup *f = &r->fixups[i];
        const uint32_t at = find_label(r, f->name);
        if (f->in_table) {
            r->kernel->tables[f->table].targets[f->entry] = at;
        } else {
            r->kernel->code[f->instruction].target = at;
        }
    }
    r->fixup_count = r->fixup_base;
    r->label_count = r->label_base;
}

static const struct function *find_function(const struct ptx_module *m, struct slice name)
{
    for (size_t i = 0; i < m->function_count; i++) {
        if (slice_equal(m->functions[i].name, name)) {
            return &m->functions[i];
        }
    }
    return NULL;
}

/* "(a, b)" of a call: the caller's memory that holds the arguments. */
static size_t read_arguments(struct reader *r, struct symbol *arguments, size_t room)
{
    size_t n = 0;
    if (!scan_accept(&r->scan, "(")) {
        return 0;
    }
    while (!scan_accept(&r->scan, ")")) {
        const struct slice name = scan_next(&r->scan);
        const struct symbol *s = ptx_find_symbol(r->symbols, r->symbol_count, name);
        if (!s || n == room) {
            sim_unfit("PTX: kernel %s calls with '%.*s', which is not simulated", r->kernel->name,
                      (int)name.n, name.p);
        }
        arguments[n++] = *s;
        scan_accept(&r->scan, ",");
    }
    return n;
}

/* Reads the body of f here. Its parameters are names for the caller's memory. */
static void read_inlined(struct reader *r, const struct function *f, const struct symbol *arguments)
{
    const struct reader caller = *r;
    r->symbol_base = r->symbol_count;
    r->label_base = r->label_count;
    r->fixup_base = r->fixup_count;
    r->active[r->depth++] = f;
    for (size_t i = 0; i < f->param_count; i++) {
        struct symbol *s = ptx_add_symbol(r, f->params[i].name, SYMBOL_MEMORY);
        const struct slice name = s->name;
        *s = arguments[i];
        s->name = name;
    }
    r->scan.at = f->body;
    ptx_read_body(r);
    r->symbol_count = caller.symbol_count;
    r->symbol_base = caller.symbol_base;
    r->label_base = caller.label_base;
    r->fixup_base = caller.fixup_base;
    r->depth--;
    r->scan = caller.scan;
    r->location = caller.location;
}

/* A function that is being read already calls itself. */
static bool can_inline(const struct reader *r, const struct function *f, size_t arguments)
{
    if (!f || !f->body || f->param_count != arguments || r->depth == READER_DEPTH) {
        return false;
    }
    for (int i = 0; i < r->depth; i++) {
        if (r->active[i] == f) {
            return false;
        }
    }
    return true;
}

#define ARGUMENTS 64

/* call.uni (result), name, (arguments); what has no body here is an instruction of its own, which
 * is reported when it runs.
 */
static void read_call(struct reader *r)
{
    struct symbol arguments[ARGUMENTS];
    const char *start = scan_peek(&r->scan).p;
    scan_next(&r->scan);
    size_t n = read_arguments(r, arguments, ARGUMENTS);
    scan_accept(&r->scan, ",");
    const struct slice name = scan_next(&r->scan);
    scan_accept(&r->scan, ",");
    n += read_arguments(r, arguments + n, ARGUMENTS - n);
    while (!scan_accept(&r->scan, ";")) { /* a prototype, for a call by pointer */
        scan_next(&r->scan);
    }
    const struct function *f = find_function(r->module, name);
    if (can_inline(r, f, n)) {
        read_inlined(r, f, arguments);
        return;
    }
    struct instruction *in = ptx_new_instruction(r, start, r->scan.at);
    if (slice_is(name, "__assertfail")) {
        in->run = op_run_assert;
    } else {
        in->run = op_run_unsupported;
        r->kernel->unfit = true;
    }
}

static void read_statement(struct reader *r)
{
    struct scanner ahead = r->scan;
    const struct slice word = scan_next(&ahead);
    if (word.n > 1 && word.p[word.n - 1] == ':') {
        r->scan = ahead;
        const struct slice name = {word.p, word.n - 1};
        if (scan_accept(&r->scan, ".branchtargets")) {
            read_targets(r, name);
        } else {
            add_label(r, name);
        }
    } else if (scan_accept(&r->scan, ".reg")) {
        read_registers(r);
    } else if (scan_accept(&r->scan, ".local") || scan_accept(&r->scan, ".param")) {
        read_memory(r, PTX_LOCAL);
    } else if (scan_accept(&r->scan, ".shared")) {
        read_memory(r, PTX_SHARED);
    } else if (slice_is(word, "call") || slice_starts(word, "call.")) {
        read_call(r);
    } else {
        ptx_read_instruction(r);
    }
}

void ptx_read_body(struct reader *r)
{
    size_t scopes[64]; /* how many symbols there were when each open block began */
    int depth = 0;
    for (;;) {
        if (scan_accept(&r->scan, "{")) {
            if (depth == 64) {
                sim_unfit("PTX: kernel %s nests blocks too deep", r->kernel->name);
            }
            scopes[depth++] = r->symbol_count;
        } else if (scan_accept(&r->scan, "}")) {
            if (depth == 0) {
                break;
            }
            r->symbol_count = scopes[--depth];
        } else if (scan_peek(&r->scan).n == 0) {
            sim_unfit("PTX: kernel %s has no end", r->kernel->name);
        } else if (!ptx_skip_directive(r->module, &r->scan, &r->location)) {
            read_statement(r);
        }
    }
    add_label(r, (struct slice){"}", 1}); /* where a return from a call goes */
    struct instruction *end = ptx_new_instruction(r, r->scan.at - 1, r->scan.at);
    end->run = op_run_nothing;
    end->flow = r->depth == 0 ? FLOW_EXIT : FLOW_NONE;
    resolve(r);
}
