/*
 * show.c - `vov show`: the layers that a cfg file expands to, what they cost, and the memory that
 * running and training it takes. Costs are for one picture and before norms are folded away, so
 * that they compare with what papers give; docs/cost.md defines them.
 */
#include "commands.h"

#include "base/buf.h"
#include "base/json.h"
#include "graph/params.h"
#include "model/model.h"

#include <inttypes.h>
#include <string.h>

struct show_options {
    bool json, memory;
    struct text_list set;
    int batch;
    struct cli_size size;
};

/* What one way of running needs, for `batch` pictures. */
struct need {
    bool possible;
    char why_not[400];
    int batch;
    size_t arena, scratch, params, apart; /* bytes; apart: were no buffer ever used again */
    struct buf table;                     /* every buffer, when that is asked for */
};

struct show {
    const struct cli *cli;
    bool list_buffers;
    struct model_options opt; /* with what is common to all builds */
    struct model costs;       /* one picture, norms kept */
    struct need inference, training;
    struct op_cost sum;
};

/* In training with the gradient and the momentum, and the average where one is kept. */
static size_t param_bytes(const struct graph *g, bool training)
{
    size_t all = 0, learn = 0;

    for (int i = 0; i < g->n_tensors; i++) {
        if (g->tensors[i]->flags & T_PARAM) {
            all += shape_count(g->tensors[i]->shape);
        }
    }
    learn = params_learnable(g);
    return sizeof(real) * (training ? (g->averages ? 2 : 1) * all + 2 * learn : all);
}

/* Where each buffer lies and in which steps it is in use; slices lie in another's buffer. */
static void list_buffers(const struct graph *g, const struct plan *plan, struct buf *out)
{
    for (int i = 0; i < plan->n_items; i++) {
        const struct plan_item *item = &plan->items[i];

        if (item->bytes == 0) {
            continue;
        }
        buf_printf(out, "  %12zu  %12zu  %5d - %-5d", item->offset, item->bytes, item->first[0],
                   item->last[0]);
        if (item->first[1] <= item->last[1]) {
            buf_printf(out, "  %5d - %-5d", item->first[1], item->last[1]);
        } else {
            buf_printf(out, "  %13s", "");
        }
        buf_printf(out, "  %s%s\n", g->tensors[i / 2]->name, i % 2 == 1 ? " (gradient)" : "");
    }
}

/* Plans for one graph, packed and not. */
static enum vov_status plan_need(struct model *m, struct backend *be, bool list, struct need *need,
                                 struct err *err)
{
    const struct plan_options packed = {.again = m->graph.training, .reuse = true};
    const struct plan_options apart = {.again = false, .reuse = false};
    struct plan plan;

    graph_alias(&m->graph);
    graph_grad_modes(&m->graph);
    TRY(plan_build(&m->graph, be, &apart, &plan, err));
    need->apart = plan.arena_bytes;
    plan_free(&plan);
    TRY(plan_build(&m->graph, be, &packed, &plan, err));
    need->arena = plan.arena_bytes;
    need->scratch = plan.scratch_bytes;
    if (list) {
        list_buffers(&m->graph, &plan, &need->table);
    }
    plan_free(&plan);
    need->params = param_bytes(&m->graph, m->graph.training);
    return VOV_OK;
}

/* A network without a head can be run and not trained: no error, but a reason. */
static enum vov_status find_need(struct show *s, const char *path, struct backend *be,
                                 bool training, struct err *err)
{
    struct need *need = training ? &s->training : &s->inference;
    struct model_options opt = s->opt;
    struct err_list errs = {0};
    struct model m;
    enum vov_status status;

    opt.training = training;
    opt.log = NULL; /* what there is to warn of has been said */
    need->batch = opt.batch;
    status = model_build(path, &opt, &m, &errs);
    if (status != VOV_OK) {
        snprintf(need->why_not, sizeof need->why_not, "%s", errs.item[0].msg);
        status = training ? VOV_OK : err_set(err, status, "%s", need->why_not);
    } else {
        status = plan_need(&m, be, s->list_buffers, need, err);
        need->possible = status == VOV_OK;
    }
    model_close(&m);
    return status;
}

static void json_need(struct buf *b, const char *key, const struct need *n)
{
    buf_printf(b, "\"%s\":", key);
    if (n->possible) {
        buf_printf(b, "%zu", n->arena);
    } else {
        buf_puts(b, "null");
    }
}

