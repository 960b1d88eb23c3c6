/* voc_eval.c - see voc_eval.h. */
#include "voc_eval.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct hit {
    double score;
    long order; /* in the list of results: breaks ties */
    int item, result;
    bool right, ignored;
};

/* Of one class: its detections, best first, and which objects were found. */
struct voc_run {
    const struct dataset *d;
    const struct result_list *r;
    double iou;
    struct hit *hit;
    int n_hits;
    unsigned char *found; /* [all truths], by first[item] + place */
    long *first;          /* [items] */
};

static int by_score(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

static double overlap(const struct result *d, const double *t)
{
    const double x0 = d->x > t[0] ? d->x : t[0], y0 = d->y > t[1] ? d->y : t[1];
    const double x1 = d->x + d->w < t[0] + t[2] ? d->x + d->w : t[0] + t[2];
    const double y1 = d->y + d->h < t[1] + t[3] ? d->y + d->h : t[1] + t[3];
    const double both = x1 > x0 && y1 > y0 ? (x1 - x0) * (y1 - y0) : 0;
    const double all = d->w * d->h + t[2] * t[3] - both;

    return both > 0 && all > 0 ? both / all : 0;
}

/* The object of the class that the detection overlaps most, or -1. */
static int best_object(const struct voc_run *v, const struct hit *h, int class_id, double *most)
{
    const struct item *it = &v->d->item[h->item];
    int best = -1;

    *most = 0;
    for (int i = 0; i < it->n_truth; i++) {
        const double o =
            it->truth[i].class_id == class_id ? overlap(&v->r->v[h->result], it->truth[i].bbox) : 0;
        if (o > *most) {
            *most = o;
            best = i;
        }
    }
    return best;
}

static void judge(struct voc_run *v, struct hit *h, int class_id)
{
    double most;
    const int i = best_object(v, h, class_id, &most);
    const struct truth *t = i >= 0 ? &v->d->item[h->item].truth[i] : NULL;

    h->right = h->ignored = false;
    if (t == NULL || most < v->iou) {
        return;
    }
    unsigned char *found = &v->found[v->first[h->item] + i];
    h->ignored = t->difficult || t->crowd;
    h->right = !h->ignored && *found == 0;
    *found = 1;
}

/* Precision and recall after each detection that counts. */
struct curve {
    double *precision, *recall;
    int n;
};

/* The mean over 11 recalls of the best precision at that recall or a higher one. */
static double ap_eleven(const struct curve *c)
{
    double sum = 0;

    for (int k = 0; k <= 10; k++) {
        double best = 0;
        for (int i = 0; i < c->n; i++) {
            if (c->recall[i] >= k / 10.0 && c->precision[i] > best) {
                best = c->precision[i];
            }
        }
        sum += best;
    }
    return sum / 11;
}

/* The area under the curve, its precision made to fall. */
static double ap_all(const struct curve *c)
{
    double area = 0, best = 0;

    for (int i = c->n - 1; i >= 0; i--) {
        best = c->precision[i] > best ? c->precision[i] : best;
        area += best * (c->recall[i] - (i > 0 ? c->recall[i - 1] : 0));
    }
    return area;
}

static long count_truth(const struct dataset *d, int class_id)
{
    long n = 0;

    for (int i = 0; i < d->n; i++) {
        for (int k = 0; k < d->item[i].n_truth; k++) {
            const struct truth *t = &d->item[i].truth[k];
            n += t->class_id == class_id && !t->difficult && !t->crowd;
        }
    }
    return n;
}

static void score_class(struct voc_run *v, int class_id, struct curve *c, struct voc_class *out)
{
    *out = (struct voc_class){-1, -1, count_truth(v->d, class_id), 0, 0};
    c->n = 0;
    qsort(v->hit, (size_t)v->n_hits, sizeof *v->hit, by_score);
    for (int i = 0; i < v->n_hits; i++) {
        judge(v, &v->hit[i], class_id);
        if (v->hit[i].ignored) {
            continue;
        }
        out->right += v->hit[i].right;
        out->wrong += !v->hit[i].right;
        c->precision[c->n] = (double)out->right / (double)(out->right + out->wrong);
        c->recall[c->n++] = (double)out->right / (double)(out->n_truth > 0 ? out->n_truth : 1);
    }
    if (out->n_truth > 0) {
        out->ap11 = ap_eleven(c);
        out->ap = ap_all(c);
    }
}

/* The detections of one class in pictures of the data set. */
static void gather(struct voc_run *v, int class_id, const struct idmap *item_of)
{
    v->n_hits = 0;
    for (int i = 0; i < v->r->n; i++) {
        const struct result *r = &v->r->v[i];
        const int item =
            r->category_id == v->d->class_key[class_id] ? idmap_get(item_of, r->image_id) : -1;
        if (item >= 0) {
            v->hit[v->n_hits++] =
                (struct hit){.score = r->score, .order = i, .item = item, .result = i};
        }
    }
}

static void score_all(struct voc_run *v, const struct idmap *item_of, struct curve *c,
                      struct voc_report *report)
{
    double sum11 = 0, sum = 0;
    int n = 0;

    for (int k = 0; k < report->n_classes; k++) {
        struct voc_class *out = &report->classes[k];
        gather(v, k, item_of);
        score_class(v, k, c, out);
        if (out->n_truth > 0) {
            sum11 += out->ap11;
            sum += out->ap;
            n++;
        }
    }
    report->ap11 = n > 0 ? sum11 / n : -1;
    report->ap = n > 0 ? sum / n : -1;
}

static enum vov_status map_items(const struct dataset *d, struct idmap *item_of, long *first,
                                 long *n_truth, struct err *err)
{
    *n_truth = 0;
    for (int i = 0; i < d->n; i++) {
        if (!idmap_put(item_of, d->item[i].id, i)) {
            return err_nomem(err, (size_t)d->n * 16);
        }
        first[i] = *n_truth;
        *n_truth += d->item[i].n_truth;
    }
    return VOV_OK;
}

enum vov_status voc_eval(const struct dataset *truth, const struct result_list *results, double iou,
                         struct voc_report *report, struct err *err)
{
    const size_t n = (size_t)results->n + 1;
    struct voc_run v = {.d = truth, .r = results, .iou = iou};
    struct idmap item_of = {0};
    struct curve c = {mem_alloc(n, sizeof(double)), mem_alloc(n, sizeof(double)), 0};
    long n_truth = 0;
    enum vov_status status = VOV_OK;

    *report = (struct voc_report){.n_classes = truth->n_classes};
    report->classes = mem_alloc((size_t)truth->n_classes + 1, sizeof *report->classes);
    v.hit = mem_alloc(n, sizeof *v.hit);
    v.first = mem_alloc((size_t)truth->n + 1, sizeof *v.first);
    if (report->classes == NULL || v.hit == NULL || v.first == NULL || c.precision == NULL ||
        c.recall == NULL) {
        status = err_nomem(err, n * sizeof *v.hit);
    } else {
        status = map_items(truth, &item_of, v.first, &n_truth, err);
    }
    if (status == VOV_OK) {
        v.found = mem_alloc((size_t)n_truth + 1, 1);
        status = v.found != NULL ? VOV_OK : err_nomem(err, (size_t)n_truth);
    }
    if (status == VOV_OK) {
        score_all(&v, &item_of, &c, report);
    } else {
        voc_report_free(report);
    }
    idmap_free(&item_of);
    mem_free(c.precision);
    mem_free(c.recall);
    mem_free(v.hit);
    mem_free(v.first);
    mem_free(v.found);
    return status;
}

void voc_report_free(struct voc_report *r)
{
    mem_free(r->classes);
    *r = (struct voc_report){0};
}

void voc_report_text(const struct voc_report *r, const struct dataset *truth, struct buf *out)
{
    buf_printf(out, "VOC AP at overlap 0.5: %.4f over 11 recalls, %.4f over all\n", r->ap11, r->ap);
    buf_printf(out, "%-24s %8s %8s %8s\n", "class", "objects", "AP11", "AP");
    for (int i = 0; i < r->n_classes; i++) {
        const struct voc_class *c = &r->classes[i];
        buf_printf(out, "%-24.24s %8ld %8.4f %8.4f\n", truth->class_name[i], c->n_truth, c->ap11,
                   c->ap);
    }
}

static void put_aps(struct buf *out, double ap11, double ap)
{
    buf_puts(out, "\"AP11\":");
    json_put_real(out, ap11);
    buf_puts(out, ",\"AP\":");
    json_put_real(out, ap);
}

void voc_report_json(const struct voc_report *r, const struct dataset *truth, struct buf *out)
{
    buf_puts(out, "{");
    put_aps(out, r->ap11, r->ap);
    buf_puts(out, ",\"per_class\":[");
    for (int i = 0; i < r->n_classes; i++) {
        buf_printf(out, "%s{\"id\":%lld,\"name\":", i > 0 ? "," : "", truth->class_key[i]);
        json_put_str(out, truth->class_name[i]);
        buf_puts(out, ",");
        put_aps(out, r->classes[i].ap11, r->classes[i].ap);
        buf_puts(out, "}");
    }
    buf_puts(out, "]}");
}
