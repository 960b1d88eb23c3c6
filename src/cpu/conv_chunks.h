/*
 * conv_chunks.h - how the work of a correlation is cut. Its output is rows of units (pixels, or
 * Winograd's tiles), counted over all images, times panels of 16 channels. A chunk is some rows, or
 * a piece of a row, of all channels. Threads take chunks, each with memory of its own; where there
 * are too few of them, all threads share one chunk after the other: its input channels first, then
 * its panels. Which of the two it is must not change any number.
 */
#ifndef VOV_CPU_CONV_CHUNKS_H
#define VOV_CPU_CONV_CHUNKS_H

#include "cpu.h"
#include "span.h"

struct chunks {
    int image_rows, rows, cols; /* rows of one image and of all; units of a row */
    int parts, part_cols;       /* pieces of a row, units of the widest */
    int row_chunks;
    int rows_most; /* of a chunk */
    int panels;    /* of the output */
    int multiple;  /* of panels, that pieces are cut in */
    bool shared;
    int jobs, job_panels; /* pieces of the panels, and the most panels of one */
};

/* What is wanted: units of a chunk, and panels of a piece, at most (about); and of how many panels
 * a piece should be a multiple. weights: bytes that each chunk reads. Where all V of a chunk is
 * more than large_v, so that it is not read again from the second cache for each piece, pieces have
 * more panels: as many as most_sums has room for. */
struct chunks_limit {
    int units, panels, multiple;
    size_t weights;
    size_t v, sums; /* bytes of a unit's V, and of its sums of one panel */
    size_t large_v, most_sums;
};

/* Rows row..row_end-1, columns col..col+cols-1 of each. */
struct chunk {
    int row, row_end, col, cols;
};

/* image_rows x cols units in each image. */
struct chunks chunks_plan(int threads, struct chunks_limit limit, int images, int image_rows,
                          int cols, int panels);

static inline int chunks_units(const struct chunks *cs)
{
    return cs->rows_most * cs->part_cols;
}

static inline int chunk_units(const struct chunk *ch)
{
    return (ch->row_end - ch->row) * ch->cols;
}

/* The end of the rows from `row` on that lie in row's image, or of the chunk. */
static inline int chunk_image_end(const struct chunks *cs, const struct chunk *ch, int row)
{
    const int end = (row / cs->image_rows + 1) * cs->image_rows;

    return end < ch->row_end ? end : ch->row_end;
}

/* load: brings input channels into the memory of the chunk's worker, or of all; multiply: makes
 * outputs of some panels from it. */
struct chunks_work {
    void (*load)(const void *of, const struct chunk *ch, struct span channels, int worker);
    void (*multiply)(const void *of, const struct chunk *ch, struct span panels, int worker);
};

void chunks_run(const struct cpu *cpu, const struct chunks *cs, const struct chunks_work *work,
                int channels, const void *of);

#endif
