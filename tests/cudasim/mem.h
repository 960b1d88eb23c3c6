/*
 * mem.h - the memory of the simulated GPU.
 *
 * Device addresses lie in one reserved range that the host can neither read nor write, so host code
 * that follows a device pointer faults at once. The bytes themselves are kept in a second mapping,
 * and for each of them in a third whether anything has written it: a written byte is a live one.
 * Addresses are never used again, and a red zone as large as the allocation follows it, so that a
 * late or wild pointer always meets bytes that are known to be nobody's.
 */
#ifndef VOV_TESTS_CUDASIM_MEM_H
#define VOV_TESTS_CUDASIM_MEM_H

#include "sim.h"

#define MEM_BASE 0x200000000000u
#define MEM_BYTES ((uint64_t)1 << 40)
#define MEM_DEVICE_BYTES (MEM_BYTES / SIM_DEVICES) /* the device is the address's highest part */

enum mem_access { MEM_READ, MEM_WRITE };

/* The byte at an address is mem_bytes[address - MEM_BASE]; mem_written[...] is 1 if it was written.
 */
extern unsigned char *mem_bytes;
extern unsigned char *mem_written;

/* Maps the memory and catches the faults of the host. */
void mem_start(void);

static inline bool mem_is_device(const void *p)
{
    return (uint64_t)p - MEM_BASE < MEM_BYTES;
}

/* Whose memory an offset from MEM_BASE is. */
static inline int mem_device_of(uint64_t at)
{
    return (int)(at / MEM_DEVICE_BYTES);
}

/* The host's view of a device pointer. */
static inline void *mem_host(const void *device)
{
    return mem_bytes + ((uint64_t)device - MEM_BASE);
}

/* New memory of the thread's device; NULL if there is not enough. `variable`: a variable of a
 * module, which nobody frees and all devices see. Zero bytes give a NULL, as cudaMalloc does.
 */
void *mem_new(size_t bytes, bool variable);

/* Gives an allocation back. False and a report in the name of `who` if p is not the start of one.
 */
bool mem_free(const char *who, void *p);

/* Bytes in use on the thread's device. */
size_t mem_used(void);

/* Whether a library call may read or write n bytes at p. If not: false and a report. */
bool mem_check(const char *who, const void *p, size_t n, enum mem_access access);

void mem_mark_written(const void *p, size_t n);
void mem_mark_unwritten(const void *p, size_t n);

/* Whether all of n bytes belong to one allocation that is not freed. */
bool mem_is_live(uint64_t address, size_t n);

/* Whether the address is of an allocation that was freed; of a variable. */
bool mem_is_freed(uint64_t address);
bool mem_is_variable(uint64_t address);

/* Gives the pages of a part of a large mapping back: its bytes are 0 again. */
void mem_clear(void *p, size_t bytes);

/* Names an address: "12 bytes past the end of allocation #3 (4096 bytes)". Returns text. */
const char *mem_describe(uint64_t address, char *text, size_t size);

/* Pinned host memory: p points into it; and its making and ending. */
bool mem_is_pinned(const void *p);
void *mem_new_pinned(size_t bytes);
bool mem_free_pinned(const char *who, void *p);

size_t mem_alive(void);
void mem_report_leaks(void);

#endif
