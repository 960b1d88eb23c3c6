/*
 * coco_seg.c - see coco_seg.h.
 */
#include "coco_seg.h"

#include "det/rle.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* What is wrong with a polygon; NULL: nothing, and it has *n numbers. */
static const char *polygon_wrong(const cJSON *p, int *n)
{
    *n = 0;
    if (!cJSON_IsArray(p)) {
        return "a polygon of its \"segmentation\" is no list";
    }
    for (const cJSON *v = p->child; v != NULL; v = v->next, ++*n) {
        if (!cJSON_IsNumber(v) || !(fabs(v->valuedouble) <= rle_farthest)) {
            return "a coordinate of its \"segmentation\" is no number, or beyond 1e12";
        }
    }
    if (*n % 2 != 0) {
        return "a polygon of its \"segmentation\" has an odd number of coordinates";
    }
    return *n < 6 ? "a polygon of its \"segmentation\" has fewer than three points" : NULL;
}

static enum vov_status read_polygons(const cJSON *j, struct arena *mem, struct seg *s,
                                     const char **wrong)
{
    const int n = json_len(j);

    s->poly = arena_alloc(mem, (size_t)n * sizeof *s->poly + 1);
    s->poly_len = arena_alloc(mem, (size_t)n * sizeof *s->poly_len + 1);
    if (s->poly == NULL || s->poly_len == NULL) {
        return VOV_ENOMEM;
    }
    for (const cJSON *p = j->child; p != NULL; p = p->next) {
        int len;
        *wrong = polygon_wrong(p, &len);
        if (*wrong != NULL) {
            return VOV_OK;
        }
        double *xy = arena_alloc(mem, (size_t)len * sizeof *xy);
        if (xy == NULL) {
            return VOV_ENOMEM;
        }
        int i = 0;
        for (const cJSON *v = p->child; v != NULL; v = v->next) {
            xy[i++] = v->valuedouble;
        }
        s->poly[s->n_poly] = xy;
        s->poly_len[s->n_poly++] = len;
    }
    return VOV_OK;
}

static bool read_size(const cJSON *j, int *h, int *w)
{
    const cJSON *size = json_get(j, "size");
    long long a, b;

    if (json_len(size) != 2 || !json_whole(size->child, &a) || !json_whole(size->child->next, &b) ||
        a < 1 || b < 1 || a > RLE_MAX_SIDE || b > RLE_MAX_SIDE) {
        return false;
    }
    *h = (int)a;
    *w = (int)b;
    return true;
}

/* A list of runs, checked. *m is freed by rle_free. VOV_EFORMAT with *wrong. */
static enum vov_status runs_of(const cJSON *counts, struct rle *m, const char **wrong)
{
    const int n = json_len(counts);
    unsigned *run = mem_alloc((size_t)n + 1, sizeof *run);
    enum vov_status status = run == NULL ? VOV_ENOMEM : VOV_OK;
    int i = 0;

    for (const cJSON *v = counts->child; v != NULL && status == VOV_OK; v = v->next) {
        const double x = cJSON_IsNumber(v) ? v->valuedouble : -1;
        if (!(x >= 0 && x <= UINT_MAX && x == floor(x))) {
            *wrong = "a run length of its \"segmentation\" is no whole number of pixels";
            status = VOV_EFORMAT;
            break;
        }
        run[i++] = (unsigned)x;
    }
    if (status == VOV_OK) {
        *wrong = "the run lengths of its \"segmentation\" do not add up to its \"size\"";
        status = rle_from_runs(run, n, m->h, m->w, m, NULL);
    }
    mem_free(run);
    return status;
}

static enum vov_status read_counts(const cJSON *j, struct rle *m, const char **wrong)
{
    const cJSON *counts = json_get(j, "counts");

    if (!read_size(j, &m->h, &m->w)) {
        *wrong = "the \"size\" of its \"segmentation\" is not [height, width], each 1 to 32768";
        return VOV_EFORMAT;
    }
    if (cJSON_IsArray(counts)) {
        return runs_of(counts, m, wrong);
    }
    if (cJSON_IsString(counts)) {
        *wrong = "the compressed run lengths of its \"segmentation\" are damaged";
        return rle_from_string(counts->valuestring, strlen(counts->valuestring), m->h, m->w, m,
                               NULL);
    }
    *wrong = "its \"segmentation\" has no \"counts\"";
    return VOV_EFORMAT;
}

static enum vov_status read_runs(const cJSON *j, struct arena *mem, struct seg *s,
                                 const char **wrong)
{
    struct rle m = {0};
    enum vov_status status = read_counts(j, &m, wrong);

    if (status == VOV_OK) {
        *wrong = NULL;
        s->height = m.h;
        s->width = m.w;
        s->n_rle = m.n;
        s->rle = arena_alloc(mem, (size_t)m.n * sizeof *s->rle + 1);
        status = s->rle != NULL ? VOV_OK : VOV_ENOMEM;
    }
    if (status == VOV_OK) {
        memcpy(s->rle, m.run, (size_t)m.n * sizeof *s->rle);
    }
    rle_free(&m);
    return status == VOV_ENOMEM ? VOV_ENOMEM : VOV_OK;
}

enum vov_status coco_seg_read(const json *j, struct arena *mem, struct seg **out,
                              const char **wrong, struct err *err)
{
    enum vov_status status = VOV_OK;

    *out = NULL;
    *wrong = NULL;
    if (j == NULL || cJSON_IsNull(j) || (cJSON_IsArray(j) && json_len(j) == 0)) {
        return VOV_OK; /* a set of boxes */
    }
    struct seg *s = arena_alloc(mem, sizeof *s);
    if (s == NULL) {
        return err_nomem(err, sizeof *s);
    }
    if (cJSON_IsArray(j)) {
        status = read_polygons(j, mem, s, wrong);
    } else if (cJSON_IsObject(j)) {
        status = read_runs(j, mem, s, wrong);
    } else {
        *wrong = "its \"segmentation\" is neither a list of polygons nor run lengths";
    }
    *out = *wrong != NULL ? NULL : s;
    return status == VOV_OK ? VOV_OK : err_nomem(err, sizeof *s);
}
