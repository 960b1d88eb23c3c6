/* multiscale.c - see multiscale.h. */
#include "multiscale.h"

#include "det/vote.h"

/* Of RefineDet's tester (docs/evaluation.md): overlap of those that vote with each other. */
static const real vote_iou = (real)0.45;

/* Whether the network can be built in that size. */
static enum vov_status check_size(struct multiscale *m, const struct scale *s,
                                  struct err_list *errs)
{
    struct model_options opt = m->opt;

    opt.width = s->width;
    opt.height = s->height;
    model_close(&m->trial);
    return model_build(m->cfg, &opt, &m->trial, errs);
}

/* The size that the cfg says, if it is a network whose detections can be merged. */
static enum vov_status own_size(struct multiscale *m, int *width, int *height,
                                struct err_list *errs)
{
    struct err err = {0};

    TRY(model_build(m->cfg, &m->opt, &m->trial, errs));
    *width = m->trial.net.width;
    *height = m->trial.net.height;
    if (m->trial.head.thin == NULL) {
        err_set(&err, VOV_EARG,
                "%s ends in no [refinedet] or [ssd]: --scales and --flip are for these", m->cfg);
        return err_list_add(errs, &err);
    }
    return VOV_OK;
}

enum vov_status multiscale_init(struct multiscale *m, const char *scales, bool flip,
                                struct err_list *errs)
{
    struct err err = {0};
    int width = 0, height = 0;

    m->flip = flip;
    TRY(own_size(m, &width, &height, errs));
    if (scales_parse(scales, width, height, &m->scales, &err) != VOV_OK) {
        return err_list_add(errs, &err);
    }
    for (int i = 0; i < m->scales.n; i++) {
        TRY(check_size(m, &m->scales.v[i], errs));
    }
    return VOV_OK;
}

bool multiscale_needed(struct multiscale *m)
{
    m->opt.width = m->scales.v[0].width;
    m->opt.height = m->scales.v[0].height;
    return m->flip || !scales_is_one(&m->scales);
}

static enum vov_status open_size(struct multiscale *m, const struct scale *s, struct detector *d,
                                 struct err_list *errs)
{
    m->opt.width = s->width;
    m->opt.height = s->height;
    TRY(detector_open(d, m->cfg, m->weights, &m->opt, m->be, errs));
    d->model.head.thin->soft = 0; /* voting has its place */
    return VOV_OK;
}

enum vov_status multiscale_open(struct multiscale *m, struct detector *d, struct err_list *errs)
{
    return open_size(m, &m->scales.v[0], d, errs);
}

/* The pictures that a scale is for: part.item[i] is number at[i] of the whole. */
struct part {
    struct dataset data;
    int *at;
};

static bool is_wide(const struct item *it)
{
    int w = it->width, h = it->height;
    struct err err = {0};

    if (w <= 0 || h <= 0) {
        image_size(it->path, &w, &h, &err); /* where it fails the loader will say why */
    }
    return w > h;
}

static bool takes_part(const struct scale *s, const struct item *it)
{
    return s->only == SCALE_ANY || is_wide(it) == (s->only == SCALE_WIDE);
}

static enum vov_status part_of(const struct multiscale *m, const struct scale *s,
                               const struct dataset *data, struct part *p, struct err *err)
{
    *p = (struct part){.data = *data, .at = mem_alloc((size_t)data->n + 1, sizeof *p->at)};
    p->data.item = mem_alloc((size_t)data->n + 1, sizeof *p->data.item);
    p->data.n = 0;
    if (p->at == NULL || p->data.item == NULL) {
        return err_nomem(err, (size_t)data->n * sizeof *p->data.item);
    }
    for (int i = 0; i < data->n; i++) {
        if (!m->lost[i] && takes_part(s, &data->item[i])) {
            p->at[p->data.n] = i;
            p->data.item[p->data.n++] = data->item[i];
        }
    }
    return VOV_OK;
}

