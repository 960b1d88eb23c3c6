/*
 * safetensors_write.c - writing, and the checksum. The header holds the checksum of the numbers
 * that follow it, so they are asked for twice: once to be summed, once to be written.
 */
#include "safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "st_format.h"

#include <string.h>

static const char *const dtype_name = sizeof(real) == 8 ? "F64" : "F32";

struct st_hash st_hash_open(void)
{
    return (struct st_hash){.h = 0x2545f4914f6cdd1dULL};
}

static void add_word(struct st_hash *h, const unsigned char *p)
{
    uint64_t w = 0;
    for (int i = 7; i >= 0; i--) {
        w = w << 8 | p[i];
    }
    h->h = (h->h ^ w) * 0x9e3779b97f4a7c15ULL;
    h->h ^= h->h >> 29;
}

void st_hash_add(struct st_hash *h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    while (n > 0 && h->n % 8 != 0) {
        h->part[h->n++ % 8] = *p++;
        n--;
        if (h->n % 8 == 0) {
            add_word(h, h->part);
        }
    }
    const size_t n_words = n / 8;
    for (size_t i = 0; i < n_words; i++) {
        add_word(h, p + 8 * i);
    }
    h->n += 8 * n_words;
    for (size_t i = 8 * n_words; i < n; i++) {
        h->part[h->n++ % 8] = p[i];
    }
}

void st_hash_text(const struct st_hash *h, char text[ST_CHECKSUM_DIGITS + 1])
{
    struct st_hash end = *h;
    const unsigned char zeros[8] = {0};
    if (end.n % 8 != 0) {
        st_hash_add(&end, zeros, 8 - (size_t)(end.n % 8));
    }
    end.h = (end.h ^ h->n) * 0x9e3779b97f4a7c15ULL;
    end.h ^= end.h >> 32;
    for (int i = 0; i < ST_CHECKSUM_DIGITS; i++) {
        text[i] = "0123456789abcdef"[end.h >> (60 - 4 * i) & 15];
    }
    text[ST_CHECKSUM_DIGITS] = '\0';
}

static size_t count_of(const struct st_source *s)
{
    size_t n = 1;
    for (int i = 0; i < s->rank; i++) {
        n *= s->dim[i];
    }
    return n;
}

static void put_source(struct buf *b, const struct st_source *s, size_t *offset)
{
    buf_puts(b, ",");
    json_put_str(b, s->name);
    buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name);
    for (int i = 0; i < s->rank; i++) {
        buf_printf(b, "%s%zu", i > 0 ? "," : "", s->dim[i]);
    }
    const size_t end = *offset + count_of(s) * sizeof(real);
    buf_printf(b, "],\"data_offsets\":[%zu,%zu]}", *offset, end);
    *offset = end;
}

/* The header, its checksum still zeros, padded so that the numbers begin at a multiple of 8. */
static void put_header(struct buf *b, const struct st_source *source, int n, const struct map *meta)
{
    size_t offset = 0;
    buf_puts(b, ST_CHECKSUM_PREFIX "0000000000000000\"");
    for (int i = 0; meta != NULL && i < meta->n; i++) {
        buf_puts(b, ",");
        json_put_str(b, meta->entry[i].key);
        buf_puts(b, ":");
        json_put_str(b, meta->entry[i].value);
    }
    buf_puts(b, "}");
    for (int i = 0; i < n; i++) {
        put_source(b, &source[i], &offset);
    }
    buf_puts(b, "}");
    while (!b->failed && b->n % 8 != 0) {
        buf_puts(b, " ");
    }
}

/* The bytes of n numbers in the order of the file, which is that of every machine that we build
 * for; a big-endian one would turn them here. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file's numbers are little-endian");

static void write_all(struct file_writer *w, const struct buf *head, const struct st_source *source,
                      int n, real *numbers)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)((uint64_t)head->n >> (8 * i));
    }
    file_put(w, length, sizeof length);
    file_put(w, head->p, head->n);
    for (int i = 0; i < n; i++) {
        source[i].get(source[i].user, &source[i], numbers);
        file_put(w, numbers, count_of(&source[i]) * sizeof(real));
    }
}

static void put_checksum(struct buf *head, const struct st_source *source, int n, real *numbers)
{
    char text[ST_CHECKSUM_DIGITS + 1];
    struct st_hash h = st_hash_open();
    st_hash_add(&h, head->p, head->n);
    for (int i = 0; i < n; i++) {
        source[i].get(source[i].user, &source[i], numbers);
        st_hash_add(&h, numbers, count_of(&source[i]) * sizeof(real));
    }
    st_hash_text(&h, text);
    memcpy(head->p + strlen(ST_CHECKSUM_PREFIX), text, ST_CHECKSUM_DIGITS);
}

enum vov_status safetensors_write(const char *path, const struct st_source *source, int n,
                                  const struct map *meta, struct err *err)
{
    struct buf head = {0};
    struct file_writer w;
    size_t most = 1;
    for (int i = 0; i < n; i++) {
        most = count_of(&source[i]) > most ? count_of(&source[i]) : most;
    }
    real *numbers = mem_alloc(most, sizeof(real));
    put_header(&head, source, n, meta);
    enum vov_status status;
    if (numbers == NULL || head.failed) {
        status = err_nomem(err, most * sizeof(real));
        goto done;
    }
    put_checksum(&head, source, n, numbers);
    status = file_create(path, &w, err);
    if (status != VOV_OK) {
        goto done;
    }
    write_all(&w, &head, source, n, numbers);
    status = file_commit(&w, err);

done:
    mem_free(numbers);
    buf_free(&head);
    return status;
}
