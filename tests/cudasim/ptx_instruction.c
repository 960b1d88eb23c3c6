/*
 * ptx_instruction.c - one instruction: its predicate, its opcode with modifiers, its operands.
 */
#include "ptx_impl.h"

#include "op.h"
#include "sim.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum modifier_kind {
    MOD_HINT,
    MOD_STRONG,
    MOD_SPACE,
    MOD_ROUND,
    MOD_INTEGER,
    MOD_SATURATE,
    MOD_FLUSH,
    MOD_VECTOR
};

/* Modifiers that do not belong to the key. */
static const struct modifier {
    const char *name;
    enum modifier_kind kind;
    int value;
} modifiers[] = {
    {"uni", MOD_HINT, 0},
    {"aligned", MOD_HINT, 0},
    {"sync", MOD_HINT, 0},
    {"approx", MOD_HINT, 0},
    {"full", MOD_HINT, 0},
    {"nc", MOD_HINT, 0},
    {"ca", MOD_HINT, 0},
    {"cg", MOD_HINT, 0},
    {"cs", MOD_HINT, 0},
    {"lu", MOD_HINT, 0},
    {"cv", MOD_HINT, 0},
    {"wb", MOD_HINT, 0},
    {"wt", MOD_HINT, 0},
    {"to", MOD_HINT, 0},
    {"cta", MOD_HINT, 0},
    {"gpu", MOD_HINT, 0},
    {"sys", MOD_HINT, 0},
    {"weak", MOD_HINT, 0},
    {"wrap", MOD_HINT, 0},
    {"noftz", MOD_HINT, 0},
    {"L1::no_allocate", MOD_HINT, 0},
    {"L1::evict_last", MOD_HINT, 0},
    {"L1::evict_first", MOD_HINT, 0},
    {"L2::64B", MOD_HINT, 0},
    {"L2::128B", MOD_HINT, 0},
    {"L2::256B", MOD_HINT, 0},
    {"volatile", MOD_STRONG, 0},
    {"relaxed", MOD_STRONG, 0},
    {"acquire", MOD_STRONG, 0},
    {"release", MOD_STRONG, 0},
    {"acq_rel", MOD_STRONG, 0},
    {"sc", MOD_STRONG, 0},
    {"global", MOD_SPACE, PTX_GLOBAL},
    {"shared", MOD_SPACE, PTX_SHARED},
    {"shared::cta", MOD_SPACE, PTX_SHARED},
    {"local", MOD_SPACE, PTX_LOCAL},
    {"param", MOD_SPACE, PTX_PARAM},
    {"param::entry", MOD_SPACE, PTX_PARAM},
    {"param::func", MOD_SPACE, PTX_PARAM},
    {"const", MOD_SPACE, PTX_CONST},
    {"rn", MOD_ROUND, ROUND_NEAREST},
    {"rz", MOD_ROUND, ROUND_ZERO},
    {"rm", MOD_ROUND, ROUND_DOWN},
    {"rp", MOD_ROUND, ROUND_UP},
    {"rna", MOD_ROUND, ROUND_AWAY},
    {"rni", MOD_INTEGER, ROUND_NEAREST},
    {"rzi", MOD_INTEGER, ROUND_ZERO},
    {"rmi", MOD_INTEGER, ROUND_DOWN},
    {"rpi", MOD_INTEGER, ROUND_UP},
    {"sat", MOD_SATURATE, 0},
    {"ftz", MOD_FLUSH, 0},
    {"v2", MOD_VECTOR, 2},
    {"v4", MOD_VECTOR, 4},
};

static const struct modifier *find_modifier(struct slice word)
{
    for (size_t i = 0; i < COUNT(modifiers); i++) {
        if (slice_is(word, modifiers[i].name)) {
            return &modifiers[i];
        }
    }
    return NULL;
}

static void apply(struct instruction *in, const struct modifier *m)
{
    switch (m->kind) {
    case MOD_HINT:
        break;
    case MOD_STRONG:
        in->strong = true;
        break;
    case MOD_SPACE:
        in->space = (enum ptx_space)m->value;
        break;
    case MOD_ROUND:
    case MOD_INTEGER:
        in->round = (enum ptx_round)m->value;
        in->to_integer = m->kind == MOD_INTEGER;
        break;
    case MOD_SATURATE:
        in->saturate = true;
        break;
    case MOD_FLUSH:
        in->flush = true;
        break;
    case MOD_VECTOR:
        in->vector = m->value;
        break;
    }
}

/* The key of an instruction while it is put together. */
struct key {
    char text[64];
    size_t n;
};

