/*
 * check_part.h - what the files of check share. Nobody else includes it.
 */
#ifndef VOV_CHECK_PART_H
#define VOV_CHECK_PART_H

#include "check.h"
#include "dataset.h"

struct pool;

/* What reading one picture gave. */
struct check_picture {
    enum vov_status status;
    bool missing;
    int width, height;
    uint64_t hash; /* of the file's bytes */
    size_t bytes;
    char *text; /* what is wrong with it; NULL: nothing. mem_free */
};

struct check {
    const struct check_options *opt;
    struct check_report *report;
    struct pool *pool;
    struct dataset data[2];
    struct check_picture *picture[2]; /* [data.n] */
    bool failed;                      /* no memory for a text */
};

void check_add(struct check *c, enum check_kind kind, const char *fmt, ...) VOV_PRINTF(3, 4);

/* Reads one picture as training would. */
void check_read(const char *path, struct check_picture *p);

/* Reads all pictures of the split over the pool and reports what is wrong with them. */
enum vov_status check_pictures(struct check *c, int split, struct err *err);

/* Reports pictures whose bytes are equal, over both splits. */
enum vov_status check_twins(struct check *c, struct err *err);

#endif
