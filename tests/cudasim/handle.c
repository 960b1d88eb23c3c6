/*
 * handle.c - the table of the libraries' live objects.
 */
#include "handle.h"

#include "sim.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct handle {
    struct handle *next;
    const char *kind;
    sim_site site; /* where it was made */
    max_align_t object[];
};

/* By their addresses; the newest of a bucket first. */
#define BUCKETS 4096u
static struct handle *buckets[BUCKETS];

static struct handle **bucket_of(const void *p)
{
    return &buckets[((uintptr_t)p >> 4) * 0x9e3779b1u % BUCKETS];
}

/* The link to the object's handle; to NULL if there is none. */
static struct handle **find(const char *kind, const void *p)
{
    struct handle **h = bucket_of(p);
    while (*h && ((*h)->object != p || strcmp((*h)->kind, kind) != 0)) {
        h = &(*h)->next;
    }
    return h;
}

void *handle_new(const char *kind, size_t bytes)
{
    struct handle *h = sim_alloc(sizeof *h + bytes);
    h->kind = kind;
    h->site = sim_current_site();
    struct handle **bucket = bucket_of(h->object);
    h->next = *bucket;
    *bucket = h;
    return h->object;
}

void *handle_get(const char *kind, const void *p)
{
    struct handle *h = *find(kind, p);
    if (!h) {
        sim_report("%p is not a live %s", p, kind);
    }
    return h ? h->object : NULL;
}

void handle_free(const char *kind, void *p)
{
    struct handle **link = find(kind, p);
    struct handle *h = *link;
    if (!h) {
        sim_report("%s %p destroyed twice or never made", kind, p);
        return;
    }
    *link = h->next;
    free(h);
}

void handle_each(const char *kind, void (*f)(void *object, void *context), void *context)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct handle *h = buckets[i]; h; h = h->next) {
            if (!kind || strcmp(h->kind, kind) == 0) {
                f(h->object, context);
            }
        }
    }
}

static void count(void *object, void *n)
{
    (void)object;
    ++*(size_t *)n;
}

size_t handle_alive(void)
{
    size_t n = 0;
    handle_each(NULL, count, &n);
    return n;
}

static void report_leak(void *object, void *unused)
{
    char place[160];
    const struct handle *h = (struct handle *)((char *)object - offsetof(struct handle, object));
    (void)unused;
    sim_report_at(site_place(h->site, place, sizeof place), "leak: one %s", h->kind);
}

void handle_report_leaks(void)
{
    handle_each(NULL, report_leak, NULL);
}
