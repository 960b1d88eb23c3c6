/*
 * bench_decode.c - how many pictures a second the loader reads from files, decodes and brings to
 * the input's size. `bench_decode SIZE WORKERS ROUNDS FILE...` prints the pictures a second of each
 * pass over the files; the first, which fills the page cache and takes memory, is left out.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "data/loader.h"

#include <stdlib.h>

/* All passes. `files` pictures are one. */
static enum vov_status run(struct loader *l, int files, struct err *err)
{
    double since = 0;
    int done = 0, passes = 0;
    struct batch *b = NULL;

    for (;;) {
        TRY(loader_next(l, &b, err));
        if (b == NULL) {
            return VOV_OK;
        }
        if (b->skipped > 0) {
            return err_set(err, VOV_EFORMAT, "%d pictures could not be read", b->skipped);
        }
        done += b->n;
        if (done >= files) {
            const double now = clock_now();
            if (passes++ > 0) {
                printf("%.1f\n", done / (now - since));
            }
            since = now;
            done = 0;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: bench_decode SIZE WORKERS ROUNDS FILE...\n");
        return 2;
    }
    const int size = (int)strtol(argv[1], NULL, 10), files = argc - 4;
    const int rounds = (int)strtol(argv[3], NULL, 10), n = files * (rounds + 1);
    struct item *item = mem_alloc((size_t)n, sizeof *item);
    for (int i = 0; item != NULL && i < n; i++) {
        item[i].path = argv[4 + i % files];
    }
    const struct dataset d = {.path = "files", .item = item, .n = item != NULL ? n : 0};
    const struct loader_options opt = {
        .pixels = {size, size, {104, 117, 123}, {1, 1, 1}, true, false},
        .batch = 8,
        .workers = (int)strtol(argv[2], NULL, 10),
        .max_skipped = n};
    struct loader *l = NULL;
    struct err err = {0};
    enum vov_status status = loader_open(&d, &opt, 0, &l, &err);
    if (status == VOV_OK) {
        status = run(l, files, &err);
    }
    loader_close(l);
    mem_free(item);
    if (status != VOV_OK) {
        err_print(&err, stderr);
    }
    return status != VOV_OK;
}
