/*
 * png.c - PNG pictures through libpng. Whatever a file holds (palette, grey of 1..16 bits, colour
 * of 8 or 16, alpha, interlacing) comes as rows of 8-bit R G B; 16 bits keep their high 8. libpng
 * ends a failure by its error function, which must not return: ours jumps back to guarded().
 */
#include "codec.h"

#include "base/mem.h"

#include <setjmp.h>
#include <string.h>

#include <png.h>

enum {
    MAX_SIDE = 1 << 24,
    MAX_CHUNK = 8 << 20,        /* a chunk that we do not look at may cost this much */
    MAX_PIXELS_PER_BYTE = 8256, /* deflate gives at most 1032 bytes for one, each of 8 pixels */
};

struct decoder {
    png_structp png;
    png_infop info;
    jmp_buf out;
    const struct encoded *in;
    size_t at; /* next byte of in */
    struct image *img;
    int *orientation;
    png_bytep *rows;    /* of an interlaced picture */
    png_uint_32 n_rows; /* complete ones */
    bool cut;
    struct err *err;
    enum vov_status status;
};

static void on_error(png_structp png, png_const_charp text)
{
    struct decoder *d = png_get_error_ptr(png);

    if (!d->cut) {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: damaged PNG: %s", d->in->path, text);
    } else {
        d->status = VOV_EFORMAT; /* judge() will say how much is missing */
    }
    longjmp(d->out, 1);
}

/* Of chunks that do not matter (colour profiles, text): nothing a user could act on. */
static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct decoder *d = png_get_io_ptr(png);

    if (n > d->in->n - d->at) {
        d->cut = true;
        png_error(png, "the file ends too early");
    }
    memcpy(to, d->in->bytes + d->at, n);
    d->at += n;
}

/* libpng takes the memory that a chunk says it fills before it finds that the file is shorter. */
static void check_chunks(struct decoder *d)
{
    const uint8_t *p = d->in->bytes;
    const size_t n = d->in->n;

    for (size_t at = 8; n - at >= 8 && memcmp(p + at + 4, "IDAT", 4) != 0;) {
        const size_t length = png_get_uint_32(p + at);
        if (n - at < 12 || length > n - at - 12) {
            d->cut = true;
            png_error(d->png, "the file ends too early");
        }
        at += length + 12;
    }
}

static void read_head(struct decoder *d)
{
    png_bytep exif = NULL;
    png_uint_32 exif_bytes = 0;

    check_chunks(d);
    png_set_user_limits(d->png, MAX_SIDE, MAX_SIDE);
    png_set_chunk_malloc_max(d->png, MAX_CHUNK);
    png_set_read_fn(d->png, d, on_read);
    png_read_info(d->png, d->info);
    const size_t w = png_get_image_width(d->png, d->info);
    const size_t h = png_get_image_height(d->png, d->info);
    if (w * h > IMAGE_MAX_PIXELS) {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: %zu x %zu pixels are more than %d",
                            d->in->path, w, h, IMAGE_MAX_PIXELS);
        longjmp(d->out, 1);
    }
    if (png_get_eXIf_1(d->png, d->info, &exif_bytes, &exif) != 0) {
        *d->orientation = exif_orientation(exif, exif_bytes);
        if (*d->orientation == 0) {
            png_error(d->png, "its EXIF block ends inside the header");
        }
    }
    d->img->width = (int)w;
    d->img->height = (int)h;
}

static void ask_for_rgb(struct decoder *d)
{
    png_set_palette_to_rgb(d->png);
    png_set_expand_gray_1_2_4_to_8(d->png);
    png_set_strip_16(d->png);
    png_set_strip_alpha(d->png);
    png_set_gray_to_rgb(d->png);
}

static void read_rows(struct decoder *d, int passes)
{
    const png_uint_32 h = (png_uint_32)d->img->height;
    const size_t row_bytes = (size_t)d->img->width * 3;

    if (passes > 1) {
        d->rows = mem_alloc(h, sizeof *d->rows);
        if (d->rows == NULL) {
            d->status = err_nomem(d->err, h * sizeof *d->rows);
            return;
        }
        for (png_uint_32 y = 0; y < h; y++) {
            d->rows[y] = d->img->rgb + y * row_bytes;
        }
        png_read_image(d->png, d->rows);
    }
    for (; passes == 1 && d->n_rows < h; d->n_rows++) {
        png_read_row(d->png, d->img->rgb + d->n_rows * row_bytes, NULL);
    }
    d->n_rows = h;
}

