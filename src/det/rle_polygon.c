/*
 * rle_polygon.c - polygons to masks with the pixels that COCO's tools give. Their rule: corners are
 * rounded to a grid of fifths of a pixel; each edge is walked in steps of that grid, along its
 * longer side, the other coordinate rounded; where the walk passes the middle of a pixel column,
 * the column's fill changes from the row of the higher of the two steps on. A mask is then the runs
 * between those changes, in column order.
 *
 * Here the walk is not made: the step at which an edge passes a column follows from the edge, by
 * division where x is the longer side and by bisection where y is. So an edge costs its columns,
 * however far its ends lie outside.
 */
#include "base/mem.h"
#include "rle.h"

#include <math.h>
#include <stdlib.h>

enum { FINE = 5, MIDDLE = 2 }; /* grid steps of a pixel; a column's middle is between 2 and 3 */

/* An edge from the end with the smaller coordinate of its longer side. Positions in grid steps. */
struct edge {
    long long x, y;   /* of that end */
    long long dx, dy; /* one of them may be negative: the shorter side's */
    bool flat;        /* x is the longer side */
    double slope;
};

struct changes {
    unsigned *at; /* column * h + row */
    int n, cap;
    int h, w;
};

/* The grid step nearest to v; towards 0 where v is negative, which no picture shows. */
static long long fine(double v)
{
    return (long long)(FINE * v + 0.5);
}

static struct edge edge_make(long long xa, long long ya, long long xb, long long yb)
{
    const long long dx = llabs(xb - xa), dy = llabs(yb - ya);
    const bool flat = dx >= dy;
    const bool flip = flat ? xa > xb : ya > yb;
    struct edge e = {flip ? xb : xa,           flip ? yb : ya, flip ? xa - xb : xb - xa,
                     flip ? ya - yb : yb - ya, flat,           0};

    if (dx > 0 || dy > 0) {
        e.slope = flat ? (double)e.dy / (double)dx : (double)e.dx / (double)dy;
    }
    return e;
}

/* The rounded shorter coordinate at step t. */
static long long edge_at(const struct edge *e, long long t)
{
    return (long long)((double)(e->flat ? e->y : e->x) + e->slope * (double)t + 0.5);
}

/* The first step t of a steep edge that lies right of x (slope > 0), or at most at x (< 0). */
static long long edge_pass(const struct edge *e, int x)
{
    long long lo = 0, hi = e->dy;

    while (lo < hi) {
        const long long mid = lo + (hi - lo) / 2;
        const bool passed = e->slope > 0 ? edge_at(e, mid) > x : edge_at(e, mid) <= x;
        if (passed) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

/* Grid row v to the first row of pixels whose fill changes. */
static unsigned row_of(long long v, int h)
{
    const double y = ((double)v + 0.5) / FINE - 0.5;

    return (unsigned)ceil(y < 0 ? 0 : y > h ? h : y);
}

static bool add_change(struct changes *c, int column, long long v)
{
    if (!VEC_GROW(c->at, c->n, c->cap)) {
        return false;
    }
    c->at[c->n++] = (unsigned)column * (unsigned)c->h + row_of(v, c->h);
    return true;
}

static bool add_flat(struct changes *c, const struct edge *e, int column)
{
    const long long t = column * FINE + MIDDLE - e->x;
    const long long v0 = edge_at(e, t), v1 = edge_at(e, t + 1);

    return add_change(c, column, v0 < v1 ? v0 : v1);
}

static bool add_steep(struct changes *c, const struct edge *e, int column)
{
    return add_change(c, column, e->y + edge_pass(e, column * FINE + MIDDLE) - 1);
}

/* Rounds towards minus infinity. */
static long long floor_div(long long a, long long b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* All columns whose middle lies between two steps of the edge. */
static bool add_edge(struct changes *c, const struct edge *e)
{
    const long long from = e->flat ? e->x : edge_at(e, 0);
    const long long to = e->flat ? e->x + e->dx : edge_at(e, e->dy);
    const long long lo = from < to ? from : to, hi = from < to ? to : from;
    long long first = -floor_div(MIDDLE - lo, FINE), last = floor_div(hi - MIDDLE - 1, FINE);
    bool ok = true;

    first = first < 0 ? 0 : first;
    last = last > c->w - 1 ? c->w - 1 : last;
    for (long long column = first; ok && column <= last; column++) {
        ok = e->flat ? add_flat(c, e, (int)column) : add_steep(c, e, (int)column);
    }
    return ok;
}

static int compare(const void *va, const void *vb)
{
    const unsigned a = *(const unsigned *)va, b = *(const unsigned *)vb;

    return (a > b) - (a < b);
}

/* Sorted changes to runs: two at one place cancel out. */
static enum vov_status make_runs(struct changes *c, struct rle *m, struct err *err)
{
    const unsigned pixels = (unsigned)c->h * (unsigned)c->w;
    unsigned last = 0;

    if (c->n > 0) {
        qsort(c->at, (size_t)c->n, sizeof *c->at, compare);
    }
    *m = (struct rle){c->h, c->w, mem_alloc((size_t)c->n + 1, sizeof *m->run), 0};
    if (!m->run) {
        return err_nomem(err, ((size_t)c->n + 1) * sizeof *m->run);
    }
    for (int i = 0; i <= c->n; i++) {
        const unsigned at = i < c->n ? c->at[i] : pixels;
        if (i > 0 && at == last) {
            continue;
        }
        if (m->n % 2 == i % 2) {
            m->run[m->n++] = at - last;
        } else {
            m->run[m->n - 1] += at - last;
        }
        last = at;
    }
    return VOV_OK;
}

enum vov_status rle_from_polygon(const double *xy, int n, int h, int w, struct rle *m,
                                 struct err *err)
{
    struct changes c = {.h = h, .w = w};
    bool ok = true;

    if (n < 6 || n % 2 != 0) {
        return err_set(err, VOV_EFORMAT,
                       "a polygon of %d numbers: x and y of three or more points are needed", n);
    }
    if (h < 1 || w < 1 || h > RLE_MAX_SIDE || w > RLE_MAX_SIDE) {
        return err_set(err, VOV_EFORMAT, "a mask of %dx%d pixels: sides are 1 to %d", w, h,
                       RLE_MAX_SIDE);
    }
    for (int i = 0; i < n; i++) {
        if (!(fabs(xy[i]) <= rle_farthest)) {
            return err_set(err, VOV_EFORMAT, "a polygon's coordinate %g is out of range", xy[i]);
        }
    }
    for (int i = 0; ok && i < n; i += 2) {
        const double *a = xy + i, *b = i + 2 < n ? a + 2 : xy;
        const struct edge e = edge_make(fine(a[0]), fine(a[1]), fine(b[0]), fine(b[1]));
        ok = add_edge(&c, &e);
    }
    const enum vov_status status =
        ok ? make_runs(&c, m, err) : err_nomem(err, (size_t)c.cap * 2 * sizeof *c.at);
    mem_free(c.at);
    return status;
}
