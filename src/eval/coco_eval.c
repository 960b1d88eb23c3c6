/*
 * coco_eval.c - COCO's evaluation of boxes or masks. Truth and detections are sorted by class, then
 * picture; each class is a run of both lists, walked picture by picture (match.c), then measured
 * (precision.c). Pictures go in the order of their ids, which is the order that breaks ties of
 * scores, as in pycocotools.
 */
#include "coco_eval.h"

#include "precision.h"

#include <stdlib.h>

/* A truth or a detection, with the keys that it is sorted by. */
struct ref {
    int class_id, picture; /* picture: index into run->item */
    double score;          /* of detections; 0 for truths */
    int order;
    const void *what;
};

struct refs {
    struct ref *v;
    int n;
};

struct run {
    const struct dataset *data;
    const char *from; /* of results, in messages */
    bool segm;
    const struct item **item; /* [data->n] by id */
    struct refs truth, found;
    struct matcher matcher;
};

/* What one class has in one picture, ready to be paired. */
struct picture {
    struct pair_truth *truth;
    struct pair_found *found;
    struct rle *mask; /* [truths + found]; those that were made here are freed after */
    bool *made;
    int n_truth, n_found, cap;
};

static int by_id(const void *va, const void *vb)
{
    const struct item *a = *(const struct item *const *)va, *b = *(const struct item *const *)vb;

    return (a->id > b->id) - (a->id < b->id);
}

static int by_class(const void *va, const void *vb)
{
    const struct ref *a = va, *b = vb;

    if (a->class_id != b->class_id) {
        return a->class_id < b->class_id ? -1 : 1;
    }
    if (a->picture != b->picture) {
        return a->picture < b->picture ? -1 : 1;
    }
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    return (a->order > b->order) - (a->order < b->order);
}

static void sort_refs(struct refs *r)
{
    if (r->n > 0) {
        qsort(r->v, (size_t)r->n, sizeof *r->v, by_class);
    }
}

static enum vov_status sort_items(struct run *run, struct idmap *ids, struct err *err)
{
    const size_t n = (size_t)run->data->n;

    run->item = mem_alloc(n + 1, sizeof *run->item);
    if (!run->item) {
        return err_nomem(err, n * sizeof *run->item);
    }
    for (size_t i = 0; i < n; i++) {
        run->item[i] = &run->data->item[i];
    }
    qsort(run->item, n, sizeof *run->item, by_id);
    for (size_t i = 0; i < n; i++) {
        if (!idmap_put(ids, run->item[i]->id, (int)i)) {
            return err_nomem(err, n * sizeof *ids->key);
        }
    }
    return VOV_OK;
}

static enum vov_status check_truth(const struct run *run, const struct truth *t,
                                   const struct item *item, struct err *err)
{
    if (run->segm && (t->seg == NULL || (t->seg->rle == NULL && t->seg->n_poly == 0))) {
        return err_set(err, VOV_EFORMAT,
                       "%s: annotation %lld of picture %lld has no \"segmentation\"; masks are "
                       "measured only where every annotation has one",
                       run->data->path, t->id, item->id);
    }
    return VOV_OK;
}

static enum vov_status list_truth(struct run *run, struct err *err)
{
    size_t n = 0;

    for (int i = 0; i < run->data->n; i++) {
        n += (size_t)run->data->item[i].n_truth;
    }
    run->truth.v = mem_alloc(n + 1, sizeof *run->truth.v);
    if (!run->truth.v) {
        return err_nomem(err, n * sizeof *run->truth.v);
    }
    for (int i = 0; i < run->data->n; i++) {
        for (int k = 0; k < run->item[i]->n_truth; k++) {
            const struct truth *t = &run->item[i]->truth[k];
            TRY(check_truth(run, t, run->item[i], err));
            run->truth.v[run->truth.n++] = (struct ref){t->class_id, i, 0, k, t};
        }
    }
    sort_refs(&run->truth);
    return VOV_OK;
}

static enum vov_status check_mask(const struct run *run, const struct result *r, int order,
                                  const struct item *item, struct err *err)
{
    if (run->segm && r->mask.n > 0 && (r->mask.h != item->height || r->mask.w != item->width)) {
        return err_set(err, VOV_EFORMAT,
                       "%s: result %d: a mask of %dx%d pixels, but picture %lld has %dx%d",
                       run->from, order, r->mask.w, r->mask.h, item->id, item->width, item->height);
    }
    return VOV_OK;
}

