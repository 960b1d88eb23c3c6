/*
 * resample_rows.h - the loops of resample.c, compiled for several instruction sets. For each output
 * row the source rows are first blended, which is contiguous and vectorises; then each output
 * column blends its few columns of that, all colours of a pixel at once, and puts them apart into
 * the planes. Sums are made in the same order and products rounded before they are added, so that
 * all instruction sets give equal bits.
 */
#ifndef VOV_RESAMPLE_ROWS_H
#define VOV_RESAMPLE_ROWS_H

#include "resample.h"

/* Outputs that are worked on at once, at most. */
enum { RESAMPLE_STEP = 8 };

/* Output i reads the taps i, i + n, i + 2n, ...; unused ones have weight 0. */
struct taps {
    int *pos; /* [each][n] source column or row, inside the picture; then where it is in `blend` */
    real *weight;
    real *sum;   /* of each output's weights: under 1 where it reaches out of the picture */
    int n, each; /* n: outputs, and unused ones up to a multiple of RESAMPLE_STEP */
};

struct resample_job {
    const struct image *img;
    const struct target *to;
    struct taps tx, ty;
    real gain[3], bias[3]; /* of R G B: out = value * gain - bias, for weights that sum to 1 */
    int plane[3];          /* where R, G and B go */
    real *blend;           /* [columns][3] blended source rows, and room for one number more */
    real *row;             /* [3][tx.n] a row of the output: R, G, B */
    real *spread;          /* [tx.each][tx.n][4] the weights of tx, for the loops */
    int column0, columns;  /* of the picture that any output reads */
};

/* What all rows need, of a job whose img and to are set. false: no memory. Closed in any case. */
bool resample_open(struct resample_job *j, const struct window *from, enum resample kind,
                   const struct pixels *px);
void resample_close(struct resample_job *j);

/* All rows of the output. */
typedef void resample_rows(const struct resample_job *j);

resample_rows resample_rows_base;
resample_rows resample_rows_avx2; /* on x86-64 only */

#endif
