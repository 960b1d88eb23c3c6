/*
 * op.c - finds the function of an instruction, and those that are in no table.
 */
#include "op.h"

#include "exec.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
    const struct op_row *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* All tables as one, in the order of the keys. */
static const struct op_row *all_rows(size_t *count)
{
    static const struct op_row *const tables[] = {op_integer_rows, op_bits_rows,    op_float_rows,
                                                  op_half_rows,    op_compare_rows, op_move_rows,
                                                  op_memory_rows,  op_atomic_rows,  op_warp_rows};
    static struct op_row *rows;
    static size_t n;
    if (!rows) {
        for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
            for (const struct op_row *r = tables[t]; r->key; r++) {
                rows = sim_grow(rows, n, sizeof *rows);
                rows[n++] = *r;
            }
        }
        qsort(rows, n, sizeof *rows, by_key);
    }
    *count = n;
    return rows;
}

op_run *op_find(const char *key)
{
    size_t count;
    const struct op_row wanted = {key, NULL};
    const struct op_row *rows = all_rows(&count);
    const struct op_row *row = bsearch(&wanted, rows, count, sizeof *rows, by_key);
    return row ? row->run : NULL;
}

void op_run_nothing(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    (void)w;
    (void)in;
    (void)lanes;
}

void op_run_unsupported(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    exec_report(w, in, exec_first(lanes), EXEC_OTHER, "the simulator does not know '%s'", in->text);
    w->live &= ~lanes;
}

void op_run_assert(struct warp *w, const struct instruction *in, uint32_t lanes)
{
    exec_report(w, in, exec_first(lanes), EXEC_OTHER, "assertion failed");
    w->live &= ~lanes;
}