static enum vov_status list_found(struct run *run, const struct result_list *results,
                                  const struct idmap *ids, const struct idmap *classes,
                                  struct err *err)
{
    run->found.v = mem_alloc((size_t)results->n + 1, sizeof *run->found.v);
    if (!run->found.v) {
        return err_nomem(err, (size_t)results->n * sizeof *run->found.v);
    }
    for (int i = 0; i < results->n; i++) {
        const struct result *r = &results->v[i];
        const int picture = idmap_get(ids, r->image_id);
        const int class_id = idmap_get(classes, r->category_id);
        if (picture < 0) {
            return err_set(err, VOV_EFORMAT,
                           "%s: result %d: %s has no picture with id %lld; are these results of "
                           "another data set?",
                           run->from, i, run->data->path, r->image_id);
        }
        TRY(check_mask(run, r, i, run->item[picture], err));
        if (class_id >= 0) {
            run->found.v[run->found.n++] = (struct ref){class_id, picture, r->score, i, r};
        }
    }
    sort_refs(&run->found);
    return VOV_OK;
}

/* Polygons as one mask of a picture's size. */
static enum vov_status draw_polygons(const struct seg *seg, const struct item *item,
                                     struct rle *out, struct err *err)
{
    struct rle *part = mem_alloc((size_t)seg->n_poly, sizeof *part);
    enum vov_status status = part ? VOV_OK : err_nomem(err, (size_t)seg->n_poly * sizeof *part);
    int n = 0;

    for (; status == VOV_OK && n < seg->n_poly; n++) {
        status = rle_from_polygon(seg->poly[n], seg->poly_len[n], item->height, item->width,
                                  &part[n], err);
    }
    status = status == VOV_OK ? rle_merge(part, n, false, out, err) : status;
    for (int i = 0; part && i < n; i++) {
        rle_free(&part[i]);
    }
    mem_free(part);
    return status;
}

static enum vov_status truth_mask(const struct run *run, const struct ref *ref, struct rle *out,
                                  struct err *err)
{
    const struct truth *t = ref->what;
    const struct item *item = run->item[ref->picture];
    struct err why = {0};
    enum vov_status status;

    if (t->seg->rle) {
        status =
            rle_from_runs(t->seg->rle, t->seg->n_rle, t->seg->height, t->seg->width, out, &why);
    } else {
        status = draw_polygons(t->seg, item, out, &why);
    }
    return status == VOV_OK ? VOV_OK
                            : err_set(err, status, "%s: annotation %lld of picture %lld: %s",
                                      run->data->path, t->id, item->id, why.msg);
}

/* A result's polygons, or its box, as a mask. */
static enum vov_status found_mask(const struct run *run, const struct ref *ref, struct rle *out,
                                  struct err *err)
{
    const struct result *r = ref->what;
    const struct item *item = run->item[ref->picture];
    const double corners[] = {r->x,        r->y,        r->x,        r->y + r->h,
                              r->x + r->w, r->y + r->h, r->x + r->w, r->y};
    struct err why = {0};
    const enum vov_status status =
        r->polygons ? draw_polygons(r->polygons, item, out, &why)
                    : rle_from_polygon(corners, 8, item->height, item->width, out, &why);

    return status == VOV_OK
               ? VOV_OK
               : err_set(err, status, "%s: result %d: %s", run->from, ref->order, why.msg);
}

static enum vov_status reserve(struct picture *p, int n_truth, int n_found, struct err *err)
{
    const int n = n_truth + n_found;

    if (n > p->cap) {
        mem_free(p->truth);
        mem_free(p->found);
        mem_free(p->mask);
        mem_free(p->made);
        p->cap = n;
        p->truth = mem_alloc((size_t)n, sizeof *p->truth);
        p->found = mem_alloc((size_t)n, sizeof *p->found);
        p->mask = mem_alloc((size_t)n, sizeof *p->mask);
        p->made = mem_alloc((size_t)n, sizeof *p->made);
    }
    if (!p->truth || !p->found || !p->mask || !p->made) {
        p->cap = 0;
        return err_nomem(err, (size_t)n * sizeof *p->truth);
    }
    p->n_truth = n_truth;
    p->n_found = n_found;
    for (int i = 0; i < n; i++) {
        p->mask[i] = (struct rle){0};
        p->made[i] = false;
    }
    return VOV_OK;
}

