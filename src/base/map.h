/*
 * map.h - strings to pointers, kept in order of insertion. Keys are borrowed.
 */
#ifndef VOV_MAP_H
#define VOV_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map_entry {
    const char *key;
    void *value;
};

struct map {
    struct map_entry *entry; /* [n], in order of insertion */
    int n, cap;
    int *slot; /* hash table of indices into entry, -1 for none */
    int n_slots;
};

bool map_put(struct map *m, const char *key, void *value); /* false: no memory. Replaces. */
void *map_get(const struct map *m, const char *key);       /* NULL: not there */
void map_free(struct map *m);

/* The same with whole numbers as keys (COCO ids), values being array indices. */
struct idmap {
    long long *key;
    int *value;
    int n, n_slots;
};
bool idmap_put(struct idmap *m, long long key, int value); /* false: no memory. Replaces. */
int idmap_get(const struct idmap *m, long long key);       /* -1: not there */
void idmap_free(struct idmap *m);

#endif
