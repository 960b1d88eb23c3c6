/*
 * table.c - see table.h.
 */
#include "table.h"

#include "base/mem.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

struct column {
    size_t width;
    bool numbers; /* every cell is one, or "-", or nothing */
};

void table_column(struct table *t, const char *head)
{
    buf_add(&t->cells, head, strlen(head) + 1);
    t->n_columns++;
    t->n_cells++;
}

void table_open(struct table *t, const char *heads)
{
    *t = (struct table){0};
    while (*heads != '\0') {
        const size_t n = strcspn(heads, ",");
        buf_add(&t->cells, heads, n);
        buf_add(&t->cells, "", 1);
        t->n_columns++;
        t->n_cells++;
        heads += n + (heads[n] == ',');
    }
}

void table_text(struct table *t, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    buf_add(&t->cells, text, strlen(text) + 1);
    t->n_cells++;
}

void table_real(struct table *t, int decimals, double v)
{
    if (isfinite(v)) {
        table_text(t, "%.*f", decimals, v);
    } else {
        table_text(t, "-");
    }
}

static bool is_number(const char *cell)
{
    return cell[0] == '\0' || strcmp(cell, "-") == 0 ||
           isdigit((unsigned char)cell[cell[0] == '-' ? 1 : 0]);
}

static void measure(const struct table *t, struct column *column)
{
    const char *cell = t->cells.p;
    for (int i = 0; i < t->n_cells; i++, cell += strlen(cell) + 1) {
        struct column *c = &column[i % t->n_columns];
        const size_t n = strlen(cell);
        c->width = n > c->width ? n : c->width;
        c->numbers = i < t->n_columns || (c->numbers && is_number(cell));
    }
    for (int i = 0; i < t->n_columns; i++) {
        column[i].width = column[i].width > 3 ? column[i].width : 3;
    }
}

/* |---|---:| */
static void put_rule(const struct table *t, const struct column *column, struct buf *b)
{
    for (int i = 0; i < t->n_columns; i++) {
        buf_puts(b, "|");
        for (size_t k = 0; k < column[i].width + 1; k++) {
            buf_puts(b, "-");
        }
        buf_puts(b, column[i].numbers ? ":" : "-");
    }
    buf_puts(b, "|\n");
}

static void put_lines(const struct table *t, const struct column *column, struct buf *b)
{
    const char *cell = t->cells.p;
    for (int i = 0; i < t->n_cells; i++, cell += strlen(cell) + 1) {
        const struct column *c = &column[i % t->n_columns];
        const int width = c->numbers ? (int)c->width : -(int)c->width;
        buf_printf(b, "| %*s ", width, cell);
        if (i % t->n_columns == t->n_columns - 1) {
            buf_puts(b, "|\n");
        }
        if (i == t->n_columns - 1) {
            put_rule(t, column, b);
        }
    }
    buf_puts(b, "\n");
}

void table_close(struct table *t, struct buf *b)
{
    struct column *column = mem_alloc((size_t)t->n_columns, sizeof *column);
    if (column == NULL || t->cells.failed) {
        b->failed = true;
    } else if (t->n_cells > t->n_columns) {
        measure(t, column);
        put_lines(t, column, b);
    }
    mem_free(column);
    buf_free(&t->cells);
    *t = (struct table){0};
}
