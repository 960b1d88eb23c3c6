/*
 * image.c - reading and writing pictures: which format the bytes are, limits, EXIF turning.
 */
#include "image.h"

#include "base/file.h"
#include "base/mem.h"
#include "codec.h"

#include <string.h>
#include <strings.h>

enum { MAX_FILE = 1 << 30, HEAD_BYTES = 256 << 10, JPEG_QUALITY = 92 };

enum format { FORMAT_JPEG, FORMAT_PNG, FORMAT_OTHER };

/* First bytes of formats: ours, and those that deserve to be refused by name. */
static const struct magic {
    const char *name;
    size_t at, n;
    const char *bytes;
    enum format format;
} magics[] = {
    {"JPEG", 0, 3, "\xff\xd8\xff", FORMAT_JPEG}, {"PNG", 0, 8, "\x89PNG\r\n\x1a\n", FORMAT_PNG},
    {"WebP", 8, 4, "WEBP", FORMAT_OTHER},        {"GIF", 0, 4, "GIF8", FORMAT_OTHER},
    {"BMP", 0, 2, "BM", FORMAT_OTHER},           {"TIFF", 0, 4, "II*\0", FORMAT_OTHER},
    {"TIFF", 0, 4, "MM\0*", FORMAT_OTHER},       {"AVIF", 4, 8, "ftypavif", FORMAT_OTHER},
    {"HEIC", 4, 8, "ftypheic", FORMAT_OTHER},    {"HEIF", 4, 8, "ftypmif1", FORMAT_OTHER},
    {"JPEG 2000", 4, 4, "jP  ", FORMAT_OTHER},   {"JPEG XL", 4, 4, "JXL ", FORMAT_OTHER},
    {"Photoshop", 0, 4, "8BPS", FORMAT_OTHER},   {"SVG", 0, 4, "<svg", FORMAT_OTHER},
    {"PDF", 0, 4, "%PDF", FORMAT_OTHER},
};

static const struct magic *sniff(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const struct magic *m = &magics[i];
        if (n >= m->at + m->n && memcmp(bytes + m->at, m->bytes, m->n) == 0) {
            return m;
        }
    }
    return NULL;
}

static enum vov_status find_format(const struct encoded *in, enum format *format, struct err *err)
{
    const struct magic *m = sniff(in->bytes, in->n);

    if (in->n == 0) {
        return err_set(err, VOV_EFORMAT, "%s: empty file, expected a JPEG or PNG picture",
                       in->path);
    }
    if (m == NULL) {
        return err_set(err, VOV_EFORMAT, "%s: no picture: its first bytes are neither JPEG nor PNG",
                       in->path);
    }
    if (m->format == FORMAT_OTHER) {
        return err_set(err, VOV_EFORMAT, "%s: %s pictures are not read; convert it to JPEG or PNG",
                       in->path, m->name);
    }
    *format = m->format;
    return VOV_OK;
}

bool image_has_name(const char *path)
{
    static const char *const ends[] = {"jpg", "jpeg", "png"};

    for (int i = 0; i < 3; i++) {
        if (strcasecmp(path_ext(path), ends[i]) == 0) {
            return path_base(path)[0] != '.';
        }
    }
    return false;
}

void image_free(struct image *img)
{
    mem_free(img->rgb);
    *img = (struct image){0};
}

bool image_take(struct image *img, int width, int height)
{
    const size_t bytes = (size_t)width * (size_t)height * 3;

    if (img->room < bytes) {
        image_free(img);
        img->rgb = mem_resize(NULL, bytes, 1);
        if (img->rgb == NULL) {
            return false;
        }
        img->room = bytes;
    }
    img->width = width;
    img->height = height;
    return true;
}

enum vov_status codec_take(const struct encoded *in, unsigned long width, unsigned long height,
                           size_t ratio, struct image *img, struct err *err)
{
    if (width == 0 || height == 0) {
        return err_set(err, VOV_EFORMAT, "%s: the picture is empty (%lu x %lu)", in->path, width,
                       height);
    }
    if (width > IMAGE_MAX_PIXELS / height) {
        return err_set(err, VOV_EFORMAT, "%s: %lu x %lu pixels are more than %d", in->path, width,
                       height, IMAGE_MAX_PIXELS);
    }
    if (width * height / ratio > in->n) {
        return err_set(err, VOV_EFORMAT, "%s: %zu bytes cannot hold %lu x %lu pixels", in->path,
                       in->n, width, height);
    }
    return image_take(img, (int)width, (int)height) ? VOV_OK : err_nomem(err, width * height * 3);
}

/* Orientations 5..8 swap the axes. */
static bool turns_axes(int orientation)
{
    return orientation >= 5;
}

/*
 * Which stored pixel is shown at (x, y): by EXIF's table of what row 0 and column 0 are.
 * sx and sy are steps in pixels of the stored picture for one step to the right and down.
 */
struct turn {
    long start, right, down;
};

static struct turn turn_of(int orientation, long w, long h)
{
    switch (orientation) {
    case 2: /* mirrored left to right */
        return (struct turn){w - 1, -1, w};
    case 3: /* by 180 degrees */
        return (struct turn){w * h - 1, -1, -w};
    case 4: /* upside down, mirrored */
        return (struct turn){w * (h - 1), 1, -w};
    case 5: /* transposed */
        return (struct turn){0, w, 1};
    case 6: /* stored lying on its left side: turn it by 90 degrees to the right */
        return (struct turn){w * (h - 1), -w, 1};
    case 7: /* transposed over the other diagonal */
        return (struct turn){w * h - 1, -w, -1};
    case 8: /* by 90 degrees to the left */
        return (struct turn){w - 1, w, -1};
    default:
        return (struct turn){0, 1, w};
    }
}

