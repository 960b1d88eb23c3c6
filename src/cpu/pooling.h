/*
 * pooling.h - what max pooling, average pooling and resizing share: planes over the threads, a
 * chunk being one plane, or some when planes are small, and rows of windows.
 */
#ifndef VOV_CPU_POOLING_H
#define VOV_CPU_POOLING_H

#include "cpu.h"
#include "span.h"

/* COLUMNS: of an output row that are worked on together. LINE: numbers of an input row, enough for
 * eight of the largest windows. */
enum { COLUMNS = 256, LINE = 9 * MAXPOOL_MOST + 16 };

struct pooling {
    const struct cpu *cpu;
    const struct pool_desc *d;
    struct view x, y, argmax; /* or their gradients */
    real beta;
    bool bilinear, sums; /* sums: average pooling does not divide */
    void (*plane)(const struct pooling *j, int n, int c);
    int chunks;
};

/* Calls j->plane for every plane of x. */
void pooling_run(struct backend *be, struct pooling *j);

/* Rows or columns of a window, clipped to the picture: half open, maybe empty. */
static inline struct span pooling_window(const struct pool_desc *d, int i, int size)
{
    const int64_t from = (int64_t)i * d->stride - d->pad, to = from + d->size;

    return (struct span){from < 0      ? 0
                         : from > size ? size
                                       : (int)from,
                         to < 0      ? 0
                         : to > size ? size
                                     : (int)to};
}

/* How many of an output row's windows, beginning with number q, fit into a line: some eights, or
 * all that are left. */
static inline int pooling_columns(const struct pooling *j, int q)
{
    const int room = (LINE - j->d->size - 16) / j->d->stride / 8 * 8;
    const int columns = room < COLUMNS ? room : COLUMNS;

    return j->y.w - q < columns ? j->y.w - q : columns;
}

/* The part of an input row that `n` windows, beginning with number q, look at, and what a kernel
 * that works on eights of them may read. */
struct line_part {
    int first, length; /* columns; may lie outside the picture */
    struct span in;    /* those inside */
};
struct line_part pooling_part(const struct pooling *j, int q, int n);

/* The line's numbers: the row's, `outside` where there are none. */
void pooling_fill(const struct line_part *part, const real *row, real outside, real *line);

/* x's plane is 0, unless gradients add to it. */
void pooling_clear(const struct pooling *j, real *x);

/* small = beta*small + the sums of big's windows, and big = beta*big + small's numbers all over
 * their windows: average pooling without the division. d's window and stride are at most
 * MAXPOOL_MOST. */
void pooling_sum(struct backend *be, const struct pool_desc *d, struct view big, real beta,
                 struct view small);
void pooling_repeat(struct backend *be, const struct pool_desc *d, struct view small, real beta,
                    struct view big);

#endif
