/*
 * inputs.h - which pictures `vov detect` looks at, and what it found in them as files.
 */
#ifndef VOV_CLI_INPUTS_H
#define VOV_CLI_INPUTS_H

#include "data/dataset.h"
#include "eval/coco_eval.h"
#include "model/detector.h"

struct input {
    const char *path; /* in the arena of the inputs */
    long long id;     /* for COCO results */
    int repeat;       /* how many inputs before it have the same file name */
};

struct inputs {
    struct arena mem;
    struct input *item;
    int n, cap;
    struct dataset *data; /* [n_data], opened for their ids */
    int n_data;
};

/* paths: pictures, folders (their JPEG and PNG files by name, not those of folders inside),
 * annotation and .data files. data: NULL, or where ids come from. A path that is not there is an
 * input all the same: it is reported when its turn comes. VOV_EARG: no picture at all. */
enum vov_status inputs_find(struct inputs *in, const char *const *paths, int n, const char *data,
                            const struct log *log, struct err *err);
void inputs_free(struct inputs *in);

struct findings {
    struct buf json; /* items of the list so far */
    struct result_list results;
};

enum vov_status findings_add(struct findings *f, const struct input *in, const struct image *img,
                             const struct detector *d, const struct det_list *dets,
                             struct err *err);
enum vov_status findings_write_json(const struct findings *f, const char *path, struct err *err);
void findings_free(struct findings *f);

#endif
