/*
 * map.c - hash tables with open addressing; at most two slots in three are taken.
 */
#include "map.h"

#include "mem.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s != '\0'; s++) {
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    }
    return h ^ (h >> 32);
}

/* Stafford's mix 13: every bit of the key reaches every bit of the result. */
static uint64_t hash_number(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* How many slots a table of n items is moved to before one more is added, or 0: it has room. */
static int wanted_slots(int n, int n_slots)
{
    if (n_slots > 0 && n < n_slots / 3 * 2) {
        return 0;
    }
    return n_slots == 0 ? 16 : n_slots <= INT_MAX / 2 ? n_slots * 2 : -1;
}

/* The slot that holds the key, or the empty one where it would go. */
static int *find_slot(const struct map *m, const char *key)
{
    const unsigned mask = (unsigned)m->n_slots - 1;
    unsigned i = (unsigned)hash_text(key) & mask;
    while (m->slot[i] >= 0 && strcmp(m->entry[m->slot[i]].key, key) != 0) {
        i = (i + 1) & mask;
    }
    return &m->slot[i];
}

static bool map_grow(struct map *m, int n_slots)
{
    int *slot = n_slots > 0 ? mem_alloc((size_t)n_slots, sizeof *slot) : NULL;
    if (slot == NULL) {
        return false;
    }
    memset(slot, 0xff, (size_t)n_slots * sizeof *slot);
    mem_free(m->slot);
    m->slot = slot;
    m->n_slots = n_slots;
    for (int i = 0; i < m->n; i++) {
        *find_slot(m, m->entry[i].key) = i;
    }
    return true;
}

bool map_put(struct map *m, const char *key, void *value)
{
    const int wanted = wanted_slots(m->n, m->n_slots);
    if (wanted != 0 && !map_grow(m, wanted)) {
        return false;
    }
    int *slot = find_slot(m, key);
    if (*slot >= 0) {
        m->entry[*slot].value = value;
        return true;
    }
    if (!VEC_GROW(m->entry, m->n, m->cap)) {
        return false;
    }
    m->entry[m->n] = (struct map_entry){key, value};
    *slot = m->n++;
    return true;
}

void *map_get(const struct map *m, const char *key)
{
    if (m->n == 0) {
        return NULL;
    }
    const int *slot = find_slot(m, key);
    return *slot >= 0 ? m->entry[*slot].value : NULL;
}

void map_free(struct map *m)
{
    mem_free(m->entry);
    mem_free(m->slot);
    *m = (struct map){0};
}

static unsigned id_slot(const struct idmap *m, long long key)
{
    const unsigned mask = (unsigned)m->n_slots - 1;
    unsigned i = (unsigned)hash_number((uint64_t)key) & mask;
    while (m->value[i] >= 0 && m->key[i] != key) {
        i = (i + 1) & mask;
    }
    return i;
}

static bool idmap_grow(struct idmap *m, int n_slots)
{
    struct idmap bigger = {.n = m->n, .n_slots = n_slots};
    if (n_slots > 0) {
        bigger.key = mem_alloc((size_t)n_slots, sizeof *bigger.key);
        bigger.value = mem_alloc((size_t)n_slots, sizeof *bigger.value);
    }
    if (bigger.key == NULL || bigger.value == NULL) {
        idmap_free(&bigger);
        return false;
    }
    memset(bigger.value, 0xff, (size_t)n_slots * sizeof *bigger.value);
    for (int i = 0; i < m->n_slots; i++) {
        if (m->value[i] >= 0) {
            const unsigned to = id_slot(&bigger, m->key[i]);
            bigger.key[to] = m->key[i];
            bigger.value[to] = m->value[i];
        }
    }
    idmap_free(m);
    *m = bigger;
    return true;
}

bool idmap_put(struct idmap *m, long long key, int value)
{
    const int wanted = wanted_slots(m->n, m->n_slots);
    if (wanted != 0 && !idmap_grow(m, wanted)) {
        return false;
    }
    const unsigned i = id_slot(m, key);
    m->n += m->value[i] < 0;
    m->key[i] = key;
    m->value[i] = value;
    return true;
}

int idmap_get(const struct idmap *m, long long key)
{
    return m->n > 0 ? m->value[id_slot(m, key)] : -1;
}

void idmap_free(struct idmap *m)
{
    mem_free(m->key);
    mem_free(m->value);
    *m = (struct idmap){0};
}
