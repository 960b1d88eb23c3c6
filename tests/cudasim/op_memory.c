/*
 * op_memory.c - loads and stores.
 */
#include "op_memory.h"

#include "mem.h"
#include "op_impl.h"
#include "sim.h"

#include <string.h>

/* Where an access that was reported goes. */
static unsigned char *nowhere(void)
{
    static unsigned char bytes[8];
    memset(bytes, 0xff, sizeof bytes);
    return bytes;
}

static void report_global(const struct race_access *a)
{
    char text[128];
    const uint64_t address = MEM_BASE + a->at;
    exec_report(a->warp, a->in, a->lane, EXEC_BOUNDS, "%s %s of %u bytes: %s",
                mem_is_freed(address) ? "use after free:" : "out of bounds",
                a->kind == RACE_READ ? "read" : "write", a->bytes,
                mem_describe(address, text, sizeof text));
}

static bool is_foreign(const struct warp *w, uint64_t at)
{
    return mem_device_of(at) != w->block->device && !mem_is_variable(MEM_BASE + at);
}

static unsigned char *access_global(struct warp *w, const struct race_access *a)
{
    if (is_foreign(w, a->at)) {
        char text[128];
        exec_report(w, a->in, a->lane, EXEC_BOUNDS,
                    "%s of %u bytes of device %d's memory on device %d: %s",
                    a->kind == RACE_READ ? "read" : "write", a->bytes, mem_device_of(a->at),
                    w->block->device, mem_describe(MEM_BASE + a->at, text, sizeof text));
        return nowhere();
    }
    unsigned char *written = mem_written + a->at;
    const uint64_t all = 0x0101010101010101u >> (64 - 8 * a->bytes);
    if (op_bits(written, a->bytes) != all) { /* else the bytes are live, too */
        if (!mem_is_live(MEM_BASE + a->at, a->bytes)) {
            report_global(a);
            return nowhere();
        }
        if (a->kind != RACE_WRITE) {
            char text[128];
            exec_report(w, a->in, a->lane, EXEC_UNWRITTEN,
                        "read of %u bytes that nothing has written: %s", a->bytes,
                        mem_describe(MEM_BASE + a->at, text, sizeof text));
        }
        if (a->kind != RACE_READ) {
            op_set_bits(written, a->bytes, all);
        }
    }
    if (sim_settings.races) {
        race_global(a);
    }
    return mem_bytes + a->at;
}

/* Bytes that nothing has written: the first of them, or -1. */
static int first_unwritten(const unsigned char *written, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        if (!written[i]) {
            return (int)i;
        }
    }
    return -1;
}

static unsigned char *access_shared(struct warp *w, const struct race_access *a)
{
    const struct block *b = w->block;
    if (a->at + a->bytes > b->shared_bytes) {
        exec_report(w, a->in, a->lane, EXEC_BOUNDS,
                    "out of bounds %s of %u bytes: byte %u of %zu of shared memory",
                    a->kind == RACE_READ ? "read" : "write", a->bytes, (unsigned)a->at,
                    b->shared_bytes);
        return nowhere();
    }
    unsigned char *written = b->shared_written + a->at;
    if (a->kind != RACE_WRITE && first_unwritten(written, a->bytes) >= 0) {
        exec_report(w, a->in, a->lane, EXEC_UNWRITTEN,
                    "read of %u bytes that nothing has written: byte %u of shared memory", a->bytes,
                    (unsigned)a->at);
    }
    if (a->kind != RACE_READ) {
        memset(written, 1, a->bytes);
    }
    if (sim_settings.races) {
        race_shared(a);
    }
    return b->shared + a->at;
}

static unsigned char *access_local(struct warp *w, const struct race_access *a)
{
    const uint32_t room = w->block->kernel->local_bytes;
    if (a->at + a->bytes > room) {
        exec_report(w, a->in, a->lane, EXEC_BOUNDS,
                    "out of bounds %s of %u bytes: byte %u of %u of local memory",
                    a->kind == RACE_READ ? "read" : "write", a->bytes, (unsigned)a->at, room);
        return nowhere();
    }
    const size_t at = (size_t)a->lane * room + a->at;
    if (a->kind != RACE_WRITE && first_unwritten(w->local_written + at, a->bytes) >= 0) {
        exec_report(w, a->in, a->lane, EXEC_UNWRITTEN,
                    "read of %u bytes that nothing has written: byte %u of local memory", a->bytes,
                    (unsigned)a->at);
    }
    if (a->kind != RACE_READ) {
        memset(w->local_written + at, 1, a->bytes);
    }
    return w->local + at;
}

