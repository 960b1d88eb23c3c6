/*
 * multibox_decode.c - the rows that the graph found as detections: those of the scores that are
 * asked for, softened where the head says so. There are few, so this is done on the host.
 */
#include "multibox_head.h"

#include "base/mem.h"
#include "ops/ops.h"

/* Rows of a score over `least`, which come first. */
static int rows_over(const real *found, int most, real least)
{
    int n = 0;

    while (n < most && found[n * FOUND_ROW + 4] > least) {
        n++;
    }
    return n;
}

enum vov_status multibox_decode(const struct head *h, const real *const *out, int image,
                                double min_score, struct det_list *dets, struct err *err)
{
    const int rows = h->out[h->n_out - 1]->shape.n / h->out[0]->shape.n, before = dets->n;
    const real *found = out[h->n_out - 1] + (size_t)image * (size_t)rows * FOUND_ROW;
    const real least =
        min_score > (double)h->thin->min_score ? (real)min_score : h->thin->min_score;
    const int n = rows_over(found, rows, least);

    for (int i = 0; i < n; i++) {
        const real *row = found + (size_t)i * FOUND_ROW;
        const struct detection d = {
            .box = {row[0], row[1], row[2], row[3]}, .score = row[4], .class_id = (int)row[5]};
        if (!det_add(dets, d)) {
            dets->n = before;
            return err_nomem(err, sizeof d);
        }
    }
    if (h->thin->soft > 0) {
        dets->n = before + nms_soften(dets->v + before, n, h->thin->soft, least);
    }
    return VOV_OK;
}

enum vov_status multibox_found(struct builder *b, const struct multibox_detect_desc *d,
                               struct tensor *const *in, int n_in, double soft, struct err *err)
{
    struct head *h = b->head;
    const struct multibox_detect_attr a = {*d};
    struct tensor *found = NULL;

    TRY(build_op(b, &(struct brick){&op_multibox_detect, "found", &a}, in, n_in, &found, err));
    found->flags |= T_KEEP;
    h->decodes = 1u << h->n_out;
    h->out[h->n_out++] = found;
    h->thin = arena_alloc(&b->graph->mem, sizeof *h->thin);
    if (h->thin == NULL) {
        return err_nomem(err, sizeof *h->thin);
    }
    *h->thin = (struct thinning){d->min_score, (real)soft};
    return VOV_OK;
}
