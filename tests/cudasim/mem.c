/*
 * mem.c - allocations of the simulated GPU, the state of their bytes, and pinned host memory.
 */
#include "mem.h"

#include "race.h"
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define RED_ZONE 65536u
#define RED_ZONE_MAX ((size_t)64 << 20)
#define ALIGNMENT 256u /* as cudaMalloc promises */

unsigned char *mem_bytes;
unsigned char *mem_written;

struct allocation {
    uint64_t address;
    size_t bytes;
    bool freed, variable;
    sim_site site; /* where it was made */
};

struct pinned {
    unsigned char *p;
    size_t bytes;
    sim_site site;
};

/* A device's allocations in the order of their addresses. */
struct heap {
    struct allocation *all;
    size_t count;
    uint64_t next; /* address; 0: none was given away yet */
    size_t used;
};

static struct {
    struct heap heap[SIM_DEVICES];
    struct pinned *pinned;
    size_t pinned_count;
    struct sigaction previous;
} memory;

static struct heap *heap_of(uint64_t address)
{
    return &memory.heap[mem_device_of(address - MEM_BASE)];
}

/* The last allocation that starts at or below the address; NULL if none does. */
static struct allocation *find(uint64_t address)
{
    const struct heap *heap = heap_of(address);
    size_t low = 0, high = heap->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (heap->all[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? &heap->all[low - 1] : NULL;
}

const char *mem_describe(uint64_t address, char *text, size_t size)
{
    if (address - MEM_BASE >= MEM_BYTES) {
        snprintf(text, size, "%s",
                 address < 4096                   ? "a null pointer"
                 : mem_is_pinned((void *)address) ? "pinned host memory"
                                                  : "host memory or nothing");
        return text;
    }
    const struct allocation *a = find(address);
    if (!a) {
        snprintf(text, size, "below every allocation");
        return text;
    }
    const bool inside = address < a->address + a->bytes;
    const size_t distance = address - a->address - (inside ? 0 : a->bytes);
    snprintf(text, size,
             inside ? "byte %zu of allocation #%td (%zu bytes%s)"
                    : "%zu bytes past the end of allocation #%td (%zu bytes%s)",
             distance, a - heap_of(address)->all, a->bytes, a->freed ? ", freed" : "");
    return text;
}

static void *reserve(void *at, size_t bytes, int protection, int flags)
{
    void *p =
        mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    if (p == MAP_FAILED) {
        sim_unfit("cannot reserve %zu bytes of addresses", bytes);
    }
    return p;
}

/* The instruction after the one that faulted, as a return address would be. */
static sim_site fault_site(const void *context)
{
#ifdef __x86_64__
    const ucontext_t *c = context;
    return (const char *)c->uc_mcontext.gregs[REG_RIP] + 1;
#else
    (void)context;
    return NULL;
#endif
}

/* The host touched an address that it may not: if the device's, say whose; else as if uncaught. */
static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    char text[128], place[160];
    if (mem_is_device(info->si_addr)) {
        sim_report_at(site_place(fault_site(context), place, sizeof place),
                      "host code touched device memory at %p: %s", info->si_addr,
                      mem_describe((uint64_t)info->si_addr, text, sizeof text));
        fflush(NULL);
        _exit(CUSIM_EXIT);
    }
    sigaction(signal_number, &memory.previous, NULL);
}

void mem_start(void)
{
    reserve((void *)MEM_BASE, MEM_BYTES, PROT_NONE, MAP_FIXED_NOREPLACE);
    mem_bytes = reserve(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, 0);
    mem_written = reserve(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, 0);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, &memory.previous);
}

