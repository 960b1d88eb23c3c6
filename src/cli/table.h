/*
 * table.h - Markdown tables whose columns stand under each other: columns of numbers to the right,
 * others to the left.
 */
#ifndef VOV_CLI_TABLE_H
#define VOV_CLI_TABLE_H

#include "base/buf.h"

struct table {
    struct buf cells; /* texts, each ended by a NUL, the heads first */
    int n_columns, n_cells;
};

void table_open(struct table *t, const char *heads);  /* "config,runs,p50 ms" */
void table_column(struct table *t, const char *head); /* one more, before the first cell */

/* The next cell, from left to right, line after line. */
void table_text(struct table *t, const char *fmt, ...) VOV_PRINTF(2, 3);
void table_real(struct table *t, int decimals, double v); /* "-" where it is not finite */

/* Appends the table and an empty line; nothing where it has no lines. No memory: b->failed. */
void table_close(struct table *t, struct buf *b);

#endif
