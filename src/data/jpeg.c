/*
 * jpeg.c - JPEG pictures through libjpeg's own interface (libjpeg-turbo), which, unlike
 * TurboJPEG's, tells how far a cut file reached. libjpeg ends a failure by calling error_exit,
 * which must not return: ours jumps back to guarded(), the only setjmp here. The source is a block
 * of memory that gives an end marker when it runs out, and remembers where that was.
 */
#include "codec.h"

#include "base/mem.h"

#include <setjmp.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may hold any number of scans over the whole picture in a few bytes each. */
enum { MAX_SCANS = 500 };

/* One byte holds at most 8 blocks of one bit; a unit of 4x4 luma blocks has 18 blocks of at least a
 * bit for 1024 pixels, so that about 512 pixels come from a byte. Twice that for comfort. */
enum { MAX_PIXELS_PER_BYTE = 1024 };

struct decoder {
    struct jpeg_decompress_struct z; /* first: the callbacks find the decoder from it */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    const struct encoded *in;
    struct image *img;
    int *orientation;
    uint8_t *row; /* of a CMYK picture */
    struct err *err;
    enum vov_status status;
    bool cut;                      /* the source ran out */
    JDIMENSION cut_row;            /* rows of pixels that were there when it did */
    char warning[JMSG_LENGTH_MAX]; /* the first of them */
};

static const JOCTET end_marker[2] = {0xff, JPEG_EOI};

static void on_error(j_common_ptr z)
{
    struct decoder *d = (struct decoder *)z;
    char text[JMSG_LENGTH_MAX];

    z->err->format_message(z, text);
    if (z->err->msg_code == JERR_OUT_OF_MEMORY) {
        d->status = err_nomem(d->err, d->in->n);
    } else if (z->err->msg_code == JERR_NO_SOI) {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: no JPEG picture", d->in->path);
    } else {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: damaged JPEG: %s", d->in->path, text);
    }
    longjmp(d->out, 1);
}

static void on_message(j_common_ptr z, int level)
{
    struct decoder *d = (struct decoder *)z;

    if (level < 0) {
        if (z->err->num_warnings++ == 0) {
            z->err->format_message(z, d->warning);
        }
    }
}

static void on_output(j_common_ptr z)
{
    (void)z; /* libjpeg would print */
}

static void on_progress(j_common_ptr z)
{
    struct decoder *d = (struct decoder *)z;

    if (d->z.input_scan_number > MAX_SCANS) {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: more than %d scans in a JPEG", d->in->path,
                            MAX_SCANS);
        longjmp(d->out, 1);
    }
}

static void source_open(j_decompress_ptr z)
{
    (void)z;
}

/* The file has ended. Rows that are complete count; after the first scan of a progressive file
 * that is all of them, only coarse. */
static boolean source_fill(j_decompress_ptr z)
{
    struct decoder *d = (struct decoder *)z;

    if (!d->cut) {
        d->cut = true;
        d->cut_row = z->input_iMCU_row * (JDIMENSION)(z->max_v_samp_factor * DCTSIZE);
        if (z->input_scan_number > 1 || d->cut_row > z->image_height) {
            d->cut_row = z->image_height;
        }
    }
    z->src->next_input_byte = end_marker;
    z->src->bytes_in_buffer = sizeof end_marker;
    return TRUE;
}

static void source_skip(j_decompress_ptr z, long n)
{
    if (n <= 0) {
        return;
    }
    if ((size_t)n >= z->src->bytes_in_buffer) {
        (void)source_fill(z);
    } else {
        z->src->next_input_byte += n;
        z->src->bytes_in_buffer -= (size_t)n;
    }
}

static void source_close(j_decompress_ptr z)
{
    (void)z;
}

static void decoder_init(struct decoder *d)
{
    d->z.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->errors.output_message = on_output;
    jpeg_create_decompress(&d->z);

    d->source.init_source = source_open;
    d->source.fill_input_buffer = source_fill;
    d->source.skip_input_data = source_skip;
    d->source.resync_to_restart = jpeg_resync_to_restart;
    d->source.term_source = source_close;
    d->source.next_input_byte = d->in->bytes;
    d->source.bytes_in_buffer = d->in->n;
    d->z.src = &d->source;
    d->progress.progress_monitor = on_progress;
    d->z.progress = &d->progress;
}

