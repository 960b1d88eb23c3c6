/*
 * ptx_module.c - the outermost level of PTX: files, variables, functions and kernels. The bodies
 * are passed over; a kernel's is read when it is first launched.
 */
#include "ptx_impl.h"

#include "mem.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum ptx_type type;
} types[] = {{"b8", PTX_B8},       {"u8", PTX_U8},         {"s8", PTX_S8},    {"b16", PTX_B16},
             {"u16", PTX_U16},     {"s16", PTX_S16},       {"f16", PTX_F16},  {"bf16", PTX_BF16},
             {"b32", PTX_B32},     {"u32", PTX_U32},       {"s32", PTX_S32},  {"f32", PTX_F32},
             {"f16x2", PTX_F16X2}, {"bf16x2", PTX_BF16X2}, {"b64", PTX_B64},  {"u64", PTX_U64},
             {"s64", PTX_S64},     {"f64", PTX_F64},       {"pred", PTX_PRED}};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum ptx_type ptx_type_named(struct slice name)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        if (slice_is(name, types[i].name)) {
            return types[i].type;
        }
    }
    return PTX_NONE;
}

/* The words with a dot before a name: ".ptr .global .align 1" tells of what a pointer points to. */
struct declaration ptx_read_declaration(struct scanner *s)
{
    struct declaration d = {.align = 0};
    bool pointer = false;
    uint64_t count = 1;
    for (d.name = scan_next(s); d.name.n > 0 && d.name.p[0] == '.'; d.name = scan_next(s)) {
        if (slice_is(d.name, ".ptr")) {
            pointer = true;
        } else if (slice_is(d.name, ".align")) {
            const uint32_t align = (uint32_t)scan_number(s);
            d.align = pointer ? d.align : align;
        } else {
            const enum ptx_type type = ptx_type_named((struct slice){d.name.p + 1, d.name.n - 1});
            d.type = type ? type : d.type;
        }
    }
    while (scan_accept(s, "[")) {
        d.open = scan_accept(s, "]");
        if (!d.open) {
            count *= scan_number(s);
            scan_expect(s, "]");
        }
    }
    const size_t element = ptx_type_bytes(d.type);
    d.bytes = d.open ? 0 : count * element;
    d.align = d.align > element ? d.align : (uint32_t)element;
    d.align += !d.align;
    return d;
}

const struct symbol *ptx_find_symbol(const struct symbol *symbols, size_t count, struct slice name)
{
    while (count-- > 0) {
        if (slice_equal(symbols[count].name, name)) {
            return &symbols[count];
        }
    }
    return NULL;
}

/* The place that something was inlined at: itself perhaps inlined, as said by a .loc before. */
static uint32_t find_parent(struct ptx_module *m, uint32_t file, uint32_t line, uint32_t column)
{
    for (size_t i = m->location_count; i-- > 1;) {
        const struct location *l = &m->locations[i];
        if (l->file == file && l->line == line && l->column == column) {
            return (uint32_t)i;
        }
    }
    m->locations = sim_grow(m->locations, m->location_count, sizeof *m->locations);
    m->locations[m->location_count++] = (struct location){file, line, column, 0};
    return (uint32_t)m->location_count - 1;
}

/* .loc FILE LINE COLUMN[, function_name NAME, inlined_at FILE LINE COLUMN] */
static uint32_t read_location(struct ptx_module *m, struct scanner *s)
{
    struct location l = {.file = (uint32_t)scan_number(s)};
    l.line = (uint32_t)scan_number(s);
    l.column = (uint32_t)scan_number(s);
    while (scan_accept(s, ",")) {
        const struct slice what = scan_next(s);
        if (slice_is(what, "inlined_at")) {
            const uint32_t file = (uint32_t)scan_number(s), line = (uint32_t)scan_number(s);
            l.parent = find_parent(m, file, line, (uint32_t)scan_number(s));
        } else {
            scan_next(s);
            if (scan_accept(s, "+")) {
                scan_next(s);
            }
        }
    }
    if (l.line == 0) {
        return 0;
    }
    m->locations = sim_grow(m->locations, m->location_count, sizeof *m->locations);
    m->locations[m->location_count++] = l;
    return (uint32_t)m->location_count - 1;
}