static enum vov_status apply_orientation(struct image *img, int orientation, struct err *err)
{
    const long w = img->width, h = img->height;
    const bool swap = turns_axes(orientation);
    const long out_w = swap ? h : w, out_h = swap ? w : h;
    const struct turn t = turn_of(orientation, w, h);

    if (orientation <= 1) {
        return VOV_OK;
    }
    uint8_t *out = mem_alloc((size_t)(w * h), 3);
    if (out == NULL) {
        return err_nomem(err, (size_t)(w * h) * 3);
    }
    for (long y = 0; y < out_h; y++) {
        for (long x = 0; x < out_w; x++) {
            const uint8_t *from = img->rgb + 3 * (t.start + x * t.right + y * t.down);
            memcpy(out + 3 * (y * out_w + x), from, 3);
        }
    }
    mem_free(img->rgb);
    *img = (struct image){out, (int)out_w, (int)out_h, (size_t)(w * h) * 3};
    return VOV_OK;
}

static enum vov_status decode(const char *path, const void *bytes, size_t n, const struct log *log,
                              struct image *img, struct err *err)
{
    const struct encoded in = {path, bytes, n, log};
    enum format format;
    int orientation = 1;

    TRY(find_format(&in, &format, err));
    if (format == FORMAT_JPEG) {
        TRY(codec_jpeg_read(&in, img, &orientation, err));
    } else {
        TRY(codec_png_read(&in, img, &orientation, err));
    }
    const enum vov_status status = apply_orientation(img, orientation, err);
    if (status != VOV_OK) {
        image_free(img);
    }
    return status;
}

enum vov_status image_decode(const char *path, const void *bytes, size_t n, const struct log *log,
                             struct image *img, struct err *err)
{
    *img = (struct image){0};
    return decode(path, bytes, n, log, img, err);
}

enum vov_status image_read(const char *path, const struct log *log, struct image *img,
                           struct err *err)
{
    *img = (struct image){0};
    return image_read_again(path, log, img, err);
}

enum vov_status image_read_again(const char *path, const struct log *log, struct image *img,
                                 struct err *err)
{
    struct buf file = {0};

    enum vov_status status = err_of_input(err, file_read(path, MAX_FILE, &file, err), VOV_EFORMAT);
    if (status == VOV_OK) {
        status = decode(path, file.p, file.n, log, img, err);
    }
    buf_free(&file);
    return status;
}

static enum vov_status size_of(const struct encoded *in, int *width, int *height, struct err *err)
{
    enum format format;
    struct image img = {0};
    int orientation = 1;

    TRY(find_format(in, &format, err));
    if (format == FORMAT_JPEG) {
        TRY(codec_jpeg_size(in, &img, &orientation, err));
    } else {
        TRY(codec_png_size(in, &img, &orientation, err));
    }
    *width = turns_axes(orientation) ? img.height : img.width;
    *height = turns_axes(orientation) ? img.width : img.height;
    return VOV_OK;
}

/* The head is nearly always in the first bytes; a file with much before it is read whole. */
enum vov_status image_size(const char *path, int *width, int *height, struct err *err)
{
    struct buf bytes = {0};
    FILE *f;
    enum vov_status status = VOV_EFORMAT;

    TRY(err_of_input(err, file_open(path, &f, err), VOV_EFORMAT));
    char *head = mem_alloc(1, HEAD_BYTES);
    const size_t n = head != NULL ? fread(head, 1, HEAD_BYTES, f) : 0;
    const bool whole = n < HEAD_BYTES && !ferror(f);
    fclose(f);
    if (n > 0) {
        const struct encoded in = {path, (const uint8_t *)head, n, NULL};
        status = size_of(&in, width, height, whole ? err : NULL);
    }
    mem_free(head);
    if (status == VOV_OK || (whole && n > 0)) {
        return status;
    }
    status = err_of_input(err, file_read(path, MAX_FILE, &bytes, err), VOV_EFORMAT);
    if (status == VOV_OK) {
        const struct encoded in = {path, (const uint8_t *)bytes.p, bytes.n, NULL};
        status = size_of(&in, width, height, err);
    }
    buf_free(&bytes);
    return status;
}

/* The old file or the new one, but without waiting for the disk. */
static enum vov_status write_quickly(const char *path, const struct buf *bytes, struct err *err)
{
    struct file_writer w;

    TRY(file_create(path, &w, err));
    w.quick = true;
    file_put(&w, bytes->p, bytes->n);
    return file_commit(&w, err);
}

enum vov_status image_encode(const char *path, const struct image *img, struct buf *out,
                             struct err *err)
{
    const char *ext = path_ext(path);

    if (img->width < 1 || img->height < 1) {
        return err_set(err, VOV_EARG, "%s: a picture of %d x %d cannot be written", path,
                       img->width, img->height);
    }
    if (strcasecmp(ext, "png") == 0) {
        return codec_png_write(path, img, out, err);
    }
    if (strcasecmp(ext, "jpg") == 0 || strcasecmp(ext, "jpeg") == 0) {
        return codec_jpeg_write(path, img, JPEG_QUALITY, out, err);
    }
    return err_set(err, VOV_EARG, "%s: a picture's name ends in .png, .jpg or .jpeg", path);
}

enum vov_status image_write(const char *path, const struct image *img, struct err *err)
{
    struct buf out = {0};
    enum vov_status status = image_encode(path, img, &out, err);

    if (status == VOV_OK) {
        status = write_quickly(path, &out, err);
    }
    buf_free(&out);
    return status;
}
