/*
 * bench_paper.h - what was published about the configs in cfg/detect.
 */
#ifndef VOV_CLI_BENCH_PAPER_H
#define VOV_CLI_BENCH_PAPER_H

/* One image at a time on a TITAN X Pascal. 0: not published. */
struct paper_row {
    const char *config; /* its file's name without .cfg */
    const char *source; /* "Table 4" */
    int width, height;
    double flops_g;  /* multiply-adds and batch norm elements, 1e9 */
    double params_m; /* 1e6 */
    double memory_mb;
    double fps, gflops;
    double j_per_image;
};

extern const char paper_title[]; /* authors, year, where */
extern const char paper_machine[];

const struct paper_row *paper_find(const char *config); /* NULL: nothing was published */

#endif
