/*
 * inspect.c - `vov inspect`: what is in a file of weights.
 */
#include "base/file.h"
#include "base/json.h"
#include "commands.h"
#include "inspect_draw.h"
#include "io/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct inspect_options {
    bool connections, json;
    const char *out;
    struct text_list set;
};

#define AT(field) offsetof(struct inspect_options, field)
static const struct cli_option inspect_table[] = {
    {"connections", 'c', OPT_FLAG, AT(connections), NULL, 0, 0,
     "how much each layer of the blocks makes of the outputs that it reads, and a heat map"},
    {"out", 'o', OPT_TEXT, AT(out), "FILE", 0, 0,
     "of the heat map: .svg or .png, else both; connections unless given"},
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "the numbers as JSON"},
    {"set", 's', OPT_TEXTS, AT(set), "SECTION.KEY=VALUE", 0, 0, "overrides a value of the cfg"},
    {0},
};
#undef AT

/* ---- tensors ---- */

struct summary {
    double mean, deviation, least, most;
};

static enum vov_status summarize(const struct params *p, const struct tensor *t, struct summary *s,
                                 struct err *err)
{
    const size_t n = shape_count(t->shape);
    real *v = mem_alloc(n, sizeof *v);
    double sum = 0, squares = 0;

    if (v == NULL) {
        return err_nomem(err, n * sizeof *v);
    }
    params_get(p, p->val, t, v);
    *s = (struct summary){.least = (double)INFINITY, .most = -(double)INFINITY};
    for (size_t i = 0; i < n; i++) {
        sum += (double)v[i];
        s->least = fmin(s->least, (double)v[i]);
        s->most = fmax(s->most, (double)v[i]);
    }
    s->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += ((double)v[i] - s->mean) * ((double)v[i] - s->mean);
    }
    s->deviation = sqrt(squares / (double)n);
    mem_free(v);
    return VOV_OK;
}

static void put_summary(struct buf *b, const struct tensor *t, const struct summary *s,
                        bool as_json)
{
    const struct shape h = t->shape;

    if (!as_json) {
        char shape[48];
        snprintf(shape, sizeof shape, "%dx%dx%dx%d", h.n, h.c, h.h, h.w);
        buf_printf(b, "%-44s %-16s %11.4g %11.4g %11.4g %11.4g\n", t->name, shape, s->mean,
                   s->deviation, s->least, s->most);
        return;
    }
    buf_puts(b, b->n > 1 ? ",{\"name\":" : "{\"name\":");
    json_put_str(b, t->name);
    buf_printf(b, ",\"shape\":[%d,%d,%d,%d]", h.n, h.c, h.h, h.w);
    const double v[] = {s->mean, s->deviation, s->least, s->most};
    static const char *const key[] = {"mean", "deviation", "min", "max"};
    for (int i = 0; i < 4; i++) {
        buf_printf(b, ",\"%s\":", key[i]);
        json_put_real(b, v[i]);
    }
    buf_puts(b, "}");
}

static enum vov_status print_tensors(const struct model *m, bool as_json, struct err *err)
{
    const struct params *p = &m->exec.params;
    struct buf b = {0};
    enum vov_status status = VOV_OK;

    buf_puts(&b, as_json ? "[" : "");
    if (!as_json) {
        buf_printf(&b, "%-44s %-16s %11s %11s %11s %11s\n", "tensor", "shape", "mean", "deviation",
                   "min", "max");
    }
    for (int i = 0; i < p->n && status == VOV_OK; i++) {
        struct summary s = {0};
        status = summarize(p, p->tensor[i], &s, err);
        if (status == VOV_OK) {
            put_summary(&b, p->tensor[i], &s, as_json);
        }
    }
    buf_puts(&b, as_json ? "]\n" : "");
    if (status == VOV_OK) {
        fputs(b.p != NULL ? b.p : "", stdout);
    }
    buf_free(&b);
    return status;
}

/* ---- connections ---- */

static void put_block_text(struct buf *b, const struct connection_block *k)
{
    buf_printf(b, "%s\n", k->name);
    for (int t = 0; t < k->n_targets; t++) {
        buf_printf(b, "  %-24.24s", inspect_short(k, k->target[t]));
        for (int s = 0; s < k->n_sources; s++) {
            const double v = k->part[t * k->n_sources + s];
            if (v < 0) {
                buf_puts(b, "    -");
            } else {
                buf_printf(b, " %.2f", v);
            }
        }
        buf_puts(b, "\n");
    }
}