/* Marker APP1 holds "Exif", two zeros, and a TIFF file. */
static int find_exif(const struct decoder *d)
{
    for (jpeg_saved_marker_ptr m = d->z.marker_list; m != NULL; m = m->next) {
        if (m->data_length >= 6 && memcmp(m->data, "Exif\0", 6) == 0) {
            return exif_orientation(m->data + 6, m->data_length - 6);
        }
    }
    return 1;
}

static void read_head(struct decoder *d)
{
    decoder_init(d);
    jpeg_save_markers(&d->z, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&d->z, TRUE);
    *d->orientation = find_exif(d);
    if (*d->orientation == 0) {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: damaged JPEG: it ends inside its EXIF header",
                            d->in->path);
        longjmp(d->out, 1);
    }
    if (d->z.image_width > IMAGE_MAX_PIXELS / d->z.image_height) {
        d->status = err_set(d->err, VOV_EFORMAT, "%s: %u x %u pixels are more than %d", d->in->path,
                            d->z.image_width, d->z.image_height, IMAGE_MAX_PIXELS);
        longjmp(d->out, 1);
    }
    d->img->width = (int)d->z.image_width;
    d->img->height = (int)d->z.image_height;
}

static void choose_output(struct decoder *d)
{
    switch (d->z.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
        d->z.out_color_space = JCS_RGB;
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        d->z.out_color_space = JCS_CMYK;
        break;
    default:
        d->status =
            err_set(d->err, VOV_EFORMAT, "%s: JPEG with %d colour channels of an unknown kind",
                    d->in->path, d->z.num_components);
        longjmp(d->out, 1);
    }
}

/* Adobe stores inks inverted: 255 is none. red = white without cyan and without black. */
static void cmyk_to_rgb(const uint8_t *cmyk, int n, bool inverted, uint8_t *rgb)
{
    const unsigned flip = inverted ? 0 : 255;

    for (int i = 0; i < n; i++) {
        const unsigned k = cmyk[4 * i + 3] ^ flip;
        for (int c = 0; c < 3; c++) {
            rgb[3 * i + c] = (uint8_t)(((cmyk[4 * i + c] ^ flip) * k + 127) / 255);
        }
    }
}

static void read_rows(struct decoder *d)
{
    const int width = d->img->width;
    const bool cmyk = d->z.out_color_space == JCS_CMYK;

    while (d->z.output_scanline < d->z.output_height) {
        uint8_t *rgb = d->img->rgb + (size_t)d->z.output_scanline * (size_t)width * 3;
        JSAMPROW row = cmyk ? d->row : rgb;
        jpeg_read_scanlines(&d->z, &row, 1);
        if (cmyk) {
            cmyk_to_rgb(row, width, d->z.saw_Adobe_marker, rgb);
        }
    }
}

static void read_all(struct decoder *d)
{
    read_head(d);
    choose_output(d);
    const size_t ratio = d->z.arith_code ? IMAGE_MAX_PIXELS : MAX_PIXELS_PER_BYTE;
    d->status = codec_take(d->in, d->z.image_width, d->z.image_height, ratio, d->img, d->err);
    if (d->status != VOV_OK) {
        return;
    }
    if (d->z.out_color_space == JCS_CMYK) {
        d->row = mem_alloc(d->z.image_width, 4);
        if (d->row == NULL) {
            d->status = err_nomem(d->err, (size_t)d->z.image_width * 4);
            return;
        }
    }
    jpeg_start_decompress(&d->z);
    read_rows(d);
    jpeg_finish_decompress(&d->z);
}

/* Runs step, and comes back here when it fails inside libjpeg. */
static void guarded(struct decoder *d, void (*step)(struct decoder *d))
{
    if (setjmp(d->out) == 0) {
        step(d);
    }
}

/* What was damaged but gave a picture is said; what gave less than half of one is refused. */
static enum vov_status judge(struct decoder *d)
{
    const JDIMENSION rows = d->z.image_height;

    if (d->cut && d->cut_row < rows - rows / 2) {
        return err_set(d->err, VOV_EFORMAT, "%s: cut short: %u of %u rows are there", d->in->path,
                       d->cut_row, rows);
    }
    if (d->cut) {
        log_put(d->in->log, LOG_WARN, "%s: cut short: about %u of %u rows are there; used",
                d->in->path, d->cut_row, rows);
    } else if (d->errors.num_warnings > 0) {
        log_put(d->in->log, LOG_WARN, "%s: damaged JPEG: %s; used", d->in->path, d->warning);
    }
    return VOV_OK;
}