static void part_free(struct part *p)
{
    mem_free(p->at);
    mem_free(p->data.item);
}

static bool counts(const struct scale *s, const struct box *b)
{
    const double w = (double)(b->x1 - b->x0), h = (double)(b->y1 - b->y0);
    const double longer = w > h ? w : h, shorter = w > h ? h : w;

    return longer > s->least && (s->most <= 0 || shorter < s->most);
}

struct taking {
    struct multiscale *m;
    const struct scale *scale;
    const int *at;
};

/* Adds what was found in the pictures of a batch. */
static enum vov_status add_found(const struct taking *t, struct detector *d, const struct batch *b,
                                 struct err *err)
{
    for (int i = 0; i < b->n; i++) {
        struct det_list *l = &t->m->found[t->at[b->item[i]]];
        int kept = l->n;
        if (b->width[i] <= 0) {
            t->m->lost[t->at[b->item[i]]] = true;
            continue;
        }
        TRY(detector_get(d, i, b->width[i], b->height[i], 0, l, err));
        for (int k = kept; k < l->n; k++) {
            if (counts(t->scale, &l->v[k].box)) {
                l->v[kept++] = l->v[k];
            }
        }
        l->n = kept;
    }
    return VOV_OK;
}

static enum vov_status take_batch(void *user, struct detector *d, const struct batch *b,
                                  struct err *err)
{
    const struct taking *t = user;

    TRY(add_found(t, d, b, err));
    if (!t->m->flip) {
        return VOV_OK;
    }
    detector_mirror(d);
    TRY(detector_run(d, err));
    return add_found(t, d, b, err);
}

static enum vov_status one_scale(struct multiscale *m, const struct scale *s, struct detector *d,
                                 const struct dataset *data, struct err *err)
{
    struct part part;
    enum vov_status status = part_of(m, s, data, &part, err);
    struct taking taking = {m, s, part.at};
    const struct look look = {
        .workers = m->workers, .log = m->opt.log, .take = take_batch, .user = &taking};

    if (status == VOV_OK && part.data.n > 0) {
        status = look_over(&look, d, &part.data, err);
    }
    part_free(&part);
    return status;
}

static enum vov_status all_scales(struct multiscale *m, struct detector *d,
                                  const struct dataset *data, struct err_list *errs)
{
    for (int i = 0; i < m->scales.n; i++) {
        struct err err = {0};
        if (i > 0) {
            detector_close(d);
            TRY(open_size(m, &m->scales.v[i], d, errs));
        }
        if (one_scale(m, &m->scales.v[i], d, data, &err) != VOV_OK) {
            return err_list_add(errs, &err);
        }
    }
    return VOV_OK;
}

enum vov_status multiscale_run(struct multiscale *m, struct detector *d, const struct dataset *data,
                               struct err_list *errs)
{
    struct err err = {0};

    m->n = data->n;
    m->found = mem_alloc((size_t)m->n + 1, sizeof *m->found);
    m->lost = mem_alloc((size_t)m->n + 1, sizeof *m->lost);
    if (m->found == NULL || m->lost == NULL) {
        err_nomem(&err, (size_t)m->n * sizeof *m->found);
        return err_list_add(errs, &err);
    }
    TRY(all_scales(m, d, data, errs));
    const struct vote_desc vote = {.iou = vote_iou, .min_score = d->model.head.thin->min_score};
    for (int i = 0; i < m->n; i++) {
        if (vote_by_class(&m->found[i], &vote, &err) != VOV_OK) {
            return err_list_add(errs, &err);
        }
    }
    return VOV_OK;
}

void multiscale_free(struct multiscale *m)
{
    for (int i = 0; i < m->n && m->found != NULL; i++) {
        det_free(&m->found[i]);
    }
    mem_free(m->found);
    mem_free(m->lost);
    model_close(&m->trial);
    m->found = NULL;
    m->lost = NULL;
    m->n = 0;
}