static void key_add(struct key *k, struct slice word)
{
    if (k->n + word.n + 2 > sizeof k->text) {
        k->n = 0; /* longer than any: found in no table */
        k->text[0] = '\0';
        return;
    }
    if (k->n > 0) {
        k->text[k->n++] = '.';
    }
    memcpy(k->text + k->n, word.p, word.n);
    k->n += word.n;
    k->text[k->n] = '\0';
}

static enum ptx_combine combine_of(struct slice word)
{
    return slice_is(word, "and")   ? COMBINE_AND
           : slice_is(word, "or")  ? COMBINE_OR
           : slice_is(word, "xor") ? COMBINE_XOR
                                   : COMBINE_NONE;
}

/* One part of the mnemonic after the opcode. */
static void read_part(struct instruction *in, struct key *key, bool setp, struct slice word)
{
    const enum ptx_type type = ptx_type_named(word);
    if (type) {
        if (!in->type) {
            in->type = type;
        } else {
            in->type2 = type;
        }
        return;
    }
    const enum ptx_combine combine = setp ? combine_of(word) : COMBINE_NONE;
    if (combine) {
        in->combine = combine;
        return;
    }
    const struct modifier *m = find_modifier(word);
    if (m) {
        apply(in, m);
    } else {
        key_add(key, word);
    }
}

static struct slice part(struct slice *rest)
{
    const char *dot = memchr(rest->p, '.', rest->n);
    const struct slice first = {rest->p, dot ? (size_t)(dot - rest->p) : rest->n};
    const size_t used = first.n + (dot ? 1 : 0);
    *rest = (struct slice){rest->p + used, rest->n - used};
    return first;
}

static const char *const round_names[] = {"", "rz", "rm", "rp", "rna"};
static const char *const type_keys[] = {"",       "b8",   "u8",  "s8",  "b16", "u16", "s16",
                                        "f16",    "bf16", "b32", "u32", "s32", "f32", "f16x2",
                                        "bf16x2", "b64",  "u64", "s64", "f64", "pred"};

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static enum ptx_flow flow_of(struct slice opcode, const struct key *key)
{
    if (slice_is(opcode, "bra")) {
        return FLOW_BRANCH;
    }
    if (slice_is(opcode, "brx")) {
        return FLOW_TABLE;
    }
    if (slice_is(opcode, "ret") || slice_is(opcode, "exit")) {
        return FLOW_EXIT;
    }
    return strcmp(key->text, "bar") == 0 || strcmp(key->text, "barrier") == 0 ? FLOW_BARRIER
                                                                              : FLOW_NONE;
}

/* The function for the key; first with the type, then for all types. */
static op_run *find_function(const struct instruction *in, const struct key *general)
{
    struct key key = *general;
    if (in->type) {
        key_add(&key, slice_of(type_keys[in->type]));
    }
    op_run *run = op_find(key.text);
    return run ? run : op_find(general->text);
}

static void find_run(struct instruction *in, struct slice opcode, struct key *key)
{
    in->flow = flow_of(opcode, key);
    if (in->flow) {
        in->run = op_run_nothing;
        return;
    }
    const bool directed = in->round && !slice_is(opcode, "cvt");
    if (directed) {
        key_add(key, slice_of(round_names[in->round]));
    }
    in->run = find_function(in, key);
    const bool flushed = in->flush && in->type == PTX_F32 && !slice_is(opcode, "cvt");
    if (flushed && slice_is(opcode, "setp")) {
        in->run = NULL; /* made by -ftz=true only */
    }
    if (in->run && (directed || flushed)) {
        in->inner = in->run;
        in->run = directed ? op_run_rounded : op_run_flushed;
    }
}

static struct slice read_mnemonic(struct reader *r, struct instruction *in)
{
    struct slice rest = scan_next(&r->scan);
    const struct slice opcode = part(&rest);
    struct key key = {.n = 0};
    key_add(&key, opcode);
    while (rest.n > 0) {
        read_part(in, &key, slice_is(opcode, "setp"), part(&rest));
    }
    find_run(in, opcode, &key);
    return opcode;
}

/* How wide a number that stands as operand i is: 4 or 8 bytes. */
static size_t number_bytes(const struct instruction *in, struct slice opcode, int i)
{
    const size_t bytes = ptx_type_bytes(in->type) == 8 ? 8 : 4;
    if (slice_is(opcode, "cvt")) {
        return ptx_type_bytes(in->type2) == 8 ? 8 : 4;
    }
    if (slice_is(opcode, "shl") || slice_is(opcode, "shr")) {
        return i == 2 ? 4 : bytes;
    }
    if (slice_is(opcode, "bfe")) {
        return i >= 2 ? 4 : bytes;
    }
    if (slice_is(opcode, "bfi")) {
        return i >= 3 ? 4 : bytes;
    }
    if (slice_is(opcode, "mad") && i == 3 && strstr(in->text, ".wide.")) {
        return 8;
    }
    return bytes;
}