static unsigned char *access_param(struct warp *w, const struct race_access *a)
{
    static unsigned char copy[8];
    if (a->at + a->bytes > w->block->kernel->param_bytes || a->kind != RACE_READ) {
        exec_report(w, a->in, a->lane, EXEC_BOUNDS, "access to byte %u of %u of the parameters",
                    (unsigned)a->at, w->block->kernel->param_bytes);
        return nowhere();
    }
    memcpy(copy, w->block->params + a->at, a->bytes);
    return copy;
}

unsigned char *op_access(struct warp *w, const struct instruction *in, int lane, uint64_t address,
                         unsigned bytes, enum race_kind kind)
{
    struct race_access a = {w, in, lane, address - MEM_BASE, bytes, kind};
    if (address & (bytes - 1)) {
        exec_report(w, in, lane, EXEC_ALIGNMENT, "access of %u bytes at 0x%llx is not aligned",
                    bytes, (unsigned long long)address);
        return nowhere();
    }
    if (a.at < MEM_BYTES && in->space != PTX_SHARED) {
        return access_global(w, &a);
    }
    if (in->space == PTX_SHARED || address - PTX_SHARED_BASE < PTX_WINDOW) {
        a.at = address < PTX_SHARED_BASE ? address : address - PTX_SHARED_BASE;
        return access_shared(w, &a);
    }
    if (in->space == PTX_LOCAL || address - PTX_LOCAL_BASE < PTX_WINDOW) {
        a.at = address < PTX_LOCAL_BASE ? address : address - PTX_LOCAL_BASE;
        return access_local(w, &a);
    }
    if (in->space == PTX_PARAM || address - PTX_PARAM_BASE < PTX_WINDOW) {
        a.at = address < PTX_PARAM_BASE ? address : address - PTX_PARAM_BASE;
        return access_param(w, &a);
    }
    char text[128];
    exec_report(w, in, lane, EXEC_BOUNDS, "%s of %u bytes at 0x%llx: %s",
                kind == RACE_READ ? "read" : "write", bytes, (unsigned long long)address,
                mem_describe(address, text, sizeof text));
    return nowhere();
}

/* A vector must be aligned as a whole. */
static bool check_vector(struct warp *w, const struct instruction *in, int lane, uint64_t address,
                         unsigned bytes)
{
    const unsigned all = bytes * (unsigned)in->vector;
    if (address & (all - 1)) {
        exec_report(w, in, lane, EXEC_ALIGNMENT, "access of %u bytes at 0x%llx is not aligned", all,
                    (unsigned long long)address);
        return false;
    }
    return true;
}

OP(load)
{
    const unsigned bytes = (unsigned)ptx_type_bytes(in->type);
    FOR_LANES({
        const uint64_t address = op_address(w, in, l);
        if (check_vector(w, in, l, address, bytes)) {
            for (int i = 0; i < in->vector; i++) {
                const unsigned char *p =
                    op_access(w, in, l, address + bytes * (unsigned)i, bytes, RACE_READ);
                op_put(w, in, i, l, in->type, op_bits(p, bytes));
            }
        }
    });
}

OP(store)
{
    const unsigned bytes = (unsigned)ptx_type_bytes(in->type);
    FOR_LANES({
        const uint64_t address = op_address(w, in, l);
        if (check_vector(w, in, l, address, bytes)) {
            for (int i = 0; i < in->vector; i++) {
                unsigned char *p =
                    op_access(w, in, l, address + bytes * (unsigned)i, bytes, RACE_WRITE);
                op_set_bits(p, bytes, op_get(w, in, i, l, in->type));
            }
        }
    });
}

const struct op_row op_memory_rows[] = {{"ld", load}, {"st", store}, {NULL, NULL}};
