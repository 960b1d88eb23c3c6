/* handle.c - the list of the libraries' live objects. */
#include "handle.h"

#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct handle {
    struct handle *next;
    const char *kind;
    sim_site site; /* where it was made */
    max_align_t object[];
};

static struct handle *handles;

/* The link to the object's handle; to NULL if there is none. */
static struct handle **find(const char *kind, const void *p)
{
    struct handle **h = &handles;
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
    h->next = handles;
    handles = h;
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
    for (struct handle *h = handles; h; h = h->next) {
        if (strcmp(h->kind, kind) == 0) {
            f(h->object, context);
        }
    }
}

size_t handle_alive(void)
{
    size_t alive = 0;
    for (const struct handle *h = handles; h; h = h->next) {
        alive++;
    }
    return alive;
}

void handle_report_leaks(void)
{
    for (const struct handle *h = handles; h; h = h->next) {
        char place[160];
        sim_report_at(site_place(h->site, place, sizeof place), "leak: one %s", h->kind);
    }
}
