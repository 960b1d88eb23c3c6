/*
 * codec.h - what image.c needs of the picture formats; each library lives in one file (jpeg.c,
 * png.c). Nobody else includes this.
 */
#ifndef VOV_CODEC_H
#define VOV_CODEC_H

#include "image.h"

/* A picture as it lies in its file. Borrowed. */
struct encoded {
    const char *path; /* for messages */
    const uint8_t *bytes;
    size_t n;
    const struct log *log; /* may be NULL */
};

/* Pixels as stored; *orientation is EXIF's 1..8, 1 where there is none. img may hold memory to be
 * used again. On failure it is empty. */
enum vov_status codec_jpeg_read(const struct encoded *in, struct image *img, int *orientation,
                                struct err *err);
enum vov_status codec_png_read(const struct encoded *in, struct image *img, int *orientation,
                               struct err *err);

/* The same without the pixels: in->bytes may be only the head of the file. */
enum vov_status codec_jpeg_size(const struct encoded *in, struct image *img, int *orientation,
                                struct err *err);
enum vov_status codec_png_size(const struct encoded *in, struct image *img, int *orientation,
                               struct err *err);

/* Appends the file to *out. */
enum vov_status codec_jpeg_write(const char *path, const struct image *img, int quality,
                                 struct buf *out, struct err *err);
enum vov_status codec_png_write(const char *path, const struct image *img, struct buf *out,
                                struct err *err);

/*
 * Sets img's size and sees to memory for its pixels, uncleared, having checked the size: nothing
 * empty, at most IMAGE_MAX_PIXELS, and not more than a file of in->n bytes can hold when one byte
 * gives `ratio` pixels at most (a small file that asks for much memory is damaged or hostile).
 */
enum vov_status codec_take(const struct encoded *in, unsigned long width, unsigned long height,
                           size_t ratio, struct image *img, struct err *err);

/* EXIF's orientation in a TIFF block of n bytes ("II*" or "MM"...): 1..8; 1 if it has none or
 * its directory is damaged. 0: the block stops inside its own header of 8 bytes, so that something
 * cut the file's segments; such a file is refused, as other readers do. */
int exif_orientation(const uint8_t *tiff, size_t n);

#endif
