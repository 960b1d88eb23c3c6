/* topk.c - see topk.h. */
#include "topk.h"

void topk_add(struct topk *t, const real *score, int n, int label)
{
    int before = 0;

    for (int i = 0; i < n; i++) {
        before += i != label && !(score[i] < score[label]);
    }
    t->n++;
    t->top1 += before < 1;
    t->top5 += before < 5;
}

static double part(long n, long of)
{
    return of > 0 ? (double)n / (double)of : 0;
}

double topk_top1(const struct topk *t)
{
    return part(t->top1, t->n);
}

double topk_top5(const struct topk *t)
{
    return part(t->top5, t->n);
}
