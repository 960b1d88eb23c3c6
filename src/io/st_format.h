/*
 * st_format.h - what reader and writer of safetensors files share: the checksum that our files
 * carry as the first entry of their metadata. It is taken over the header, with its own digits as
 * zeros, and the data: eight bytes at a time into 64 bits, each step undoable, so that no change of
 * one word goes unseen.
 */
#ifndef VOV_ST_FORMAT_H
#define VOV_ST_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define ST_CHECKSUM_PREFIX "{\"__metadata__\":{\"checksum\":\""
enum { ST_CHECKSUM_DIGITS = 16 };

struct st_hash {
    uint64_t h, n;
    unsigned char part[8]; /* n % 8 bytes that wait for more */
};

struct st_hash st_hash_open(void);
void st_hash_add(struct st_hash *h, const void *bytes, size_t n);
void st_hash_text(const struct st_hash *h, char text[ST_CHECKSUM_DIGITS + 1]);

#endif