static void json_layer(struct buf *b, const struct node *n)
{
    const struct shape s = n->out[0]->shape;
    const struct op_cost c = node_cost(n);

    buf_puts(b, "{\"name\":");
    json_put_str(b, n->name);
    buf_puts(b, ",\"type\":");
    json_put_str(b, n->type->name);
    buf_printf(b,
               ",\"output\":[%d,%d,%d],\"params\":%" PRId64 ",\"madds\":%" PRId64
               ",\"mac\":%" PRId64 ",\"bn_elements\":%" PRId64 "}",
               s.c, s.h, s.w, c.params, c.madds, c.mac, c.bn);
}

static void json_show(struct buf *b, const struct show *s)
{
    const struct graph *g = &s->costs.graph;
    const struct net_config *net = &s->costs.net;
    const struct shape out = s->costs.head.out[0]->shape;

    buf_puts(b, "{\"cfg\":");
    json_put_str(b, s->costs.cfg.path);
    buf_printf(b,
               ",\"input\":[%d,%d,%d],\"output\":[%d,%d,%d],\"classes\":%d,\"sections\":%d,"
               "\"params\":%" PRId64 ",\"madds\":%" PRId64 ",\"mac\":%" PRId64
               ",\"bn_elements\":%" PRId64 ",\"activation_bytes\":%" PRId64,
               net->channels, net->height, net->width, out.c, out.h, out.w, net->classes,
               s->costs.cfg.n_sections - 1, s->sum.params, s->sum.madds, s->sum.mac, s->sum.bn,
               4 * s->sum.outputs);
    buf_printf(b, ",\"batch\":%d,\"plan_bytes\":{", s->inference.batch);
    json_need(b, "inference", &s->inference);
    buf_puts(b, ",");
    json_need(b, "training", &s->training);
    buf_puts(b, "},\"layers\":[");
    for (int i = 0; i < g->n_nodes; i++) {
        buf_puts(b, i > 0 ? ",\n" : "\n");
        json_layer(b, g->nodes[i]);
    }
    buf_puts(b, "]}\n");
}

static void text_shape(struct buf *b, struct shape s)
{
    char text[48];

    snprintf(text, sizeof text, "%dx%dx%d", s.c, s.h, s.w);
    buf_printf(b, "  %-13s", text);
}

static void text_layers(struct buf *b, const struct graph *g)
{
    int width = 4;

    for (int i = 0; i < g->n_nodes; i++) {
        const int n = (int)strlen(g->nodes[i]->name);

        width = n > width ? n : width;
    }
    buf_printf(b, "%-*s  %-15s  %-13s  %11s  %14s  %12s\n", width, "name", "type", "output",
               "params", "multiply-adds", "mac");
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->nodes[i];
        const struct op_cost c = node_cost(n);

        buf_printf(b, "%-*s  %-15s", width, n->name, n->type->name);
        text_shape(b, n->out[0]->shape);
        buf_printf(b, "  %11" PRId64 "  %14" PRId64 "  %12" PRId64 "\n", c.params, c.madds, c.mac);
    }
}

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void text_need(struct buf *b, const char *what, const struct need *n, bool details)
{
    if (!n->possible) {
        buf_printf(b, "%-10s not possible: %s\n", what, n->why_not);
        return;
    }
    buf_printf(b,
               "%-10s plan for a batch of %d: %.2f MiB of activations, %.2f MiB of workspace, "
               "%.2f MiB of parameters\n",
               what, n->batch, mib(n->arena), mib(n->scratch), mib(n->params));
    if (details) {
        buf_printf(b,
                   "%-10s %zu bytes of activations in all; %zu bytes (%.2f MiB) if every buffer "
                   "had its own place\n",
                   "", n->arena, n->apart, mib(n->apart));
        buf_printf(b, "%-10s %.2f MiB in all\n", "", mib(n->arena + n->scratch + n->params));
        buf_printf(b, "  %12s  %12s  %13s  %13s\n", "at byte", "bytes", "in use, steps",
                   "and again");
        buf_add(b, n->table.p, n->table.n);
    }
}

