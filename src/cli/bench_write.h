/*
 * bench_write.h - the results of `vov bench` as text: tables, JSON, CSV.
 */
#ifndef VOV_CLI_BENCH_WRITE_H
#define VOV_CLI_BENCH_WRITE_H

#include "base/buf.h"
#include "bench_make.h"

/* Markdown tables, for people. */
void bench_write_tables(const struct bench_report *report, struct buf *b);

/* A list of one object for each config; samples: with the time of each run. docs/bench.md has the
 * keys. */
void bench_write_json(const struct bench_report *report, bool samples, struct buf *b);

/* A line of names, then one line for each config; what is not known is empty. */
void bench_write_csv(const struct bench_report *report, struct buf *b);

#endif
