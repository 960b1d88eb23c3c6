/*
 * pick.h - the k largest of many keys, without sorting the others: a heap with the smallest that
 * was taken at its top. Of equal keys those of smaller indices are taken.
 */
#ifndef VOV_PICK_H
#define VOV_PICK_H

#include <stdint.h>
#include <string.h>

struct pick {
    uint64_t key;
    int index;
};

struct picks {
    struct pick *v; /* [most] */
    int n, most;
};

/* Larger scores have larger keys. A NaN's is meaningless. */
static inline uint64_t pick_key(double score)
{
    uint64_t bits;

    memcpy(&bits, &score, sizeof bits);
    return bits >> 63 != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

/* Whether a key cannot be among the largest any more. Cheap: to be asked before anything else. */
static inline int picks_refuse(const struct picks *p, uint64_t key)
{
    return p->n == p->most && (p->most == 0 || key < p->v[0].key);
}

void picks_offer(struct picks *p, uint64_t key, int index);
void picks_sort(struct picks *p); /* largest first; nothing may be offered afterwards */

#endif