static void text_show(struct buf *b, const struct show *s, bool details)
{
    const struct graph *g = &s->costs.graph;
    const struct shape out = s->costs.head.out[0]->shape;

    text_layers(b, g);
    buf_printf(b, "\n%d layers, output %dx%dx%d\n", s->costs.cfg.n_sections - 1, out.c, out.h,
               out.w);
    buf_printf(b, "input      %dx%dx%d, %d nodes\n", s->costs.net.channels, s->costs.net.height,
               s->costs.net.width, g->n_nodes);
    buf_printf(b, "params     %" PRId64 " (%.3f M)\n", s->sum.params, (double)s->sum.params * 1e-6);
    buf_printf(b,
               "cost       %" PRId64 " multiply-adds (%.3f G), %" PRId64 " batch norm elements\n",
               s->sum.madds, (double)s->sum.madds * 1e-9, s->sum.bn);
    buf_printf(b, "mac        %" PRId64 " memory accesses (%.3f M)\n", s->sum.mac,
               (double)s->sum.mac * 1e-6);
    buf_printf(b, "outputs    %" PRId64 " bytes leave convolutions and connected layers\n",
               4 * s->sum.outputs);
    text_need(b, "inference", &s->inference, details);
    text_need(b, "training", &s->training, details);
}

static int print_show(const struct cli *cli, const struct show *s, const struct show_options *o)
{
    struct buf b = {0};
    struct err err = {0};
    int code = 0;

    if (o->json) {
        json_show(&b, s);
    } else {
        text_show(&b, s, o->memory);
    }
    if (b.failed) {
        err_nomem(&err, b.n);
        code = cli_fail(cli, &err);
    } else if (fwrite(b.p, 1, b.n, stdout) != b.n || fflush(stdout) != 0) {
        err_io(&err, "write", "standard output");
        code = cli_fail(cli, &err);
    }
    buf_free(&b);
    return code;
}

static enum vov_status build_all(struct show *s, const char *path, struct err_list *errs)
{
    struct model_options opt = s->opt;
    struct backend *be = NULL;
    struct err err = {0};
    enum vov_status status;

    opt.batch = 1;
    opt.keep_norms = true;
    TRY(model_build(path, &opt, &s->costs, errs));
    s->sum = graph_cost(&s->costs.graph);
    status = backend_open(NULL, 0, &be, &err);
    if (status == VOV_OK) {
        status = find_need(s, path, be, false, &err);
    }
    if (status == VOV_OK) {
        status = find_need(s, path, be, true, &err);
    }
    backend_close(be);
    return status == VOV_OK ? VOV_OK : err_list_add(errs, &err);
}

static int show_run(const struct cli *cli, const void *options)
{
    const struct show_options *o = options;
    struct show s = {.cli = cli};
    struct err_list errs = {0};
    int code;

    s.list_buffers = o->memory && !o->json;
    s.opt.set = o->set.v;
    s.opt.n_set = o->set.n;
    s.opt.log = &cli->log;
    s.opt.batch = o->batch > 0 ? o->batch : 1;
    s.opt.width = o->size.width;
    s.opt.height = o->size.height;
    if (build_all(&s, cli->operand[0], &errs) != VOV_OK) {
        code = cli_fail_list(cli, &errs);
    } else {
        code = print_show(cli, &s, o);
    }
    model_close(&s.costs);
    buf_free(&s.inference.table);
    buf_free(&s.training.table);
    return code;
}

#define AT(field) offsetof(struct show_options, field)
static const struct cli_option show_table[] = {
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "print one JSON object"},
    {"memory", 0, OPT_FLAG, AT(memory), NULL, 0, 0, "list every buffer of the plans, too"},
    {"set", 's', OPT_TEXTS, AT(set), "SECTION.KEY=VALUE", 0, 0,
     "change a key of the sections of that type or name"},
    {"batch", 'b', OPT_INT, AT(batch), "N", 1, 65536, "pictures that the plans are for (1)"},
    {"size", 0, OPT_SIZE, AT(size), "WxH", 0, 0, "another size of input"},
    {0},
};
#undef AT

const struct cli_command show_command = {
    .name = "show",
    .summary = "print a network's layers, costs and memory plan",
    .operands = "CFG",
    .min_operands = 1,
    .max_operands = 1,
    .options = show_table,
    .options_size = sizeof(struct show_options),
    .details =
        "Prints every node that the sections of CFG expand to, with its output (channels x height "
        "x width), parameters, multiply-adds and memory access cost, then the totals for one "
        "picture, then the memory that inference and training are planned to take.",
    .examples = "vov show cfg/backbone/vovnet39.cfg\n"
                "vov show cfg/backbone/vovnet39-code.cfg --size 320x320 --memory\n"
                "vov show cfg/backbone/vovnetv2-39.cfg --set osa.ese=all --json\n",
    .run = show_run,
};
