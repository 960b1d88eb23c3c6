/*
 * ptx_impl.h - the inside of the PTX reader, for the ptx_*.c files.
 */
#ifndef VOV_TESTS_CUDASIM_PTX_IMPL_H
#define VOV_TESTS_CUDASIM_PTX_IMPL_H

#include "ptx.h"
#include "ptx_scan.h"

/* ".align 4 .b8 name[32]" */
struct declaration {
    struct slice name;
    enum ptx_type type;
    uint32_t align;
    uint64_t bytes;
    bool open; /* name[]: the size is given at the launch */
};

/* A name in a scope: a run of registers, or a place in memory. */
enum symbol_kind { SYMBOL_REGISTERS, SYMBOL_MEMORY };
struct symbol {
    struct slice name;
    enum symbol_kind kind;
    enum ptx_type type;   /* of the registers */
    int32_t first;        /* register */
    uint64_t count;       /* of numbered registers: %r<11>; 0: the name stands alone */
    enum ptx_space space; /* of the memory */
    uint64_t address;     /* generic; of PTX_PARAM: the offset */
    uint64_t bytes;
    uint32_t align;
    bool open;
};

/* A function that kernels call. */
struct function {
    struct slice name;
    struct declaration *params; /* the results first */
    size_t param_count, result_count;
    const char *body; /* after the opening brace; NULL: only declared */
};

struct ptx_module {
    char *text; /* slices point into it */
    struct ptx_module *next;
    struct kernel *kernels;
    struct symbol *variables;
    size_t variable_count;
    struct function *functions;
    size_t function_count;
    char **files; /* by their number in .file */
    size_t file_count;
    struct location *locations;
    size_t location_count;
};

struct label {
    struct slice name;
    uint32_t at;
};

/* A branch, or one entry of a table, whose label is not known yet. */
struct fixup {
    struct slice name;
    uint32_t *target;
    size_t instruction, table, entry;
    bool in_table;
};

#define READER_DEPTH 16 /* calls within calls */

/* The state of reading one kernel. */
struct reader {
    struct ptx_module *module;
    struct kernel *kernel;
    struct scanner scan;
    struct symbol *symbols;           /* a stack: inner scopes come last */
    size_t symbol_count, symbol_base; /* names below the base belong to the caller */
    struct symbol *shared;            /* variables of the module that this kernel has a place for */
    size_t shared_count;
    struct label *labels;
    size_t label_count, label_base;
    struct fixup *fixups;
    size_t fixup_count, fixup_base;
    int depth;
    const struct function *active[READER_DEPTH]; /* being read, from the outermost on */
    uint32_t location;
    int32_t
        dynamic[2]; /* constants that hold the start of dynamic shared memory, in 4 and 8 bytes */
};

/* ptx_module.c */
enum ptx_type ptx_type_named(struct slice name);
struct declaration ptx_read_declaration(struct scanner *s);
bool ptx_skip_directive(struct ptx_module *m, struct scanner *s, uint32_t *location);
const struct symbol *ptx_find_symbol(const struct symbol *symbols, size_t count, struct slice name);

/* ptx_kernel.c: names, places and constants while a kernel is read. */
struct symbol *ptx_add_symbol(struct reader *r, struct slice name, enum symbol_kind kind);
int32_t ptx_new_register(struct reader *r);
int32_t ptx_constant(struct reader *r, uint64_t value, size_t bytes);

/* The operand that a word stands for, `bytes` (4 or 8) wide where that matters; PTX_NO_OPERAND: the
 * word means nothing. *found, which may be NULL, is the symbol if it is one.
 */
int32_t ptx_operand(struct reader *r, struct slice word, size_t bytes, const struct symbol **found);
struct instruction *ptx_new_instruction(struct reader *r, const char *start, const char *end);
void ptx_add_fixup(struct reader *r, struct fixup fixup);

/* ptx_instruction.c: reads one instruction, its semicolon included. */
void ptx_read_instruction(struct reader *r);

/* ptx_body.c: reads statements up to and with the closing brace. */
void ptx_read_body(struct reader *r);

#endif
