/*
 * mask_grid.c - see mask_grid.h. Either kind of mask is cut into upright strips, and each strip
 * adds the area that it shares with every cell. A run of a run-length mask is a strip one pixel
 * wide, and so is measured exactly. A polygon is looked at along several lines in each column of
 * cells: inside by the even-odd rule, as COCO's tools fill them, and of several polygons the union.
 */
#include "mask_grid.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 4 }; /* of a polygon in each column of cells */

struct grid {
    real *cell; /* [side, side] */
    int side;
    bool mirror;
    double x0, y0, per_x, per_y; /* its corner in the picture; cells in a pixel */
};

struct span {
    double from, to;
};

static double clamp(double v, double hi)
{
    return v > 0 ? v < hi ? v : hi : 0; /* NaN: 0 */
}

static double overlap(int cell, double from, double to)
{
    return fmin(cell + 1, to) - fmax(cell, from);
}

/* The strip from u0 to u1 across, v0 to v1 down, in cells. */
static void add_strip(const struct grid *g, double u0, double u1, double v0, double v1)
{
    u0 = clamp(u0, g->side);
    u1 = clamp(u1, g->side);
    v0 = clamp(v0, g->side);
    v1 = clamp(v1, g->side);
    for (int x = (int)u0; x < u1; x++) {
        const double wide = overlap(x, u0, u1);
        real *column = g->cell + (g->mirror ? g->side - 1 - x : x);
        for (int y = (int)v0; y < v1; y++) {
            column[(ptrdiff_t)y * g->side] += (real)(wide * overlap(y, v0, v1));
        }
    }
}

static void add_runs(const struct grid *g, const struct seg *seg)
{
    const size_t h = (size_t)seg->height;
    size_t at = 0;

    for (int i = 0; i < seg->n_rle; i++) {
        const size_t end = at + seg->rle[i];
        while (i % 2 == 1 && at < end) {
            const size_t x = at / h, y = at % h;
            const size_t n = end - at < h - y ? end - at : h - y;
            const double u = ((double)x - g->x0) * g->per_x, v = ((double)y - g->y0) * g->per_y;
            add_strip(g, u, u + g->per_x, v, v + (double)n * g->per_y);
            at += n;
        }
        at = end;
    }
}

static int by_value(const void *va, const void *vb)
{
    const double a = *(const double *)va, b = *(const double *)vb;

    return (a > b) - (a < b);
}

static int by_start(const void *va, const void *vb)
{
    const struct span *a = va, *b = vb;

    return (a->from > b->from) - (a->from < b->from);
}

/* Where the polygon's edges cross the line at x, in rising order: y in pixels. Returns how many,
 * which is even. */
static int find_crossings(const double *xy, int n, double x, double *y)
{
    int found = 0;

    for (int i = 0; i < n; i += 2) {
        const double *a = xy + i, *b = i + 2 < n ? a + 2 : xy;
        if ((a[0] <= x) != (b[0] <= x)) {
            const double v = a[1] + (x - a[0]) / (b[0] - a[0]) * (b[1] - a[1]);
            y[found++] = isfinite(v) ? v : 0; /* of coordinates near the end of numbers */
        }
    }
    qsort(y, (size_t)found, sizeof *y, by_value);
    return found;
}

/* Room for what one line can meet. */
struct scratch {
    double *crossing;
    struct span *span;
};

/* The parts of the line at x that are inside of any polygon: spans in rising order. */
static int find_spans(const struct seg *seg, double x, struct scratch *s)
{
    int n = 0;

    for (int p = 0; p < seg->n_poly; p++) {
        const int found = find_crossings(seg->poly[p], seg->poly_len[p], x, s->crossing);
        for (int i = 0; i + 1 < found; i += 2) {
            s->span[n++] = (struct span){s->crossing[i], s->crossing[i + 1]};
        }
    }
    qsort(s->span, (size_t)n, sizeof *s->span, by_start);
    return n;
}

static void add_line(const struct grid *g, const struct seg *seg, int line, struct scratch *s)
{
    const double u = (double)line / LINES;
    const int n = find_spans(seg, g->x0 + (u + 0.5 / LINES) / g->per_x, s);
    double end = (double)-INFINITY;

    for (int i = 0; i < n; i++) { /* what an earlier span has covered counts once */
        const double from = fmax(s->span[i].from, end), to = s->span[i].to;
        if (to > from) {
            add_strip(g, u, u + 1.0 / LINES, (from - g->y0) * g->per_y, (to - g->y0) * g->per_y);
            end = to;
        }
    }
}

static enum vov_status add_polygons(const struct grid *g, const struct seg *seg, struct err *err)
{
    size_t points = 1;

    for (int p = 0; p < seg->n_poly; p++) {
        points += (size_t)seg->poly_len[p] / 2;
    }
    struct scratch s = {mem_alloc(points, sizeof *s.crossing), mem_alloc(points, sizeof *s.span)};
    const bool ok = s.crossing != NULL && s.span != NULL;
    for (int line = 0; ok && line < g->side * LINES; line++) {
        add_line(g, seg, line, &s);
    }
    mem_free(s.crossing);
    mem_free(s.span);
    return ok ? VOV_OK : err_nomem(err, points * sizeof *s.span);
}

enum vov_status mask_grid(const struct seg *seg, const struct box *part, bool mirror, int side,
                          real *out, struct err *err)
{
    const size_t n = (size_t)side * (size_t)side;
    const struct grid g = {out,
                           side,
                           mirror,
                           (double)part->x0,
                           (double)part->y0,
                           side / (double)(part->x1 - part->x0),
                           side / (double)(part->y1 - part->y0)};
    enum vov_status status = VOV_OK;

    memset(out, 0, n * sizeof *out);
    if (seg != NULL && seg->rle != NULL) {
        add_runs(&g, seg);
    } else if (seg != NULL) {
        status = add_polygons(&g, seg, err);
    }
    for (size_t i = 0; i < n; i++) { /* sums may pass 1 by their rounding */
        out[i] = seg == NULL || out[i] > 1 ? 1 : out[i];
    }
    return status;
}
