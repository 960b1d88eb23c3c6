/*
 * op_memory.h - the way of every access to memory: checked for bounds, for bytes that nothing has
 * written, and for races.
 */
#ifndef VOV_TESTS_CUDASIM_OP_MEMORY_H
#define VOV_TESTS_CUDASIM_OP_MEMORY_H

#include "race.h"

#include <string.h>

/* The bytes that a lane may read or write; after a report, bytes of no meaning. */
unsigned char *op_access(struct warp *w, const struct instruction *in, int lane, uint64_t address,
                         unsigned bytes, enum race_kind kind);

/* 1, 2, 4 or 8 bytes of memory, and back. Not one memcpy: a number that is stored in pieces and
 * read as a whole stalls the processor.
 */
static inline uint64_t op_bits(const void *p, unsigned bytes)
{
    uint8_t b1;
    uint16_t b2;
    uint32_t b4;
    uint64_t b8;
    switch (bytes) {
    case 1:
        memcpy(&b1, p, 1);
        return b1;
    case 2:
        memcpy(&b2, p, 2);
        return b2;
    case 4:
        memcpy(&b4, p, 4);
        return b4;
    default:
        memcpy(&b8, p, 8);
        return b8;
    }
}

static inline void op_set_bits(void *p, unsigned bytes, uint64_t bits)
{
    const uint8_t b1 = (uint8_t)bits;
    const uint16_t b2 = (uint16_t)bits;
    const uint32_t b4 = (uint32_t)bits;
    switch (bytes) {
    case 1:
        memcpy(p, &b1, 1);
        break;
    case 2:
        memcpy(p, &b2, 2);
        break;
    case 4:
        memcpy(p, &b4, 4);
        break;
    default:
        memcpy(p, &bits, 8);
    }
}

/* The address in the brackets, for a lane. */
static inline uint64_t op_address(const struct warp *w, const struct instruction *in, int lane)
{
    if (in->base == PTX_NO_OPERAND) {
        return (uint64_t)in->offset;
    }
    const union reg *r =
        in->base >= 0 ? &w->registers[in->base] : &w->block->kernel->constants[~in->base];
    return (in->base_wide ? r->U[lane] : r->u[lane]) + (uint64_t)in->offset;
}

#endif
