/*
 * detect.h - one picture through a detector: shared by `vov detect` and `vov demo`.
 */
#ifndef VOV_CLI_DETECT_H
#define VOV_CLI_DETECT_H

#include "model/detector.h"

/* Reads a picture and fills *dets (cleared first). On success *img is the caller's.
 * VOV_EFORMAT: the picture cannot be read. */
enum vov_status detect_find(struct detector *d, const char *path, double thresh,
                            const struct log *log, struct image *img, struct det_list *dets,
                            struct err *err);

/* Draws into img and writes it into dir under the name of `path`; repeat > 0: with that number
 * plus one behind it. Never over the picture itself. */
enum vov_status detect_draw(const struct detector *d, const char *path, const char *dir, int repeat,
                            struct image *img, const struct det_list *dets, struct err *err);

#endif