static void read_all(struct decoder *d)
{
    read_head(d);
    d->status = codec_take(d->in, (unsigned long)d->img->width, (unsigned long)d->img->height,
                           MAX_PIXELS_PER_BYTE, d->img, d->err);
    if (d->status != VOV_OK) {
        return;
    }
    ask_for_rgb(d);
    const int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    if (png_get_rowbytes(d->png, d->info) != (size_t)d->img->width * 3) {
        png_error(d->png, "its pixels cannot be turned into red, green and blue");
    }
    read_rows(d, passes);
}

static void guarded(struct decoder *d, void (*step)(struct decoder *d))
{
    if (setjmp(d->out) == 0) {
        step(d);
    }
}

/* A file that ends too early still counts when half of its rows are there; the rest is grey. */
static enum vov_status judge_cut(struct decoder *d)
{
    const png_uint_32 h = (png_uint_32)d->img->height;
    const size_t row_bytes = (size_t)d->img->width * 3;

    if (h == 0) {
        return err_set(d->err, VOV_EFORMAT, "%s: PNG cut short: it ends inside its header",
                       d->in->path);
    }
    if (d->n_rows == 0 || d->n_rows < h - h / 2) {
        return err_set(d->err, VOV_EFORMAT, "%s: PNG cut short: %u of %u rows are there",
                       d->in->path, d->n_rows, h);
    }
    memset(d->img->rgb + d->n_rows * row_bytes, 128, (h - d->n_rows) * row_bytes);
    log_put(d->in->log, LOG_WARN, "%s: PNG cut short: %u of %u rows are there; used", d->in->path,
            d->n_rows, h);
    return VOV_OK;
}

static enum vov_status decode(const struct encoded *in, void (*step)(struct decoder *d),
                              struct image *img, int *orientation, struct err *err)
{
    struct decoder d = {.in = in, .img = img, .orientation = orientation, .err = err};

    img->width = img->height = 0;
    *orientation = 1;
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    d.info = d.png != NULL ? png_create_info_struct(d.png) : NULL;
    if (d.info == NULL) {
        d.status = err_nomem(err, sizeof d);
    } else {
        guarded(&d, step);
    }
    if (d.status != VOV_OK && d.cut) {
        d.status = judge_cut(&d);
    }
    if (d.status != VOV_OK) {
        image_free(img);
    }
    mem_free(d.rows);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    return d.status;
}

enum vov_status codec_png_read(const struct encoded *in, struct image *img, int *orientation,
                               struct err *err)
{
    return decode(in, read_all, img, orientation, err);
}

enum vov_status codec_png_size(const struct encoded *in, struct image *img, int *orientation,
                               struct err *err)
{
    return decode(in, read_head, img, orientation, err);
}

struct encoder {
    png_structp png;
    png_infop info;
    jmp_buf out;
    const char *path;
    const struct image *img;
    struct buf *buf;
    struct err *err;
    enum vov_status status;
};

static void on_write_error(png_structp png, png_const_charp text)
{
    struct encoder *e = png_get_error_ptr(png);

    e->status = err_set(e->err, VOV_EFORMAT, "%s: cannot be written as PNG: %s", e->path, text);
    longjmp(e->out, 1);
}

static void on_write(png_structp png, png_bytep bytes, size_t n)
{
    struct encoder *e = png_get_io_ptr(png);

    buf_add(e->buf, bytes, n);
    if (e->buf->failed) {
        e->status = err_nomem(e->err, n);
        longjmp(e->out, 1);
    }
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void write_all(struct encoder *e)
{
    const size_t row_bytes = (size_t)e->img->width * 3;

    png_set_write_fn(e->png, e, on_write, on_flush);
    png_set_IHDR(e->png, e->info, (png_uint_32)e->img->width, (png_uint_32)e->img->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(e->png, e->info);
    for (int y = 0; y < e->img->height; y++) {
        png_write_row(e->png, e->img->rgb + (size_t)y * row_bytes);
    }
    png_write_end(e->png, e->info);
}

static void guarded_write(struct encoder *e)
{
    if (setjmp(e->out) == 0) {
        write_all(e);
    }
}

enum vov_status codec_png_write(const char *path, const struct image *img, struct buf *out,
                                struct err *err)
{
    struct encoder e = {.path = path, .img = img, .buf = out, .err = err};

    e.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &e, on_write_error, on_warning);
    e.info = e.png != NULL ? png_create_info_struct(e.png) : NULL;
    if (e.info == NULL) {
        e.status = err_nomem(err, sizeof e);
    } else {
        guarded_write(&e);
    }
    png_destroy_write_struct(&e.png, &e.info);
    return e.status;
}
