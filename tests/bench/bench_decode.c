/*
 * bench_decode.c - how many pictures a second the loader reads from files, decodes and brings to
 * the input's size. `bench_decode SIZE WORKERS ROUNDS [MODE] FILE...` prints the pictures a second
 * of each pass over the files; the first, which fills the page cache and takes memory, is left out.
 * MODE is for training: `augmented` as SSD does it, or `pictures`, where a device does all but
 * decoding: then also the bytes of a picture that cross to it, beside those of its numbers.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "data/loader.h"

#include <stdlib.h>
#include <string.h>

static double bytes_of(const struct batch *b)
{
    double bytes = 0;

    for (int i = 0; b->picture != NULL && i < b->n; i++) {
        bytes += (double)b->picture[i]->bytes;
    }
    return bytes;
}

/* All passes. `files` pictures are one. */
static enum vov_status run(struct loader *l, int files, int rounds, double numbers, struct err *err)
{
    double since = 0, bytes = 0;
    int done = 0, passes = 0;
    struct batch *b = NULL;

    while (passes <= rounds) {
        TRY(loader_next(l, &b, err));
        if (b == NULL) {
            return VOV_OK;
        }
        bytes += bytes_of(b);
        if (b->skipped > 0) {
            return err_set(err, VOV_EFORMAT, "%d pictures could not be read", b->skipped);
        }
        done += b->n;
        if (done >= files) {
            const double now = clock_now();
            if (passes++ > 0) {
                printf("%.1f\n", done / (now - since));
            }
            if (passes > 1 && bytes > 0) {
                printf("%.0f of %.0f bytes each\n", bytes / done, numbers);
            }
            since = now;
            done = 0;
            bytes = 0;
        }
    }
    return VOV_OK;
}

/* SSD's, of pictures without boxes: there are no windows that overlap one. */
static const struct augment ssd = {.distort = {0.5, 1, 1, 0},
                                   .expand = 0.5,
                                   .crop = 1,
                                   .flip = 0.5,
                                   .max_expand = 4,
                                   .any_resize = true};

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: bench_decode SIZE WORKERS ROUNDS [augmented|pictures] FILE...\n");
        return 2;
    }
    const bool pictures = strcmp(argv[4], "pictures") == 0;
    const bool train = pictures || strcmp(argv[4], "augmented") == 0;
    const int size = (int)strtol(argv[1], NULL, 10), first = train ? 5 : 4, files = argc - first;
    const int rounds = (int)strtol(argv[3], NULL, 10), n = files * (rounds + 1);
    struct item *item = mem_alloc((size_t)n, sizeof *item);
    for (int i = 0; item != NULL && i < n; i++) {
        item[i].path = argv[first + i % files];
    }
    const struct dataset d = {.path = "files", .item = item, .n = item != NULL ? n : 0};
    const struct loader_options opt = {
        .pixels = {size, size, {104, 117, 123}, {1, 1, 1}, true, false},
        .batch = 8,
        .workers = (int)strtol(argv[2], NULL, 10),
        .max_boxes = 1,
        .train = train,
        .pictures = pictures,
        .augment = ssd,
        .max_skipped = n};
    struct loader *l = NULL;
    struct err err = {0};
    enum vov_status status = loader_open(&d, &opt, 0, &l, &err);
    if (status == VOV_OK) {
        status = run(l, files, rounds, 12.0 * size * size, &err);
    }
    loader_close(l);
    mem_free(item);
    if (status != VOV_OK) {
        err_print(&err, stderr);
    }
    return status != VOV_OK;
}