static void drop_masks(struct picture *p)
{
    for (int i = 0; i < p->n_truth + p->n_found; i++) {
        if (p->made[i]) {
            rle_free(&p->mask[i]);
        }
    }
    p->n_truth = p->n_found = 0;
}

/* Truth i of the picture; its mask is mask[i], drawn only where there is something to hold it to.
 */
static enum vov_status set_truth(const struct run *run, struct picture *p, int i,
                                 const struct ref *ref, struct err *err)
{
    const struct truth *t = ref->what;
    struct pair_truth *out = &p->truth[i];

    *out = (struct pair_truth){
        {t->bbox[0], t->bbox[1], t->bbox[2], t->bbox[3]}, t->area, t->crowd, NULL};
    if (run->segm && p->n_found > 0) {
        TRY(truth_mask(run, ref, &p->mask[i], err));
        p->made[i] = true;
        out->mask = &p->mask[i];
        rle_box(out->mask, out->box);
    }
    return VOV_OK;
}

/* Detection i; its mask is the result's own, or mask[n_truth + i]. */
static enum vov_status set_found(const struct run *run, struct picture *p, int i,
                                 const struct ref *ref, struct err *err)
{
    const struct result *r = ref->what;
    struct pair_found *out = &p->found[i];

    *out = (struct pair_found){{r->x, r->y, r->w, r->h}, r->area, r->score, NULL};
    if (run->segm) {
        struct rle *mask = &p->mask[p->n_truth + i];
        if (r->mask.n > 0) {
            *mask = r->mask;
        } else {
            TRY(found_mask(run, ref, mask, err));
            p->made[p->n_truth + i] = true;
        }
        out->mask = mask;
        rle_box(out->mask, out->box);
    }
    return VOV_OK;
}

/* How many of the refs from `from` on are of this class and picture. */
static int same(const struct refs *r, int from, int class_id, int picture)
{
    int n = 0;

    while (from + n < r->n && r->v[from + n].class_id == class_id &&
           r->v[from + n].picture == picture) {
        n++;
    }
    return n;
}

static enum vov_status add_picture(struct run *run, const struct ref *truth,
                                   const struct ref *found, struct picture *p, struct tally *t,
                                   struct err *err)
{
    for (int i = 0; i < p->n_truth; i++) {
        TRY(set_truth(run, p, i, &truth[i], err));
    }
    for (int i = 0; i < p->n_found; i++) {
        TRY(set_found(run, p, i, &found[i], err));
    }
    const struct pair_picture pair = {p->truth, p->found, p->n_truth, p->n_found};
    return matcher_add(&run->matcher, run->segm, &pair, t, err);
}

static int class_of(const struct refs *r, int i, int class_id)
{
    return i < r->n && r->v[i].class_id == class_id;
}

/* All pictures of one class, from at[0] of the truths and at[1] of the detections on. */
static enum vov_status tally_class(struct run *run, int class_id, int at[2], struct picture *p,
                                   struct tally *t, struct err *err)
{
    enum vov_status status = VOV_OK;

    while (status == VOV_OK) {
        const bool more_truth = class_of(&run->truth, at[0], class_id);
        const bool more_found = class_of(&run->found, at[1], class_id);
        if (!more_truth && !more_found) {
            break;
        }
        int picture = more_truth ? run->truth.v[at[0]].picture : run->found.v[at[1]].picture;
        if (more_found && run->found.v[at[1]].picture < picture) {
            picture = run->found.v[at[1]].picture;
        }
        const int n_truth = same(&run->truth, at[0], class_id, picture);
        const int n_found = same(&run->found, at[1], class_id, picture);
        status = reserve(p, n_truth, n_found < COCO_MOST ? n_found : COCO_MOST, err);
        if (status == VOV_OK) {
            status = add_picture(run, run->truth.v + at[0], run->found.v + at[1], p, t, err);
        }
        drop_masks(p);
        at[0] += n_truth;
        at[1] += n_found;
    }
    return status;
}

