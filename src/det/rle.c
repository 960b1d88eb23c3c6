/*
 * rle.c - run-length masks: checks, the string, areas, overlaps, unions. Operations on two masks
 * walk both run lists at once, piece by piece (struct walk).
 */
#include "rle.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

void rle_free(struct rle *m)
{
    mem_free(m->run);
    *m = (struct rle){0};
}

static enum vov_status check_size(int h, int w, struct err *err)
{
    if (h < 1 || w < 1 || h > RLE_MAX_SIDE || w > RLE_MAX_SIDE) {
        return err_set(err, VOV_EFORMAT, "a mask of %dx%d pixels: sides are 1 to %d", w, h,
                       RLE_MAX_SIDE);
    }
    return VOV_OK;
}

static enum vov_status check_sum(unsigned long long sum, int h, int w, struct err *err)
{
    const unsigned long long pixels = (unsigned long long)h * (unsigned long long)w;

    if (sum != pixels) {
        return err_set(err, VOV_EFORMAT, "the runs of a %dx%d mask add up to %llu, not %llu", w, h,
                       sum, pixels);
    }
    return VOV_OK;
}

enum vov_status rle_from_runs(const unsigned *run, int n, int h, int w, struct rle *m,
                              struct err *err)
{
    unsigned long long sum = 0;

    TRY(check_size(h, w, err));
    for (int i = 0; i < n; i++) {
        sum += run[i];
    }
    TRY(check_sum(sum, h, w, err));
    *m = (struct rle){h, w, mem_alloc((size_t)n, sizeof *run), n};
    if (!m->run) {
        return err_nomem(err, (size_t)n * sizeof *run);
    }
    memcpy(m->run, run, (size_t)n * sizeof *run);
    return VOV_OK;
}

/*
 * One number of the string: groups of five bits, low ones first, each a character from '0' on whose
 * sixth bit says that more follow; the last group's top bit is the sign. Returns how many
 * characters it took, 0 when it is none.
 */
static size_t read_number(const char *s, size_t n, long long *out)
{
    enum { MAX_GROUPS = 8 };
    unsigned long long v = 0;

    for (size_t i = 0; i < n && i < MAX_GROUPS; i++) {
        const int c = s[i] - '0';
        if (c < 0 || c > 63) {
            return 0;
        }
        v |= (unsigned long long)(c & 31) << (5 * i);
        if (!(c & 32)) {
            const unsigned long long sign = 1ull << (5 * i + 4);
            *out = c & 16 ? (long long)v - (long long)(sign << 1) : (long long)v;
            return i + 1;
        }
    }
    return 0;
}

/* Fills run[]; *n becomes their number. */
static enum vov_status read_runs(const char *s, size_t length, unsigned long long pixels,
                                 unsigned *run, int *n, struct err *err)
{
    unsigned long long sum = 0;

    *n = 0;
    for (size_t at = 0; at < length;) {
        long long v = 0;
        const size_t used = read_number(s + at, length - at, &v);

        if (used == 0) {
            return err_set(err, VOV_EFORMAT, "damaged run lengths at character %zu of %zu", at + 1,
                           length);
        }
        /* From the fourth run on, numbers are differences to the run two before. */
        v += *n > 2 ? (long long)run[*n - 2] : 0;
        if (v < 0 || sum + (unsigned long long)v > pixels) {
            return err_set(err, VOV_EFORMAT, "run %d of a mask is %lld, of %llu pixels in all",
                           *n + 1, v, pixels);
        }
        run[(*n)++] = (unsigned)v;
        sum += (unsigned long long)v;
        at += used;
    }
    return VOV_OK;
}

enum vov_status rle_from_string(const char *s, size_t n, int h, int w, struct rle *m,
                                struct err *err)
{
    enum { MAX_STRING = 1 << 28 };
    unsigned long long sum = 0;

    *m = (struct rle){h, w, NULL, 0};
    TRY(check_size(h, w, err));
    if (n > MAX_STRING) {
        return err_set(err, VOV_EFORMAT, "%zu characters of run lengths are too many", n);
    }
    m->run = mem_alloc(n + 1, sizeof *m->run);
    if (!m->run) {
        return err_nomem(err, (n + 1) * sizeof *m->run);
    }
    enum vov_status status =
        read_runs(s, n, (unsigned long long)h * (unsigned long long)w, m->run, &m->n, err);
    for (int i = 0; i < m->n; i++) {
        sum += m->run[i];
    }
    status = status == VOV_OK ? check_sum(sum, h, w, err) : status;
    if (status != VOV_OK) {
        rle_free(m);
        return status;
    }
    unsigned *fit = mem_resize(m->run, (size_t)m->n, sizeof *fit);
    m->run = fit ? fit : m->run;
    return VOV_OK;
}

static void put_number(struct buf *out, long long v)
{
    for (bool more = true; more;) {
        int c = (int)(v & 31);
        v = v >= 0 ? v / 32 : -((31 - v) / 32); /* rounds down, as the bits do */
        more = c & 16 ? v != -1 : v != 0;
        const char ch = (char)((more ? c | 32 : c) + '0');
        buf_add(out, &ch, 1);
    }
}

void rle_to_string(const struct rle *m, struct buf *out)
{
    for (int i = 0; i < m->n; i++) {
        put_number(out, (long long)m->run[i] - (i > 2 ? (long long)m->run[i - 2] : 0));
    }
}

double rle_area(const struct rle *m)
{
    double sum = 0;

    for (int i = 1; i < m->n; i += 2) {
        sum += m->run[i];
    }
    return sum;
}

