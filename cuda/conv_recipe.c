/*
 * conv_recipe.c - see conv_recipe.h. A tensor that is a slice of a wider one is worked on where it
 * lies, by a plan without workspace, where there is one: others copy it.
 */
#include "conv_recipe.h"

#include <string.h>

struct conv_rows conv_rows_of(struct view v)
{
    const int packed = (int)(16 / number_bytes(v.type));
    const bool aligned = v.c0 % packed == 0 && v.rc % packed == 0;
    return (struct conv_rows){
        v.rc, aligned || (v.c0 == 0 && v.c == v.rc) ? 16 : (int)number_bytes(v.type)};
}

struct conv_spec conv_spec_of(const struct conv_desc *d, const struct conv_use *use, struct view x,
                              struct view y, const struct backend_settings *set)
{
    struct conv_spec s;

    memset(&s, 0, sizeof s);
    s.pass = use->pass;
    s.n = x.n, s.c = x.c, s.h = x.h, s.w = x.w;
    s.k = y.c, s.oh = y.h, s.ow = y.w;
    s.kh = d->kh, s.kw = d->kw, s.stride = d->stride, s.pad = d->pad;
    s.dilation = d->dilation, s.groups = d->groups;
    s.x = conv_rows_of(x);
    s.y = conv_rows_of(y);
    if (use->pass == CONV_FWD) {
        s.bias = use->bias;
        s.act = use->act;
        s.add = use->plus.c > 0 ? conv_rows_of(use->plus) : (struct conv_rows){0, 0};
    } else if (use->add) {
        s.add = s.x;
    }
    s.type = x.type;
    s.exact = !set->tf32;
    s.deterministic = !set->varies;
    return s;
}

static struct conv_plan *plan(cudnnBackendDescriptor_t device, const struct conv_spec *s,
                              size_t limit)
{
    const bool direct = s->x.step != s->c || s->y.step != s->k;

    return conv_plan_make(device, s, limit, direct, NULL);
}

static void find_forward(cudnnBackendDescriptor_t device, size_t limit, struct conv_recipe *r)
{
    struct conv_spec s = r->spec;

    if (conv_plan_has_act(s.act)) {
        r->plan = plan(device, &s, limit);
    }
    if (r->plan == NULL && (s.act != ACT_LINEAR || s.add.step > 0)) {
        s.act = ACT_LINEAR;
        s.add = (struct conv_rows){0, 0};
        r->act_behind = true;
        r->plan = plan(device, &s, limit);
    }
}

/* A gradient that is to be added to another is so in the plan, or made apart and added. */
static void find_backward_data(cudnnBackendDescriptor_t device, size_t limit, struct conv_recipe *r)
{
    struct conv_spec s = r->spec;

    r->plan = plan(device, &s, limit);
    if (r->plan == NULL && s.add.step > 0) {
        s.add = (struct conv_rows){0, 0};
        s.x = (struct conv_rows){s.c, 16};
        r->plan = plan(device, &s, limit);
        r->own_bytes = (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c * number_bytes(s.type);
    }
}

static size_t weight_count(const struct conv_spec *s)
{
    return (size_t)s->k * (size_t)(s->c / s->groups) * (size_t)s->kh * (size_t)s->kw;
}

void conv_recipe_find(cudnnBackendDescriptor_t device, const struct conv_spec *spec, size_t limit,
                      struct conv_recipe *r)
{
    *r = (struct conv_recipe){.plan = NULL};
    memcpy(&r->spec, spec, sizeof *spec);
    switch (spec->pass) {
    case CONV_FWD:
        find_forward(device, limit, r);
        break;
    case CONV_BWD_DATA:
        find_backward_data(device, limit, r);
        break;
    case CONV_BWD_WEIGHT:
        r->plan = plan(device, spec, limit);
        r->own_bytes = weight_count(spec) * number_bytes(spec->type);
        break;
    }
    if (spec->type != NUMBER_REAL && spec->pass != CONV_BWD_WEIGHT) {
        r->weight_bytes = weight_count(spec) * number_bytes(spec->type);
        r->bias_bytes = spec->bias ? (size_t)spec->k * number_bytes(spec->type) : 0;
    }
}

void conv_recipe_free(struct conv_recipe *r)
{
    conv_plan_free(r->plan);
    r->plan = NULL;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

size_t conv_recipe_weight_at(const struct conv_recipe *r)
{
    return aligned(r->own_bytes);
}

size_t conv_recipe_bias_at(const struct conv_recipe *r)
{
    return conv_recipe_weight_at(r) + aligned(r->weight_bytes);
}

size_t conv_recipe_workspace_at(const struct conv_recipe *r)
{
    return conv_recipe_bias_at(r) + aligned(r->bias_bytes);
}

size_t conv_recipe_bytes(const struct conv_recipe *r)
{
    return r->plan != NULL ? conv_recipe_workspace_at(r) + conv_plan_bytes(r->plan) : 0;
}