/* .file NUMBER "NAME"[, TIME, SIZE] */
static void read_file(struct ptx_module *m, struct scanner *s)
{
    const size_t number = scan_number(s);
    const struct slice name = scan_next(s);
    while (scan_accept(s, ",")) {
        scan_next(s);
    }
    if (number > 100000 || name.n < 2) {
        sim_unfit("PTX: bad .file");
    }
    while (m->file_count <= number) {
        m->files = sim_grow(m->files, m->file_count, sizeof *m->files);
        m->files[m->file_count++] = NULL;
    }
    free(m->files[number]);
    m->files[number] = slice_copy((struct slice){name.p + 1, name.n - 2});
}

/* Directives that tell nothing about what a kernel does, with how many words follow. */
bool ptx_skip_directive(struct ptx_module *m, struct scanner *s, uint32_t *location)
{
    static const char *const listed[] = {".target",       ".maxntid", ".reqntid", ".version",
                                         ".minnctapersm", ".maxnreg", ".pragma",  ".address_size"};
    if (scan_accept(s, ".loc")) {
        const uint32_t l = read_location(m, s);
        *location = l ? l : *location;
        return true;
    }
    if (scan_accept(s, ".file")) {
        read_file(m, s);
        return true;
    }
    if (scan_accept(s, ".section")) {
        scan_next(s);
        scan_expect(s, "{");
        scan_skip_block(s);
        return true;
    }
    for (size_t i = 0; i < COUNT(listed); i++) {
        if (scan_accept(s, listed[i])) {
            do {
                scan_next(s);
            } while (scan_accept(s, ","));
            scan_accept(s, ";");
            return true;
        }
    }
    return false;
}

/* Fills a variable from "{1, 2, ...}" or one number; without it, with zeros. */
static void initialise(struct scanner *s, const struct declaration *d, void *variable)
{
    const size_t element = ptx_type_bytes(d->type);
    unsigned char *bytes = mem_host(variable);
    memset(bytes, 0, d->bytes);
    mem_mark_written(variable, d->bytes);
    if (!scan_accept(s, "=")) {
        return;
    }
    const bool list = scan_accept(s, "{");
    for (size_t at = 0; at + element <= d->bytes && !slice_is(scan_peek(s), "}"); at += element) {
        const uint64_t value = scan_number(s);
        memcpy(bytes + at, &value, element);
        scan_accept(s, ",");
    }
    if (list) {
        scan_expect(s, "}");
    }
}

static void read_variable(struct ptx_module *m, struct scanner *s, enum ptx_space space)
{
    const struct declaration d = ptx_read_declaration(s);
    struct symbol v = {.name = d.name,
                       .kind = SYMBOL_MEMORY,
                       .space = space,
                       .bytes = d.bytes,
                       .align = d.align,
                       .open = d.open};
    if (space != PTX_SHARED) { /* a shared one is placed by each kernel that uses it */
        void *variable = mem_new(d.bytes ? d.bytes : 1, true);
        if (!variable) {
            sim_unfit("no device memory for a variable of %zu bytes", (size_t)d.bytes);
        }
        initialise(s, &d, variable);
        v.address = (uint64_t)variable;
    }
    scan_expect(s, ";");
    m->variables = sim_grow(m->variables, m->variable_count, sizeof *m->variables);
    m->variables[m->variable_count++] = v;
}

static void read_params(struct scanner *s, struct function *f)
{
    if (!scan_accept(s, "(")) {
        return;
    }
    while (!scan_accept(s, ")")) {
        const struct declaration d = ptx_read_declaration(s);
        f->params = sim_grow(f->params, f->param_count, sizeof *f->params);
        f->params[f->param_count++] = d;
        scan_accept(s, ",");
    }
}

/* .func (result) name(parameters) { ... }, or only its declaration. */
static void read_function(struct ptx_module *m, struct scanner *s)
{
    struct function f = {.body = NULL};
    read_params(s, &f);
    f.result_count = f.param_count;
    f.name = scan_next(s);
    read_params(s, &f);
    while (!slice_is(scan_peek(s), "{") && !slice_is(scan_peek(s), ";")) {
        if (scan_next(s).n == 0) {
            sim_unfit("PTX: function '%.*s' has no end", (int)f.name.n, f.name.p);
        }
    }
    if (scan_accept(s, "{")) {
        f.body = s->at;
        scan_skip_block(s);
    } else {
        scan_expect(s, ";");
    }
    m->functions = sim_grow(m->functions, m->function_count, sizeof *m->functions);
    m->functions[m->function_count++] = f;
}

