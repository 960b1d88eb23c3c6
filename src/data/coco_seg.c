/*
 * coco_seg.c - see coco_seg.h.
 */
#include "coco_seg.h"

#include "det/rle.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* Numbers of a polygon, or -1 when it is none: at least three points, all finite. */
static int polygon_length(const cJSON *p)
{
    int n = 0;

    if (!cJSON_IsArray(p)) {
        return -1;
    }
    for (const cJSON *v = p->child; v != NULL; v = v->next, n++) {
        if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble) || n == INT_MAX - 1) {
            return -1;
        }
    }
    return n >= 6 && n % 2 == 0 ? n : -1;
}

static enum vov_status read_polygons(const cJSON *j, struct arena *mem, struct seg *s, bool *bad)
{
    const int n = json_len(j);

    s->poly = arena_alloc(mem, (size_t)n * sizeof *s->poly + 1);
    s->poly_len = arena_alloc(mem, (size_t)n * sizeof *s->poly_len + 1);
    if (s->poly == NULL || s->poly_len == NULL) {
        return VOV_ENOMEM;
    }
    for (const cJSON *p = j->child; p != NULL; p = p->next) {
        const int len = polygon_length(p);
        if (len < 0) {
            *bad = true;
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

    if (!cJSON_IsArray(size) || json_len(size) != 2) {
        return false;
    }
    const cJSON *a = size->child, *b = size->child->next;
    if (!cJSON_IsNumber(a) || !cJSON_IsNumber(b) || !(a->valuedouble >= 1) ||
        !(b->valuedouble >= 1) || a->valuedouble > RLE_MAX_SIDE || b->valuedouble > RLE_MAX_SIDE) {
        return false;
    }
    *h = (int)a->valuedouble;
    *w = (int)b->valuedouble;
    return true;
}

/* A list of runs, checked. *m is freed by rle_free. */
static enum vov_status runs_of(const cJSON *counts, int h, int w, struct rle *m)
{
    const int n = json_len(counts);
    unsigned *run = mem_alloc((size_t)n + 1, sizeof *run);
    enum vov_status status = run == NULL ? VOV_ENOMEM : VOV_OK;
    int i = 0;

    for (const cJSON *v = counts->child; v != NULL && status == VOV_OK; v = v->next) {
        if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0) || v->valuedouble > (double)h * w) {
            status = VOV_EFORMAT;
            break;
        }
        run[i++] = (unsigned)v->valuedouble;
    }
    if (status == VOV_OK) {
        status = rle_from_runs(run, n, h, w, m, NULL);
    }
    mem_free(run);
    return status;
}

static enum vov_status read_runs(const cJSON *j, struct arena *mem, struct seg *s, bool *bad)
{
    const cJSON *counts = json_get(j, "counts");
    struct rle m = {0};
    enum vov_status status = VOV_EFORMAT;
    int h, w;

    if (read_size(j, &h, &w) && cJSON_IsArray(counts)) {
        status = runs_of(counts, h, w, &m);
    } else if (read_size(j, &h, &w) && cJSON_IsString(counts)) {
        status = rle_from_string(counts->valuestring, strlen(counts->valuestring), h, w, &m, NULL);
    }
    *bad = status != VOV_OK && status != VOV_ENOMEM;
    if (status == VOV_OK) {
        s->height = h;
        s->width = w;
        s->n_rle = m.n;
        s->rle = arena_alloc(mem, (size_t)m.n * sizeof *s->rle + 1);
        status = s->rle != NULL ? VOV_OK : VOV_ENOMEM;
    }
    if (status == VOV_OK) {
        memcpy(s->rle, m.run, (size_t)m.n * sizeof *s->rle);
    }
    rle_free(&m);
    return *bad ? VOV_OK : status;
}

enum vov_status coco_seg_read(const json *j, struct arena *mem, struct seg **out, bool *bad,
                              struct err *err)
{
    enum vov_status status = VOV_OK;

    *out = NULL;
    *bad = false;
    if (j == NULL || cJSON_IsNull(j) || (cJSON_IsArray(j) && json_len(j) == 0)) {
        return VOV_OK; /* a set of boxes */
    }
    struct seg *s = arena_alloc(mem, sizeof *s);
    if (s == NULL) {
        return err_nomem(err, sizeof *s);
    }
    if (cJSON_IsArray(j)) {
        status = read_polygons(j, mem, s, bad);
    } else if (cJSON_IsObject(j)) {
        status = read_runs(j, mem, s, bad);
    } else {
        *bad = true;
    }
    *out = *bad ? NULL : s;
    return status == VOV_OK ? VOV_OK : err_nomem(err, sizeof *s);
}
