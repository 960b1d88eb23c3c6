/*
 * exif.c - the orientation tag of an EXIF block, which is a TIFF file in small: a byte order, the
 * offset of a directory, and in it entries of 12 bytes (TIFF 6.0, section 2; EXIF 2.3, 4.6.4).
 * Every offset comes from the file and is checked; whatever does not fit means "no orientation".
 */
#include "codec.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };

struct tiff {
    const uint8_t *p;
    size_t n;
    bool big; /* "MM": most significant byte first */
};

static bool get16(const struct tiff *t, size_t at, unsigned *v)
{
    if (t->n < 2 || at > t->n - 2) {
        return false;
    }
    const unsigned a = t->p[at], b = t->p[at + 1];
    *v = t->big ? a << 8 | b : b << 8 | a;
    return true;
}

static bool get32(const struct tiff *t, size_t at, size_t *v)
{
    unsigned a, b;
    if (t->n < 4 || at > t->n - 4 || !get16(t, at, &a) || !get16(t, at + 2, &b)) {
        return false;
    }
    *v = t->big ? (size_t)a << 16 | b : (size_t)b << 16 | a;
    return true;
}

static int find_orientation(const struct tiff *t)
{
    unsigned magic, count, tag, type, value;
    size_t dir, items;

    if (!get16(t, 2, &magic) || magic != 42 || !get32(t, 4, &dir) || !get16(t, dir, &count)) {
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t at = dir + 2 + 12 * i;
        if (!get16(t, at, &tag) || !get16(t, at + 2, &type) || !get32(t, at + 4, &items)) {
            return 1;
        }
        if (tag == TAG_ORIENTATION) {
            const bool ok = type == TYPE_SHORT && items == 1 && get16(t, at + 8, &value);
            return ok && value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

int exif_orientation(const uint8_t *tiff, size_t n)
{
    struct tiff t = {tiff, n, false};

    if (n < 2 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) {
        return 1;
    }
    if (n < 8) {
        return 0;
    }
    t.big = tiff[0] == 'M';
    return find_orientation(&t);
}