void *mem_new(size_t bytes, bool variable)
{
    const size_t zone = bytes < RED_ZONE ? RED_ZONE : bytes < RED_ZONE_MAX ? bytes : RED_ZONE_MAX;
    const uint64_t start = MEM_BASE + (uint64_t)sim_device() * MEM_DEVICE_BYTES;
    struct heap *heap = heap_of(start);
    const uint64_t address = heap->next ? heap->next : start + RED_ZONE;
    if (bytes == 0 || bytes > sim_settings.memory - heap->used ||
        address + bytes + zone > start + MEM_DEVICE_BYTES) {
        return NULL;
    }
    heap->next = (address + bytes + zone + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
    heap->all = sim_grow(heap->all, heap->count, sizeof *heap->all);
    heap->all[heap->count++] = (struct allocation){
        .address = address, .bytes = bytes, .variable = variable, .site = sim_current_site()};
    heap->used += bytes;
    return (void *)address;
}

bool mem_free(const char *who, void *p)
{
    char text[128];
    struct allocation *a = mem_is_device(p) ? find((uint64_t)p) : NULL;
    if (!a || a->address != (uint64_t)p || a->freed || a->variable) {
        sim_report("%s(%p): %s: %s", who, p,
                   a && a->freed && a->address == (uint64_t)p ? "freed twice"
                                                              : "not the start of an allocation",
                   mem_describe((uint64_t)p, text, sizeof text));
        return false;
    }
    a->freed = true;
    heap_of(a->address)->used -= a->bytes;
    mem_clear(mem_written + (a->address - MEM_BASE), a->bytes);
    mem_clear(mem_bytes + (a->address - MEM_BASE), a->bytes);
    race_forget(a->address - MEM_BASE, a->bytes);
    return true;
}

bool mem_is_freed(uint64_t address)
{
    const struct allocation *a = find(address);
    return a && a->freed && address < a->address + a->bytes;
}

bool mem_is_variable(uint64_t address)
{
    const struct allocation *a = find(address);
    return a && a->variable && address < a->address + a->bytes;
}

void mem_clear(void *p, size_t bytes)
{
    const size_t page = 4096;
    char *start = p, *end = start + bytes;
    char *first = (char *)(((uintptr_t)start + page - 1) & ~(page - 1));
    char *last = (char *)((uintptr_t)end & ~(page - 1));
    if (first >= last) {
        memset(start, 0, bytes);
        return;
    }
    memset(start, 0, (size_t)(first - start));
    memset(last, 0, (size_t)(end - last));
    madvise(first, (size_t)(last - first), MADV_DONTNEED);
}

size_t mem_used(void)
{
    return memory.heap[sim_device()].used;
}

/* The first of n bytes that nothing has written; n if there is none. */
static size_t first_unwritten(const unsigned char *written, size_t n)
{
    size_t i = 0;
    uint64_t eight;
    for (; i + 8 <= n; i += 8) {
        memcpy(&eight, written + i, 8);
        if (eight != 0x0101010101010101u) {
            break;
        }
    }
    while (i < n && written[i]) {
        i++;
    }
    return i;
}

/* The first of n bytes that does not belong to the allocation that p points into. */
static size_t first_foreign(uint64_t p, size_t n)
{
    const struct allocation *a = find(p);
    if (!a || a->freed || p >= a->address + a->bytes) {
        return 0;
    }
    const size_t own = a->address + a->bytes - p;
    return own < n ? own : n;
}

bool mem_check(const char *who, const void *p, size_t n, enum mem_access access)
{
    char text[128];
    const uint64_t address = (uint64_t)p;
    if (n == 0) {
        return true;
    }
    if (!mem_is_device(p)) {
        sim_report("%s: %p is not device memory: %s", who, p,
                   mem_describe(address, text, sizeof text));
        return false;
    }
    size_t i = first_foreign(address, n);
    if (i < n) {
        sim_report("%s: %s of %zu bytes at %p: %s", who,
                   mem_is_freed(address + i) ? "use after free" : "out of bounds", n, p,
                   mem_describe(address + i, text, sizeof text));
        return false;
    }
    i = access == MEM_READ ? first_unwritten(mem_written + (address - MEM_BASE), n) : n;
    if (i < n) {
        sim_report("%s: read of what nothing has written, of %zu bytes at %p: %s", who, n, p,
                   mem_describe(address + i, text, sizeof text));
        return false;
    }
    return true;
}

void mem_mark_written(const void *p, size_t n)
{
    memset(mem_written + ((uint64_t)p - MEM_BASE), 1, n);
}

void mem_mark_unwritten(const void *p, size_t n)
{
    memset(mem_written + ((uint64_t)p - MEM_BASE), 0, n);
}

bool mem_is_live(uint64_t address, size_t n)
{
    return first_foreign(address, n) == n;
}

bool mem_is_pinned(const void *p)
{
    for (size_t i = 0; i < memory.pinned_count; i++) {
        if ((uint64_t)p - (uint64_t)memory.pinned[i].p < memory.pinned[i].bytes) {
            return true;
        }
    }
    return false;
}

void *mem_new_pinned(size_t bytes)
{
    unsigned char *p = sim_alloc(bytes);
    memset(p, 0xff, bytes); /* not known to be anything */
    memory.pinned = sim_grow(memory.pinned, memory.pinned_count, sizeof *memory.pinned);
    memory.pinned[memory.pinned_count++] = (struct pinned){p, bytes, sim_current_site()};
    return p;
}

bool mem_free_pinned(const char *who, void *p)
{
    for (size_t i = 0; i < memory.pinned_count; i++) {
        if (memory.pinned[i].p == p) {
            free(p);
            memory.pinned[i] = memory.pinned[--memory.pinned_count];
            return true;
        }
    }
    sim_report("%s(%p): not the start of pinned memory", who, p);
    return false;
}

size_t mem_alive(void)
{
    size_t alive = memory.pinned_count;
    for (int device = 0; device < SIM_DEVICES; device++) {
        const struct heap *heap = &memory.heap[device];
        for (size_t i = 0; i < heap->count; i++) {
            alive += !heap->all[i].freed && !heap->all[i].variable;
        }
    }
    return alive;
}

static void report_heap(const struct heap *heap)
{
    char place[160];
    for (size_t i = 0; i < heap->count; i++) {
        const struct allocation *a = &heap->all[i];
        if (!a->freed && !a->variable) {
            sim_report_at(site_place(a->site, place, sizeof place),
                          "leak: allocation #%zu of %zu bytes", i, a->bytes);
        }
    }
}

void mem_report_leaks(void)
{
    char place[160];
    for (int device = 0; device < SIM_DEVICES; device++) {
        report_heap(&memory.heap[device]);
    }
    for (size_t i = 0; i < memory.pinned_count; i++) {
        const struct pinned *p = &memory.pinned[i];
        sim_report_at(site_place(p->site, place, sizeof place),
                      "leak: %zu bytes of pinned host memory", p->bytes);
    }
}