static void put_names(struct buf *b, const char *key, const char *const *name, int n)
{
    buf_printf(b, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        buf_puts(b, i > 0 ? "," : "");
        json_put_str(b, name[i]);
    }
    buf_puts(b, "]");
}

/* Rows of targets; null: not read. */
static void put_matrix(struct buf *b, const char *key, const struct connection_block *k,
                       const double *v)
{
    buf_printf(b, ",\"%s\":[", key);
    for (int t = 0; t < k->n_targets; t++) {
        for (int s = 0; s < k->n_sources; s++) {
            const double x = v[t * k->n_sources + s];
            buf_puts(b, s > 0 ? "," : t > 0 ? ",[" : "[");
            if (x < 0) {
                buf_puts(b, "null");
            } else {
                json_put_real(b, x);
            }
        }
        buf_puts(b, "]");
    }
    buf_puts(b, "]");
}

static void put_block_json(struct buf *b, const struct connection_block *k)
{
    buf_puts(b, b->n > 1 ? ",{\"name\":" : "{\"name\":");
    json_put_str(b, k->name);
    put_names(b, "sources", k->source, k->n_sources);
    put_names(b, "targets", k->target, k->n_targets);
    put_matrix(b, "mean", k, k->mean);
    put_matrix(b, "part", k, k->part);
    buf_puts(b, "}");
}

static enum vov_status show_connections(const struct cli *cli, const struct inspect_options *o,
                                        const struct model *m, struct err *err)
{
    const char *out = o->out != NULL ? o->out : "connections";
    struct connections c;
    struct buf b = {0};

    enum vov_status status = connections_find(m, &c, err);
    if (status == VOV_OK && (o->out != NULL || !o->json)) {
        status = inspect_draw(&c, path_base(m->cfg.path), out, err);
    }
    buf_puts(&b, o->json ? "[" : "");
    for (int i = 0; i < c.n && status == VOV_OK; i++) {
        if (o->json) {
            put_block_json(&b, &c.block[i]);
        } else {
            put_block_text(&b, &c.block[i]);
        }
    }
    buf_puts(&b, o->json ? "]\n" : "");
    if (status == VOV_OK) {
        fputs(b.p != NULL ? b.p : "", stdout);
        if (!o->json && !cli->quiet) {
            printf("drawn: %s\n", out);
        }
    }
    buf_free(&b);
    connections_free(&c);
    return status;
}

static enum vov_status inspect(const struct cli *cli, const struct inspect_options *o,
                               struct model *m, struct backend *be, struct err *err)
{
    TRY(model_start(m, be, 1, err));
    TRY(weights_read(cli->operand[1], &m->exec.params, err));
    return o->connections ? show_connections(cli, o, m, err) : print_tensors(m, o->json, err);
}

static int run(const struct cli *cli, const void *options)
{
    const struct inspect_options *o = options;
    const struct model_options opt = {
        .keep_norms = true, .wide = true, .set = o->set.v, .n_set = o->set.n, .log = &cli->log};
    struct err_list errs = {0};
    struct err err = {0};
    struct backend *be = NULL;
    struct model m = {0};
    int code = 0;

    if (model_build(cli->operand[0], &opt, &m, &errs) != VOV_OK) {
        code = cli_fail_list(cli, &errs);
    } else if (backend_open(NULL, 1, &be, &err) != VOV_OK ||
               inspect(cli, o, &m, be, &err) != VOV_OK) {
        code = cli_fail(cli, &err);
    }
    model_close(&m);
    backend_close(be);
    return code;
}

const struct cli_command inspect_command = {
    .name = "inspect",
    .summary = "look into a file of weights",
    .operands = "CFG WEIGHTS",
    .min_operands = 2,
    .max_operands = 2,
    .options = inspect_table,
    .options_size = sizeof(struct inspect_options),
    .details =
        "Lists the tensors of a network's weights with their mean, deviation and range.\n\nWith "
        "--connections it prints, for the layers of each block that joins outputs ([dense], "
        "[osa]), "
        "the mean absolute weight between the layer and each output that it reads, divided by the "
        "layer's largest, and draws it as the heat map of the papers on DenseNet and VoVNet: a "
        "column for each layer, a row for each output.",
    .examples =
        "vov inspect cfg/demo.cfg runs/demo/run/best.safetensors\n"
        "vov inspect --connections cfg/cifar/densenet40.cfg runs/densenet40/best.safetensors",
    .run = run,
};
