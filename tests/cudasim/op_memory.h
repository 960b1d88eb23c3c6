/* op_memory.h - the way of every access to memory: checked for bounds, for bytes that nothing has
 * written, and for races.
 */
#ifndef VOV_TESTS_CUDASIM_OP_MEMORY_H
#define VOV_TESTS_CUDASIM_OP_MEMORY_H

#include "race.h"

/* The bytes that a lane may read or write; after a report, bytes of no meaning. */
unsigned char *op_access(struct warp *w, const struct instruction *in, int lane, uint64_t address,
                         unsigned bytes, enum race_kind kind);

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