void rle_box(const struct rle *m, double xywh[4])
{
    const unsigned h = (unsigned)m->h;
    unsigned x0 = (unsigned)m->w, y0 = h, x1 = 0, y1 = 0, at = 0;

    for (int i = 0; i < m->n; at += m->run[i], i++) {
        if (i % 2 == 0 || m->run[i] == 0) {
            continue;
        }
        const unsigned last = at + m->run[i] - 1;
        const bool one_column = at / h == last / h;
        const unsigned top = one_column ? at % h : 0, bottom = one_column ? last % h : h - 1;

        x0 = at / h < x0 ? at / h : x0;
        x1 = last / h > x1 ? last / h : x1;
        y0 = top < y0 ? top : y0;
        y1 = bottom > y1 ? bottom : y1;
    }
    const bool empty = x0 == (unsigned)m->w;
    xywh[0] = empty ? 0 : x0;
    xywh[1] = empty ? 0 : y0;
    xywh[2] = empty ? 0 : x1 - x0 + 1;
    xywh[3] = empty ? 0 : y1 - y0 + 1;
}

void rle_spread(const struct rle *m, const int rect[4], uint8_t *out)
{
    const int w = rect[2], h = rect[3];
    unsigned at = 0;

    memset(out, 0, (size_t)w * (size_t)h);
    for (int i = 0; i < m->n; at += m->run[i], i++) {
        for (unsigned p = at; i % 2 == 1 && p < at + m->run[i]; p++) {
            const int x = (int)(p / (unsigned)m->h) - rect[0];
            const int y = (int)(p % (unsigned)m->h) - rect[1];
            if (x >= 0 && x < w && y >= 0 && y < h) {
                out[(size_t)y * (size_t)w + (size_t)x] = 1;
            }
        }
    }
}

/* Two masks cut into pieces in which neither changes. */
struct walk {
    const struct rle *m[2];
    int i[2];         /* current run of each */
    unsigned left[2]; /* of it */
};

static void skip_empty(struct walk *k, int side)
{
    while (k->left[side] == 0 && k->i[side] + 1 < k->m[side]->n) {
        k->left[side] = k->m[side]->run[++k->i[side]];
    }
}

static struct walk walk_start(const struct rle *a, const struct rle *b)
{
    struct walk k = {{a, b}, {0, 0}, {a->n ? a->run[0] : 0, b->n ? b->run[0] : 0}};

    skip_empty(&k, 0);
    skip_empty(&k, 1);
    return k;
}

/* The next piece's length, 0 at the end, and what each mask is there. */
static unsigned walk_next(struct walk *k, bool in[2])
{
    const unsigned n = k->left[0] < k->left[1] ? k->left[0] : k->left[1];

    for (int side = 0; side < 2; side++) {
        in[side] = k->i[side] % 2 != 0;
        k->left[side] -= n;
        skip_empty(k, side);
    }
    return n;
}

double rle_iou(const struct rle *a, const struct rle *b, bool crowd)
{
    struct walk k = walk_start(a, b);
    double both = 0, any = 0;
    bool in[2];

    for (unsigned n = walk_next(&k, in); n > 0; n = walk_next(&k, in)) {
        both += in[0] && in[1] ? n : 0;
        any += in[0] || in[1] ? n : 0;
    }
    if (both <= 0) {
        return 0;
    }
    return both / (crowd ? rle_area(a) : any);
}

/* Runs take turns, zeros first: a piece of the same kind as the last run makes that longer. */
static void add_piece(struct rle *m, unsigned n, bool value)
{
    if (m->n == 0 && value) {
        m->run[m->n++] = 0;
    }
    if ((m->n % 2 != 0) == value) {
        m->run[m->n++] = n;
    } else {
        m->run[m->n - 1] += n;
    }
}

static enum vov_status merge_two(const struct rle *a, const struct rle *b, bool intersect,
                                 struct rle *out, struct err *err)
{
    const size_t most = (size_t)a->n + (size_t)b->n + 1;
    struct walk k = walk_start(a, b);
    bool in[2];

    *out = (struct rle){a->h, a->w, mem_alloc(most, sizeof *out->run), 0};
    if (!out->run) {
        return err_nomem(err, most * sizeof *out->run);
    }
    for (unsigned n = walk_next(&k, in); n > 0; n = walk_next(&k, in)) {
        add_piece(out, n, intersect ? in[0] && in[1] : in[0] || in[1]);
    }
    return VOV_OK;
}

enum vov_status rle_merge(const struct rle *masks, int k, bool intersect, struct rle *out,
                          struct err *err)
{
    struct rle sum;

    TRY(merge_two(&masks[0], &masks[0], intersect, &sum, err));
    for (int i = 1; i < k; i++) {
        struct rle next;
        const enum vov_status status = merge_two(&sum, &masks[i], intersect, &next, err);
        rle_free(&sum);
        TRY(status);
        sum = next;
    }
    *out = sum;
    return VOV_OK;
}

double box_iou_xywh(const double a[4], const double b[4], bool crowd)
{
    const double w = fmin(a[0] + a[2], b[0] + b[2]) - fmax(a[0], b[0]);
    const double h = fmin(a[1] + a[3], b[1] + b[3]) - fmax(a[1], b[1]);

    if (!(w > 0 && h > 0)) {
        return 0;
    }
    const double both = w * h;
    return both / (crowd ? a[2] * a[3] : a[2] * a[3] + b[2] * b[3] - both);
}