static enum vov_status decode(const struct encoded *in, void (*step)(struct decoder *d),
                              struct image *img, int *orientation, struct err *err)
{
    struct decoder d = {.in = in, .img = img, .orientation = orientation, .err = err};

    img->width = img->height = 0;
    *orientation = 1;
    guarded(&d, step);
    if (d.status == VOV_OK && img->rgb != NULL) {
        d.status = judge(&d);
    }
    if (d.status != VOV_OK) {
        image_free(img);
    }
    mem_free(d.row);
    jpeg_destroy_decompress(&d.z);
    return d.status;
}

enum vov_status codec_jpeg_read(const struct encoded *in, struct image *img, int *orientation,
                                struct err *err)
{
    return decode(in, read_all, img, orientation, err);
}

enum vov_status codec_jpeg_size(const struct encoded *in, struct image *img, int *orientation,
                                struct err *err)
{
    return decode(in, read_head, img, orientation, err);
}

struct encoder {
    struct jpeg_compress_struct z; /* first */
    struct jpeg_error_mgr errors;
    jmp_buf out;
    const char *path;
    const struct image *img;
    int quality;
    struct jpeg_destination_mgr target;
    JOCTET chunk[16384]; /* goes into *bytes whenever it is full */
    struct buf *bytes;
    struct err *err;
    enum vov_status status;
};

static void on_write_error(j_common_ptr z)
{
    struct encoder *e = (struct encoder *)z;
    char text[JMSG_LENGTH_MAX];

    z->err->format_message(z, text);
    e->status = err_set(e->err, VOV_EFORMAT, "%s: cannot be written as JPEG: %s", e->path, text);
    longjmp(e->out, 1);
}

static void target_open(j_compress_ptr z)
{
    struct encoder *e = (struct encoder *)z;

    z->dest->next_output_byte = e->chunk;
    z->dest->free_in_buffer = sizeof e->chunk;
}

static void put_chunk(struct encoder *e, size_t n)
{
    buf_add(e->bytes, e->chunk, n);
    if (e->bytes->failed) {
        e->status = err_nomem(e->err, n);
        longjmp(e->out, 1);
    }
}

static boolean target_full(j_compress_ptr z)
{
    struct encoder *e = (struct encoder *)z;

    put_chunk(e, sizeof e->chunk);
    target_open(z);
    return TRUE;
}

static void target_close(j_compress_ptr z)
{
    struct encoder *e = (struct encoder *)z;

    put_chunk(e, sizeof e->chunk - z->dest->free_in_buffer);
}

static void write_all(struct encoder *e)
{
    const size_t row_bytes = (size_t)e->img->width * 3;

    jpeg_create_compress(&e->z);
    e->target.init_destination = target_open;
    e->target.empty_output_buffer = target_full;
    e->target.term_destination = target_close;
    e->z.dest = &e->target;
    e->z.image_width = (JDIMENSION)e->img->width;
    e->z.image_height = (JDIMENSION)e->img->height;
    e->z.input_components = 3;
    e->z.in_color_space = JCS_RGB;
    jpeg_set_defaults(&e->z);
    jpeg_set_quality(&e->z, e->quality, TRUE);
    jpeg_start_compress(&e->z, TRUE);
    while (e->z.next_scanline < e->z.image_height) {
        JSAMPROW row = e->img->rgb + (size_t)e->z.next_scanline * row_bytes;
        jpeg_write_scanlines(&e->z, &row, 1);
    }
    jpeg_finish_compress(&e->z);
}

static void guarded_write(struct encoder *e)
{
    if (setjmp(e->out) == 0) {
        write_all(e);
    }
}

enum vov_status codec_jpeg_write(const char *path, const struct image *img, int quality,
                                 struct buf *out, struct err *err)
{
    struct encoder e = {.path = path, .img = img, .quality = quality, .bytes = out, .err = err};

    e.z.err = jpeg_std_error(&e.errors);
    e.errors.error_exit = on_write_error;
    e.errors.output_message = on_output;
    guarded_write(&e);
    jpeg_destroy_compress(&e.z);
    return e.status;
}
