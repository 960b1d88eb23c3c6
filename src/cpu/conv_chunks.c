/*
 * conv_chunks.c - see conv_chunks.h.
 */
#include "conv_chunks.h"

/* Of the threads' time, how much must be work for them to take chunks one by one (seven rows on two
 * threads are; what they share they read out of each other's caches); and how much more work is
 * worth smaller chunks. */
#define ENOUGH_USE 0.87
#define BETTER_USE 0.02

/* Pieces of a shared chunk's input channels, for each thread; units that are worth a chunk; threads
 * that chunks are dealt to in thought. */
enum { LOAD_JOBS = 4, FEW_UNITS = 12, DEALT_THREADS = 64 };

/* Bytes of weights that no thread should read for itself alone where one chunk would do. */
enum { MANY_WEIGHTS = 8 << 20 };

/* The part of the threads' time that is worked, when each takes the next chunk as soon as it is
 * free. */
static double use_of_threads(const struct chunks *cs, int threads)
{
    int done[DEALT_THREADS] = {0}, latest = 0;

    for (int i = 0; i < cs->row_chunks * cs->parts; i++) {
        const struct span rows = span_at(cs->rows, cs->row_chunks, i / cs->parts);
        int first = 0;
        for (int t = 1; t < threads; t++) {
            first = done[t] < done[first] ? t : first;
        }
        done[first] += rows.to - rows.from;
        latest = done[first] > latest ? done[first] : latest;
    }
    return (double)cs->rows * cs->parts / ((double)threads * latest);
}

/* A few chunks more, if that leaves the threads less to wait for at the end. */
static void even_out(struct chunks *cs, int threads)
{
    const int from = cs->row_chunks, most = from + from / 8 + 1;
    double best = use_of_threads(cs, threads);
    int chunks = from;

    for (cs->row_chunks = from + 1; cs->row_chunks <= most && cs->row_chunks <= cs->rows;
         cs->row_chunks++) {
        const double use = use_of_threads(cs, threads);
        if (use > best + BETTER_USE) {
            best = use;
            chunks = cs->row_chunks;
        }
    }
    cs->row_chunks = chunks;
}

/* As few chunks as keep all threads busy nearly always, or one shared chunk after the other. */
static void cut_rows(struct chunks *cs, int threads, struct chunks_limit limit)
{
    const int each = limit.units / cs->part_cols > 1 ? limit.units / cs->part_cols : 1;
    const int fewest = ceil_div(cs->rows, each);

    threads = threads < DEALT_THREADS ? threads : DEALT_THREADS;
    cs->row_chunks = fewest;
    if (threads > 1 && fewest * cs->parts == 1 && limit.weights > MANY_WEIGHTS) {
        cs->shared = true;
        return;
    }
    while (threads > 1 && cs->row_chunks * cs->parts < 8 * threads &&
           use_of_threads(cs, threads) < ENOUGH_USE) {
        cs->row_chunks++;
        if (cs->row_chunks > cs->rows || cs->rows / cs->row_chunks * cs->part_cols < FEW_UNITS) {
            cs->row_chunks = fewest;
            cs->shared = true;
            return;
        }
    }
    if (threads > 1 && cs->row_chunks * cs->parts < 16 * threads) {
        even_out(cs, threads);
    }
}

/* Panels of a piece, at most. */
static int piece_panels(const struct chunks *cs, const struct chunks_limit *limit)
{
    const size_t units = (size_t)chunks_units(cs);
    const size_t room =
        units * limit->v > limit->large_v ? limit->most_sums / (units * limit->sums) : 0;

    return room > (size_t)limit->panels ? (int)room : limit->panels;
}

struct chunks chunks_plan(int threads, struct chunks_limit limit, int images, int image_rows,
                          int cols, int panels)
{
    struct chunks cs = {
        .image_rows = image_rows, .rows = image_rows * images, .cols = cols, .panels = panels};

    cs.parts = ceil_div(cols, limit.units);
    cs.part_cols = ceil_div(cols, cs.parts);
    cut_rows(&cs, threads, limit);
    cs.rows_most = ceil_div(cs.rows, cs.row_chunks);

    const int workers = cs.shared ? threads : 1, parts = ceil_div(panels, limit.multiple);
    const int most = ceil_div(piece_panels(&cs, &limit), limit.multiple);
    const int jobs = workers * ceil_div(ceil_div(parts, workers), most);
    cs.multiple = limit.multiple;
    cs.jobs = jobs < parts ? jobs : parts;
    cs.job_panels = ceil_div(parts, cs.jobs) * limit.multiple;
    return cs;
}

static struct span panels_at(const struct chunks *cs, int job)
{
    const struct span parts = span_at(ceil_div(cs->panels, cs->multiple), cs->jobs, job);
    const int end = parts.to * cs->multiple;

    return (struct span){parts.from * cs->multiple, end < cs->panels ? end : cs->panels};
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
        r->work->multiply(r->of, &ch, panels_at(r->cs, j), worker);
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

    r->work->multiply(r->of, &r->shared, panels_at(r->cs, job), worker);
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
