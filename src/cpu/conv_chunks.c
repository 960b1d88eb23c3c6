/*
 * conv_chunks.c - see conv_chunks.h.
 */
#include "conv_chunks.h"

/* Pieces of a shared chunk's input channels, for each thread; units that are worth a chunk. */
enum { LOAD_JOBS = 4, FEW_UNITS = 12 };

/* Whether `chunks` chunks, taken as threads get free, keep all threads busy nearly always. */
static bool balanced(int rows, int chunks, int threads)
{
    const int most = ceil_div(rows, chunks), rounds = ceil_div(chunks, threads);

    return chunks >= 8 * threads || rows >= 0.9 * threads * most * rounds;
}

static void cut_rows(struct chunks *cs, int threads, int units)
{
    const int each = units / cs->part_cols > 1 ? units / cs->part_cols : 1;

    cs->row_chunks = ceil_div(cs->rows, each);
    if (threads == 1 || balanced(cs->rows, cs->row_chunks * cs->parts, threads)) {
        return;
    }
    const int more = round_up(cs->row_chunks, threads);
    if (cs->rows / more * cs->part_cols >= FEW_UNITS && balanced(cs->rows, more, threads)) {
        cs->row_chunks = more;
    } else {
        cs->shared = true;
    }
}

struct chunks chunks_plan(int threads, struct chunks_limit limit, int images, int image_rows,
                          int cols, int panels)
{
    struct chunks cs = {
        .image_rows = image_rows, .rows = image_rows * images, .cols = cols, .panels = panels};

    cs.parts = ceil_div(cols, limit.units);
    cs.part_cols = ceil_div(cols, cs.parts);
    cut_rows(&cs, threads, limit.units);
    cs.rows_most = ceil_div(cs.rows, cs.row_chunks);

    const int workers = cs.shared ? threads : 1;
    const int jobs = workers * ceil_div(ceil_div(panels, workers), limit.panels);
    cs.jobs = jobs < panels ? jobs : panels;
    cs.job_panels = ceil_div(panels, cs.jobs);
    return cs;
}

struct running {
    const struct cpu *cpu;
    const struct chunks *cs;
    const struct chunks_work *work;
    int channels;
    const void *of;
    struct chunk shared;
};

static struct chunk chunk_at(const struct chunks *cs, int index)
{
    const struct span rows = span_at(cs->rows, cs->row_chunks, index / cs->parts);
    const struct span cols = span_at(cs->cols, cs->parts, index % cs->parts);

    return (struct chunk){rows.from, rows.to, cols.from, cols.to - cols.from};
}

static void run_chunk(void *ctx, int index, int worker)
{
    const struct running *r = ctx;
    const struct chunk ch = chunk_at(r->cs, index);

    r->work->load(r->of, &ch, (struct span){0, r->channels}, worker);
    for (int j = 0; j < r->cs->jobs; j++) {
        r->work->multiply(r->of, &ch, span_at(r->cs->panels, r->cs->jobs, j), worker);
    }
}

static int load_jobs(const struct running *r)
{
    const int jobs = LOAD_JOBS * pool_threads(r->cpu->pool);

    return jobs < r->channels ? jobs : r->channels;
}

static void load_shared(void *ctx, int job, int worker)
{
    const struct running *r = ctx;

    r->work->load(r->of, &r->shared, span_at(r->channels, load_jobs(r), job), worker);
}

static void multiply_shared(void *ctx, int job, int worker)
{
    const struct running *r = ctx;

    r->work->multiply(r->of, &r->shared, span_at(r->cs->panels, r->cs->jobs, job), worker);
}

void chunks_run(const struct cpu *cpu, const struct chunks *cs, const struct chunks_work *work,
                int channels, const void *of)
{
    struct running r = {cpu, cs, work, channels, of, {0}};

    if (!cs->shared) {
        pool_run(cpu->pool, cs->row_chunks * cs->parts, run_chunk, &r);
        return;
    }
    for (int i = 0; i < cs->row_chunks * cs->parts; i++) {
        r.shared = chunk_at(cs, i);
        pool_run(cpu->pool, load_jobs(&r), load_shared, &r);
        pool_run(cpu->pool, cs->jobs, multiply_shared, &r);
    }
}
