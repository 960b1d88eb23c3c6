/*
 * image.h - pictures in memory: 8-bit R G B, read from JPEG and PNG by looking at the bytes, never
 * at the name. The one road for pixels: train, eval, detect and bench read with image_read and fit
 * with image_fit.
 *
 * Rules: EXIF orientation is applied. Grey gives three equal channels; CMYK and YCCK become RGB;
 * 16 bits are cut to the high 8; alpha is dropped. Interlaced and progressive files are read.
 */
#ifndef VOV_IMAGE_H
#define VOV_IMAGE_H

#include "base/buf.h"
#include "base/log.h"
#include "base/real.h"

#include <stdint.h>

struct image {
    uint8_t *rgb; /* [height][width][3], dense; mem_free */
    int width, height;
    size_t room; /* bytes of rgb that image_read_again may write; 0 where others took the memory */
};

enum { IMAGE_MAX_PIXELS = 1 << 27 }; /* larger pictures are refused before memory is taken */

/* VOV_EFORMAT: not readable, damaged, or no picture that we know (WebP, GIF, ... by name).
 * A cut file that gives most of a picture is read with a warning in the log. */
enum vov_status image_read(const char *path, const struct log *log, struct image *img,
                           struct err *err);
/* The same with an image that holds an earlier picture, or {0}: its memory is used again where it
 * is enough, which saves the system from handing out and clearing fresh pages for each of many. */
enum vov_status image_read_again(const char *path, const struct log *log, struct image *img,
                                 struct err *err);
enum vov_status image_decode(const char *path, const void *bytes, size_t n, const struct log *log,
                             struct image *img, struct err *err);
/* Whether a file's name ends as those of the pictures that we read do: folders are searched for
 * them. What a file holds, its bytes say. */
bool image_has_name(const char *path);
/* Width and height (after EXIF turning) from the head of the file only. */
enum vov_status image_size(const char *path, int *width, int *height, struct err *err);
/* Sets the size and sees to memory for it, uncleared: what img holds, where that is enough. */
bool image_take(struct image *img, int width, int height); /* false: no memory; img is empty */
void image_free(struct image *img);

/* Appends the file that image_write would write. */
enum vov_status image_encode(const char *path, const struct image *img, struct buf *out,
                             struct err *err);

/* By the name's end: .png, .jpg or .jpeg (quality 92). Atomic. */
enum vov_status image_write(const char *path, const struct image *img, struct err *err);

/* How pixels become numbers of a net's input; stored in checkpoints. */
struct pixels {
    int width, height;
    double mean[3], std[3]; /* of 0..255 values, in the order R G B (or B G R with bgr) */
    bool bgr, letterbox;
    int short_side, long_side; /* not 0: a picture keeps its shape, with its shorter side of that
                                  size, or less lest the longer one pass long_side; it lies in the
                                  input's top left corner */
};
/* Of an input whose width and height have changed places. */
struct pixels pixels_turned(const struct pixels *px);

/* Where the picture lies in the input: input = picture * scale + offset, in pixels, and which part
 * of the input it fills; what is outside is padding. */
struct placing {
    double scale_x, scale_y, off_x, off_y;
    bool mirrored; /* afterwards the whole input was turned left to right */
    int x, y, width, height;
};
/* A picture that was never placed is taken to fill the input. */
struct placing placing_whole(int width, int height);
/* x0 y0 x1 y1 in parts of an input of that size. */
void placing_extent(const struct placing *at, int width, int height, real out[4]);

/* Resizes (bilinear, half-pixel centres, clamped: OpenCV's INTER_LINEAR) into planes [3][h][w] of
 * normalised numbers; what is not of the picture is filled with the mean. VOV_ENOMEM leaves the
 * planes zero. */
enum vov_status image_fit(const struct image *img, const struct pixels *px, real *planes,
                          struct placing *where);

#endif