static void read_entry(struct ptx_module *m, struct scanner *s)
{
    struct kernel *k = sim_alloc(sizeof *k);
    k->name = slice_copy(scan_next(s));
    k->module = m;
    k->source = s->at;
    k->next = m->kernels;
    m->kernels = k;
    while (!slice_is(scan_peek(s), "{") && scan_peek(s).n > 0) {
        scan_next(s);
    }
    scan_expect(s, "{");
    scan_skip_block(s);
}

static struct ptx_module *modules;

struct ptx_module *ptx_open(const char *text, size_t bytes)
{
    struct ptx_module *m = sim_alloc(sizeof *m);
    m->next = modules;
    modules = m;
    m->text = slice_copy((struct slice){text, bytes});
    struct scanner s = {m->text};
    uint32_t location = 0;
    m->locations = sim_grow(NULL, 0, sizeof *m->locations);
    m->locations[m->location_count++] = (struct location){0};
    while (scan_peek(&s).n > 0) {
        if (ptx_skip_directive(m, &s, &location)) {
            continue;
        }
        const struct slice word = scan_next(&s);
        if (slice_is(word, ".entry")) {
            read_entry(m, &s);
        } else if (slice_is(word, ".func")) {
            read_function(m, &s);
        } else if (slice_is(word, ".global")) {
            read_variable(m, &s, PTX_GLOBAL);
        } else if (slice_is(word, ".const")) {
            read_variable(m, &s, PTX_CONST);
        } else if (slice_is(word, ".shared")) {
            read_variable(m, &s, PTX_SHARED);
        } else if (!slice_is(word, ".visible") && !slice_is(word, ".extern") &&
                   !slice_is(word, ".weak") && !slice_is(word, ".common")) {
            sim_unfit("PTX: '%.*s' is not supported", (int)word.n, word.p);
        }
    }
    return m;
}

struct kernel *ptx_find_kernel(struct ptx_module *m, const char *name)
{
    struct kernel *k = m->kernels;
    while (k && strcmp(k->name, name) != 0) {
        k = k->next;
    }
    return k;
}

void ptx_each_kernel(void (*f)(struct kernel *k))
{
    for (struct ptx_module *m = modules; m; m = m->next) {
        for (struct kernel *k = m->kernels; k; k = k->next) {
            f(k);
        }
    }
}

void *ptx_find_variable(struct ptx_module *m, const char *name)
{
    const struct symbol *s =
        ptx_find_symbol(m->variables, m->variable_count, (struct slice){name, strlen(name)});
    return s && s->space != PTX_SHARED ? (void *)s->address : NULL;
}

static const char *file_of(const struct ptx_module *m, uint32_t location)
{
    const uint32_t file = m->locations[location].file;
    return file < m->file_count && m->files[file] ? m->files[file] : "?";
}

static bool is_own(const struct ptx_module *m, uint32_t location)
{
    const char *file = file_of(m, location);
    return strncmp(file, "/usr/", 5) != 0 && !strstr(file, "/targets/x86_64-linux/include/");
}

static void print_place(const struct ptx_module *m, uint32_t location, char *text, size_t size)
{
    const char *file = file_of(m, location);
    const char *slash = strrchr(file, '/');
    snprintf(text, size, "%s:%u", slash ? slash + 1 : file, m->locations[location].line);
}

const char *ptx_place(const struct ptx_module *m, uint32_t location, char *text, size_t size)
{
    while (m->locations[location].parent && !is_own(m, location)) {
        location = m->locations[location].parent;
    }
    char place[96], outer[96];
    const uint32_t parent = m->locations[location].parent;
    print_place(m, location, place, sizeof place);
    print_place(m, parent, outer, sizeof outer);
    snprintf(text, size, parent ? "%s (inlined at %s)" : "%s", place, outer);
    return text;
}
