/*
 * mask_paste.c - see mask_paste.h. Column by column, as run lengths go: the two columns of cells
 * that a column of pixels lies between are blended once, and each pixel then blends two of those.
 */
#include "mask_paste.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

static const real threshold = (real)0.5;

/* A pixel's place between two cells: `cell` - 1 and `cell`, of which 0 and side + 1 are zeros that
 * frame the grid. */
struct tap {
    int cell;
    real part; /* of the second */
};

/* The pixels of an axis whose centres lie in the box, from first on. */
struct axis {
    int first, n;
    double from, cells; /* the box's side; cells in a pixel */
    int side;
};

static struct axis axis_make(double from, double to, int pixels, int side)
{
    struct axis a = {.from = from, .cells = side / (to - from), .side = side};
    const double first = fmax(ceil(from - 0.5), 0), last = fmin(floor(to - 0.5), pixels - 1);

    if (to > from && last >= first) { /* NaN: neither */
        a.first = (int)first;
        a.n = (int)last - a.first + 1;
    }
    return a;
}

static struct tap tap_of(const struct axis *a, int i)
{
    const double u = (a->first + i + 0.5 - a->from) * a->cells + 0.5;
    const double at = u > 0 ? u < a->side + 1 ? u : a->side + 1 : 0;
    const int cell = (int)at < a->side ? (int)at : a->side;

    return (struct tap){cell, (real)(at - cell)};
}

/* Number `at` of a framed row of cells, `step` numbers apart. */
static real framed(const real *cells, int at, int side, size_t step)
{
    return at > 0 && at <= side ? cells[(size_t)(at - 1) * step] : 0;
}

/* Column `t` of the grid, blended: framed[side + 2]. */
static void blend(const real *mask, int side, struct tap t, real *column)
{
    for (int y = 0; y < side; y++) {
        const real *row = mask + (size_t)y * (size_t)side;
        const real a = framed(row, t.cell, side, 1), b = framed(row, t.cell + 1, side, 1);
        column[y + 1] = a + (b - a) * t.part;
    }
}

/* Runs so far; `end` pixels are told. */
struct runs {
    unsigned *v;
    int n, cap;
    unsigned end;
};

static bool push(struct runs *r, unsigned n)
{
    if (!VEC_GROW(r->v, r->n, r->cap)) {
        return false;
    }
    r->v[r->n++] = n;
    return true;
}

/* Pixels from..to-1 are the object's: the run before goes on where it ended there. */
static bool add(struct runs *r, unsigned from, unsigned to)
{
    bool ok = true;

    if (r->n > 0 && from == r->end) {
        r->v[r->n - 1] += to - from;
    } else {
        ok = push(r, from - r->end) && push(r, to - from);
    }
    r->end = to;
    return ok;
}

/* One column of pixels, whose first in the box has number `at` of the picture. */
static bool add_column(struct runs *r, const real *column, const struct tap *tap, int n,
                       unsigned at)
{
    bool ok = true;

    for (int y = 0, from = -1; y <= n && ok; y++) {
        const real *c = y < n ? column + tap[y].cell : NULL;
        const bool in = c != NULL && c[0] + (c[1] - c[0]) * tap[y].part >= threshold;
        if (in && from < 0) {
            from = y;
        } else if (!in && from >= 0) {
            ok = add(r, at + (unsigned)from, at + (unsigned)y);
            from = -1;
        }
    }
    return ok;
}

static bool paste(const real *mask, const struct axis *ax, const struct axis *ay, int h,
                  struct runs *r)
{
    struct tap *tap = mem_alloc((size_t)ay->n + 1, sizeof *tap);
    real *column = mem_alloc((size_t)ay->side + 2, sizeof *column);
    bool ok = tap != NULL && column != NULL;

    for (int y = 0; ok && y < ay->n; y++) {
        tap[y] = tap_of(ay, y);
    }
    for (int x = 0; ok && x < ax->n; x++) {
        blend(mask, ax->side, tap_of(ax, x), column);
        ok = add_column(r, column, tap, ay->n,
                        (unsigned)(ax->first + x) * (unsigned)h + (unsigned)ay->first);
    }
    mem_free(tap);
    mem_free(column);
    return ok;
}

enum vov_status mask_paste(const real *mask, int side, const struct box *b, int h, int w,
                           struct rle *out, struct err *err)
{
    const struct axis ax = axis_make((double)b->x0, (double)b->x1, w, side);
    const struct axis ay = axis_make((double)b->y0, (double)b->y1, h, side);
    struct runs r = {0};

    if (h < 1 || w < 1 || h > RLE_MAX_SIDE || w > RLE_MAX_SIDE) {
        return err_set(err, VOV_EFORMAT, "a picture of %dx%d pixels: masks have sides of 1 to %d",
                       w, h, RLE_MAX_SIDE);
    }
    const unsigned pixels = (unsigned)h * (unsigned)w;
    bool ok = paste(mask, &ax, &ay, h, &r);
    if (ok && r.end < pixels) {
        ok = push(&r, pixels - r.end);
    }
    if (!ok) {
        mem_free(r.v);
        return err_nomem(err, ((size_t)r.cap + 1) * 2 * sizeof *r.v);
    }
    *out = (struct rle){h, w, r.v, r.n};
    return VOV_OK;
}