static enum vov_status run_classes(struct run *run, struct coco_report *report, struct err *err)
{
    struct picture p = {0};
    struct tally t = {0};
    enum vov_status status = VOV_OK;
    int at[2] = {0, 0};

    for (int c = 0; c < report->n_classes && status == VOV_OK; c++) {
        t.n = 0;
        for (int size = 0; size < COCO_AREAS; size++) {
            t.wanted[size] = 0;
        }
        status = tally_class(run, c, at, &p, &t, err);
        if (status == VOV_OK) {
            status = precision_of_class(&t, &report->classes[c], err);
        }
    }
    mem_free(t.v);
    mem_free(p.truth);
    mem_free(p.found);
    mem_free(p.mask);
    mem_free(p.made);
    return status;
}

/* The mean over the classes that have one of the number at `offset` of struct coco_class. */
static double mean_of(const struct coco_report *r, size_t offset)
{
    double sum = 0;
    int n = 0;

    for (int c = 0; c < r->n_classes; c++) {
        const double v = *(const double *)((const char *)&r->classes[c] + offset);
        if (v > -1) {
            sum += v;
            n++;
        }
    }
    return n > 0 ? sum / n : -1;
}

static void fill_numbers(struct coco_report *r)
{
    static const size_t offset[COCO_NUMBERS] = {
        [COCO_AP] = offsetof(struct coco_class, ap),
        [COCO_AP50] = offsetof(struct coco_class, ap50),
        [COCO_AP75] = offsetof(struct coco_class, ap75),
        [COCO_APS] = offsetof(struct coco_class, aps),
        [COCO_APM] = offsetof(struct coco_class, apm),
        [COCO_APL] = offsetof(struct coco_class, apl),
        [COCO_AR1] = offsetof(struct coco_class, ar1),
        [COCO_AR10] = offsetof(struct coco_class, ar10),
        [COCO_AR100] = offsetof(struct coco_class, ar100),
        [COCO_ARS] = offsetof(struct coco_class, ars),
        [COCO_ARM] = offsetof(struct coco_class, arm),
        [COCO_ARL] = offsetof(struct coco_class, arl),
    };

    for (int i = 0; i < COCO_NUMBERS; i++) {
        r->number[i] = mean_of(r, offset[i]);
    }
}

static enum vov_status map_classes(const struct dataset *d, struct idmap *classes, struct err *err)
{
    for (int c = 0; c < d->n_classes; c++) {
        if (!idmap_put(classes, d->class_key[c], c)) {
            return err_nomem(err, (size_t)d->n_classes * sizeof *classes->key);
        }
    }
    return VOV_OK;
}

enum vov_status coco_eval(const struct dataset *truth, const struct result_list *results, bool segm,
                          struct coco_report *report, struct err *err)
{
    struct run run = {
        .data = truth, .from = results->path != NULL ? results->path : "detections", .segm = segm};
    struct idmap ids = {0}, classes = {0};
    enum vov_status status = VOV_OK;

    matcher_init(&run.matcher);
    *report = (struct coco_report){.n_classes = truth->n_classes};
    report->classes = mem_alloc((size_t)truth->n_classes + 1, sizeof *report->classes);
    if (!report->classes) {
        status = err_nomem(err, (size_t)truth->n_classes * sizeof *report->classes);
    }
    status = status == VOV_OK ? sort_items(&run, &ids, err) : status;
    status = status == VOV_OK ? map_classes(truth, &classes, err) : status;
    status = status == VOV_OK ? list_truth(&run, err) : status;
    status = status == VOV_OK ? list_found(&run, results, &ids, &classes, err) : status;
    status = status == VOV_OK ? run_classes(&run, report, err) : status;
    if (status == VOV_OK) {
        fill_numbers(report);
    } else {
        coco_report_free(report);
    }
    matcher_free(&run.matcher);
    mem_free(run.item);
    mem_free(run.truth.v);
    mem_free(run.found.v);
    idmap_free(&ids);
    idmap_free(&classes);
    return status;
}

void coco_report_free(struct coco_report *r)
{
    mem_free(r->classes);
    *r = (struct coco_report){0};
}