/* The next operand: a register, a number or a name. */
static void read_operand(struct reader *r, struct instruction *in, struct slice opcode)
{
    const struct symbol *s = NULL;
    const size_t bytes = number_bytes(in, opcode, in->operands);
    const int32_t operand = ptx_operand(r, scan_next(&r->scan), bytes, &s);
    if (operand == PTX_NO_OPERAND || in->operands == PTX_OPERANDS) {
        in->run = NULL;
        return;
    }
    if (s && s->kind == SYMBOL_REGISTERS && ptx_type_bytes(s->type) == 8) {
        in->wide |= 1u << in->operands;
    }
    in->r[in->operands++] = operand;
}

/* "[base]", "[base+offset]"; the bracket was taken. A variable's address is known here. */
static void read_address(struct reader *r, struct instruction *in)
{
    const struct symbol *s = NULL;
    const struct slice word = scan_next(&r->scan);
    uint64_t number = 0;
    const bool absolute = slice_number(word, &number);
    const int32_t operand = absolute ? PTX_NO_OPERAND : ptx_operand(r, word, 8, &s);
    if (scan_accept(&r->scan, "+")) {
        in->offset = (int64_t)scan_number(&r->scan);
    }
    scan_expect(&r->scan, "]");
    if (absolute) {
        in->offset += (int64_t)number;
    } else if (!s) {
        in->run = NULL;
    } else if (s->kind == SYMBOL_REGISTERS || s->open) {
        in->base = operand;
        in->base_wide = s->kind == SYMBOL_MEMORY || ptx_type_bytes(s->type) == 8;
    } else {
        in->offset += (int64_t)(s->address + (s->space == PTX_PARAM ? PTX_PARAM_BASE : 0));
        in->space =
            in->space == PTX_PARAM ? s->space : in->space; /* an argument of a call read here */
    }
}

static void read_group(struct reader *r, struct instruction *in, struct slice opcode)
{
    in->group_first = in->operands == 0;
    do {
        read_operand(r, in, opcode);
        in->group++;
    } while (scan_accept(&r->scan, ","));
    scan_expect(&r->scan, "}");
}

static void read_operands(struct reader *r, struct instruction *in, struct slice opcode)
{
    while (!scan_accept(&r->scan, ";")) {
        if (scan_accept(&r->scan, "[")) {
            read_address(r, in);
        } else if (scan_accept(&r->scan, "{")) {
            read_group(r, in, opcode);
        } else {
            if (scan_accept(&r->scan, "!")) {
                in->inverted |= 1u << in->operands;
            }
            read_operand(r, in, opcode);
        }
        if (!scan_accept(&r->scan, ",")) {
            scan_accept(&r->scan, "|");
        }
    }
}

static void read_predicate(struct reader *r, struct instruction *in)
{
    if (scan_accept(&r->scan, "@")) {
        in->predicate_not = scan_accept(&r->scan, "!");
        in->predicate = ptx_operand(r, scan_next(&r->scan), 4, NULL);
    }
}

/* bra LABEL; and brx.idx %r, LABEL; */
static void read_branch(struct reader *r, struct instruction *in)
{
    if (in->flow == FLOW_TABLE) {
        read_operand(r, in, (struct slice){"", 0});
        scan_expect(&r->scan, ",");
    }
    const struct slice label = scan_next(&r->scan);
    scan_expect(&r->scan, ";");
    ptx_add_fixup(r, (struct fixup){.name = label, .instruction = r->kernel->count - 1});
}

void ptx_read_instruction(struct reader *r)
{
    const char *start = scan_peek(&r->scan).p;
    const char *end = strchr(start, ';');
    if (!end) {
        sim_unfit("PTX: no ';' after '%.40s'", start);
    }
    struct instruction *in = ptx_new_instruction(r, start, end);
    read_predicate(r, in);
    const struct slice opcode = read_mnemonic(r, in);
    if (!in->run) {
        r->scan.at = end + 1;
    } else if (in->flow == FLOW_BRANCH || in->flow == FLOW_TABLE) {
        read_branch(r, in);
    } else if (in->flow == FLOW_EXIT && r->depth > 0) {
        in->flow = FLOW_BRANCH;
        scan_expect(&r->scan, ";");
        ptx_add_fixup(r,
                      (struct fixup){.name = slice_of("}"), .instruction = r->kernel->count - 1});
    } else {
        read_operands(r, in, opcode);
    }
    if (!in->run) {
        in->run = op_run_unsupported;
        r->kernel->unfit = true;
    }
}
