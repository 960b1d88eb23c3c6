/*
 * pack.c - the taps and pixels of a resampling, laid out one behind the other.
 */
#include "pack.h"

#include "resample_rows.h"

#include <string.h>

enum { LINE = 64 };

/* Takes so many bytes of a block; returns where they begin. */
static size_t take(size_t *at, size_t bytes)
{
    const size_t begin = *at;

    *at += (bytes + LINE - 1) / LINE * LINE;
    return begin;
}

static size_t planes_at(void)
{
    size_t at = 0;

    take(&at, sizeof(struct picture));
    return at;
}

static size_t planes_bytes(const struct pixels *px)
{
    return 3 * (size_t)px->width * (size_t)px->height * sizeof(real);
}

size_t picture_room(const struct pixels *px)
{
    size_t at = planes_at();

    take(&at, planes_bytes(px));
    return at;
}

real *picture_planes(struct picture *p)
{
    return (real *)(void *)((char *)p + planes_at());
}

void picture_hold_planes(struct picture *p, const struct pixels *px)
{
    *p = (struct picture){
        .planes = planes_at(), .bytes = planes_at() + planes_bytes(px), .room = picture_room(px)};
}

/* The source rows that n outputs read: first to last. */
static void find_rows(const struct taps *t, int n, int *first, int *last)
{
    *first = *last = t->pos[0];
    for (int k = 0; k < t->each; k++) {
        for (int i = 0; i < n; i++) {
            const int at = t->pos[(size_t)k * (size_t)t->n + (size_t)i];
            *first = at < *first ? at : *first;
            *last = at > *last ? at : *last;
        }
    }
}

/* Those of n outputs, in the device's order; a position p becomes (p - first) / unit. */
static void put_taps(const struct taps *t, int n, int first, int unit, struct picture_tap *out)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < t->each; k++) {
            const size_t at = (size_t)k * (size_t)t->n + (size_t)i;
            *out++ = (struct picture_tap){(t->pos[at] - first) / unit, t->weight[at]};
        }
    }
}

/* Room for the parts of p, whose numbers are set. Where the tables begin. */
static size_t lay_out(struct picture *p)
{
    const size_t taps_x = (size_t)p->width * (size_t)p->each_x;
    const size_t taps_y = (size_t)p->height * (size_t)p->each_y;

    p->bytes = planes_at();
    p->tap_x = take(&p->bytes, taps_x * sizeof(struct picture_tap));
    p->tap_y = take(&p->bytes, taps_y * sizeof(struct picture_tap));
    p->sum_x = take(&p->bytes, (size_t)p->width * sizeof(real));
    p->sum_y = take(&p->bytes, (size_t)p->height * sizeof(real));
    const size_t tables = take(&p->bytes, 256 * (size_t)p->n_changes);
    p->pixels = take(&p->bytes, 3 * (size_t)p->rows * (size_t)p->columns);
    return tables;
}

static void *part(struct picture *p, size_t offset)
{
    return (char *)p + offset;
}

static bool fill(const struct rendering *r, const struct resample_job *j, struct picture *p,
                 size_t room)
{
    const struct target *to = r->to;
    int first, last;

    find_rows(&j->ty, to->height, &first, &last);
    struct picture q = {.room = room,
                        .rows = last - first + 1,
                        .columns = j->columns,
                        .n_changes = r->change->n,
                        .x = to->x,
                        .y = to->y,
                        .width = to->width,
                        .height = to->height,
                        .each_x = j->tx.each,
                        .each_y = j->ty.each};
    const size_t tables = lay_out(&q);
    if (q.bytes > room || q.bytes > PICTURE_MOST) {
        return false;
    }
    for (int c = 0; c < 3; c++) {
        q.gain[c] = j->gain[c];
        q.bias[c] = j->bias[c];
        q.plane[c] = j->plane[c];
    }
    *p = q;
    distort_pack(r->change, p, tables);
    put_taps(&j->tx, to->width, 0, 3, part(p, p->tap_x)); /* see struct taps */
    put_taps(&j->ty, to->height, first, 1, part(p, p->tap_y));
    memcpy(part(p, p->sum_x), j->tx.sum, (size_t)to->width * sizeof(real));
    memcpy(part(p, p->sum_y), j->ty.sum, (size_t)to->height * sizeof(real));
    const size_t row = 3 * (size_t)j->columns, stride = 3 * (size_t)r->img->width;
    const uint8_t *from = r->img->rgb + (size_t)first * stride + 3 * (size_t)j->column0;
    uint8_t *out = part(p, p->pixels);
    for (int y = 0; y < p->rows; y++) {
        memcpy(out + (size_t)y * row, from + (size_t)y * stride, row);
    }
    return true;
}

bool picture_pack(const struct rendering *r, struct picture *p, size_t room)
{
    struct resample_job j = {.img = r->img, .to = r->to};
    const bool packed = resample_open(&j, r->from, r->kind, r->px) && fill(r, &j, p, room);

    resample_close(&j);
    return packed;
}
