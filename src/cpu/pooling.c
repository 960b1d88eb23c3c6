/* pooling.c - see pooling.h. */
#include "pooling.h"

#include <string.h>

enum { CHUNK_NUMBERS = 8192, MAX_CHUNKS = 256 };

static void planes_chunk(void *ctx, int chunk, int worker)
{
    const struct pooling *j = ctx;
    const struct span s = span_at(j->x.n * j->x.c, j->chunks, chunk);

    (void)worker;
    for (int i = s.from; i < s.to; i++) {
        j->plane(j, i / j->x.c, i % j->x.c);
    }
}

void pooling_run(struct backend *be, struct pooling *j)
{
    const struct cpu *cpu = be->ctx;
    const int planes = j->x.n * j->x.c;
    const double wanted = (double)planes * (double)view_plane(j->x) / CHUNK_NUMBERS + 1;

    j->cpu = cpu;
    j->chunks = wanted > MAX_CHUNKS ? MAX_CHUNKS : (int)wanted;
    j->chunks = j->chunks > planes ? planes : j->chunks;
    pool_run(cpu->pool, j->chunks, planes_chunk, j);
}

struct line_part pooling_part(const struct pooling *j, int q, int n)
{
    const int first = q * j->d->stride - j->d->pad;
    const int length = (round_up(n, 8) - 1) * j->d->stride + j->d->size + 16;
    const int from = first > 0 ? first : 0;
    const int to = first + length < j->x.w ? first + length : j->x.w;

    return (struct line_part){first, length, {from, to > from ? to : from}};
}

void pooling_fill(const struct line_part *part, const real *row, real outside, real *line)
{
    const int left = part->in.from - part->first;
    const int inside = part->in.to - part->in.from;

    if (inside == 0) {
        for (int i = 0; i < part->length; i++) {
            line[i] = outside;
        }
        return;
    }
    for (int i = 0; i < left; i++) {
        line[i] = outside;
    }
    memcpy(line + left, row + part->in.from, (size_t)inside * sizeof *line);
    for (int i = left + inside; i < part->length; i++) {
        line[i] = outside;
    }
}

void pooling_clear(const struct pooling *j, real *x)
{
    if (j->beta == 0) {
        memset(x, 0, view_plane(j->x) * sizeof *x);
    }
}
