/* pick.c - see pick.h. */
#include "pick.h"

static int worse(const struct pick *a, const struct pick *b)
{
    return a->key != b->key ? a->key < b->key : a->index > b->index;
}

/* Restores the heap under its top, where `moved` wants a place. */
static void sift_down(struct pick *v, int n, struct pick moved)
{
    int i = 0;

    for (int child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && worse(&v[child + 1], &v[child])) {
            child++;
        }
        if (!worse(&v[child], &moved)) {
            break;
        }
        v[i] = v[child];
        i = child;
    }
    v[i] = moved;
}

void picks_offer(struct picks *p, uint64_t key, int index)
{
    const struct pick new = {key, index};

    if (p->n == p->most) {
        if (p->n > 0 && worse(&p->v[0], &new)) {
            sift_down(p->v, p->n, new);
        }
        return;
    }
    int i = p->n++;
    for (; i > 0 && worse(&new, &p->v[(i - 1) / 2]); i = (i - 1) / 2) {
        p->v[i] = p->v[(i - 1) / 2];
    }
    p->v[i] = new;
}

void picks_sort(struct picks *p)
{
    for (int n = p->n - 1; n > 0; n--) {
        const struct pick last = p->v[n];

        p->v[n] = p->v[0];
        sift_down(p->v, n, last);
    }
}
