/*
 * model.c - from cfg text to a network that runs. First all sections are looked up and their keys
 * checked, so that a user sees up to ten mistakes at once; then they build their nodes in order,
 * where the first mistake ends it, since shapes after it would mean nothing.
 */
#include "model.h"

#include "base/mem.h"
#include "blocks/section.h"
#include "ops/ops.h"

#include <string.h>

/* Sections in one file; what a deep network written out layer by layer may have, and more. */
enum { MODEL_MAX_SECTIONS = 20000 };

/* A section with its keys read. The type's own keys lie behind the common ones. */
struct part {
    const struct cfg_section *section;
    const struct section_type *type;
    struct common_keys *common;
    const void *keys;
};

static bool table_has(const struct key_spec *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (strcmp(table->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int table_size(const struct key_spec *table)
{
    int n = 0;

    while (table[n].name != NULL) {
        n++;
    }
    return n;
}

/* One table of the common keys and the type's, for a block that holds both structs. */
static const struct key_spec *merge_tables(struct arena *mem, const struct section_type *type)
{
    const int n = table_size(common_key_table) + table_size(type->keys);
    struct key_spec *all = arena_alloc(mem, (size_t)(n + 1) * sizeof *all);
    int k = 0;

    if (all == NULL) {
        return NULL;
    }
    for (const struct key_spec *s = common_key_table; s->name != NULL; s++) {
        if (!table_has(type->keys, s->name)) {
            all[k++] = *s;
        }
    }
    for (const struct key_spec *s = type->keys; s->name != NULL; s++) {
        all[k] = *s;
        all[k++].at += sizeof(struct common_keys);
    }
    return all;
}

static enum vov_status read_part(struct cfg_file *cfg, const struct cfg_section *s, struct part *p,
                                 struct err_list *errs)
{
    const struct key_spec *table;
    struct err err = {0};
    char *block;

    p->section = s;
    p->type = section_find(s->type);
    if (p->type == NULL) {
        section_refuse(s, &err);
        return err_list_add(errs, &err);
    }
    table = merge_tables(&cfg->mem, p->type);
    block = arena_alloc(&cfg->mem, sizeof(struct common_keys) + p->type->keys_size + 1);
    if (table == NULL || block == NULL) {
        err_nomem(&err, p->type->keys_size);
        return err_list_add(errs, &err);
    }
    p->common = (struct common_keys *)(void *)block;
    p->keys = block + sizeof(struct common_keys);
    return keys_fill(cfg, s, table, block, errs);
}

static bool is_net(const struct cfg_section *s)
{
    return strcmp(s->type, "net") == 0 || strcmp(s->type, "network") == 0;
}

static enum vov_status read_net(struct model *m, struct err_list *errs)
{
    const struct cfg_section *s = &m->cfg.sections[0];
    struct err err = {0};

    if (!is_net(s)) {
        err_at(&err, &s->at, VOV_ECFG, "the first section must be [net], not [%s]", s->type);
        return err_list_add(errs, &err);
    }
    if (net_refuse(s, &err) != VOV_OK) {
        return err_list_add(errs, &err);
    }
    TRY(keys_fill(&m->cfg, s, net_keys, &m->net, errs));
    if (net_check(s, &m->net, &err) != VOV_OK) {
        return err_list_add(errs, &err);
    }
    return VOV_OK;
}

/* All sections' keys; goes on after an error to find the others. */
static enum vov_status read_parts(struct model *m, struct part *parts, struct err_list *errs)
{
    enum vov_status status = read_net(m, errs);
    struct err err = {0};

    for (int i = 1; i < m->cfg.n_sections; i++) {
        const struct cfg_section *s = &m->cfg.sections[i];
        enum vov_status one;

        if (is_net(s)) {
            struct err again = {0};

            err_at(&again, &s->at, VOV_ECFG, "[%s] may stand only once, at the beginning", s->type);
            one = err_list_add(errs, &again);
        } else {
            one = read_part(&m->cfg, s, &parts[i - 1], errs);
        }
        status = status == VOV_OK ? one : status;
    }
    if (status == VOV_OK && m->cfg.n_sections < 2) {
        err_at(&err, &m->cfg.sections[0].at, VOV_ECFG,
               "no section follows [net]: a network needs "
               "at least one layer");
        return err_list_add(errs, &err);
    }
    return status;
}

/* "osa3": what the section is, and which of its kind, from 1. */
static const char *default_prefix(struct arena *mem, const struct part *parts, int index)
{
    const char *type = parts[index].type->name;
    int nth = 0;

    for (int i = 0; i <= index; i++) {
        nth += parts[i].type == parts[index].type ? 1 : 0;
    }
    return arena_printf(mem, "%s%d", type, nth);
}

static enum vov_status name_output(struct builder *b, const char *name, struct err *err)
{
    if (map_get(&b->names, name) != NULL) {
        return err_at(err, builder_at(b, "name"), VOV_ECFG,
                      "[%s] name=%s is taken by a section before", b->section->type, name);
    }
    if (!map_put(&b->names, name, b->cur)) {
        return err_nomem(err, sizeof(struct map_entry));
    }
    return VOV_OK;
}

static enum vov_status build_part(struct builder *b, const struct part *parts, int index,
                                  struct err *err)
{
    const struct part *p = &parts[index];

    b->section = p->section;
    b->index = index;
    b->graph->at = p->section->at;
    b->prefix =
        p->common->name != NULL ? p->common->name : default_prefix(&b->graph->mem, parts, index);
    if (b->prefix == NULL) {
        return err_nomem(err, strlen(p->type->name));
    }
    if (p->common->from != NULL) {
        if (builder_ref(b, p->common->from, &b->cur, err) != VOV_OK) {
            return err_locate(err, builder_at(b, "from"), NULL);
        }
    }
    TRY(p->type->build(b, p->keys, err));
    b->outs[index] = b->cur;
    return p->common->name != NULL ? name_output(b, p->common->name, err) : VOV_OK;
}

/* What the caller reads afterwards, and whether there is something to train. */
static enum vov_status finish(struct model *m, struct tensor *last, struct err *err)
{
    if (m->graph.training && (m->head.n_loss == 0 || m->head.type == NULL)) {
        return err_at(err, &m->cfg.sections[m->cfg.n_sections - 1].at, VOV_ECFG,
                      "nothing to train: the network has no head such as [softmax] or [refinedet]");
    }
    if (m->head.type == NULL) {
        last->flags |= T_KEEP;
        m->head.out[0] = last;
        m->head.n_out = 1;
    }
    return VOV_OK;
}

static enum vov_status build_graph(struct model *m, const struct part *parts, int batch,
                                   struct err *err)
{
    const int n = m->cfg.n_sections - 1;
    const struct shape in = {batch, m->net.channels, m->net.height, m->net.width};
    struct builder b = {.graph = &m->graph, .cfg = &m->cfg, .net = &m->net, .head = &m->head};
    enum vov_status status = VOV_OK;

    if (shape_count((struct shape){1, in.c, in.h, in.w}) > INT32_MAX) {
        return err_at(err, &m->cfg.sections[0].at, VOV_ECFG,
                      "[net] an input of %dx%dx%d numbers is too large", in.c, in.h, in.w);
    }
    m->input = graph_input(&m->graph, "input", in);
    b.outs = arena_alloc(&m->cfg.mem, (size_t)n * sizeof *b.outs);
    if (m->input == NULL || b.outs == NULL) {
        return err_nomem(err, (size_t)n * sizeof *b.outs);
    }
    b.cur = m->input;
    for (int i = 0; i < n && status == VOV_OK; i++) {
        status = build_part(&b, parts, i, err);
        if (status != VOV_OK) {
            err_locate(err, &parts[i].section->at, NULL);
        }
    }
    map_free(&b.names);
    return status != VOV_OK ? status : finish(m, b.cur, err);
}

/* Overrides of single values, from the command line or the caller. */
static enum vov_status apply_options(struct model *m, const struct model_options *opt,
                                     struct err_list *errs)
{
    enum vov_status status = VOV_OK;

    for (int i = 0; i < opt->n_set; i++) {
        struct err err = {0};

        if (cfg_set(&m->cfg, opt->set[i], &err) != VOV_OK) {
            status = err_list_add(errs, &err);
        }
    }
    return status;
}

/* The passes over the graph that depend on neither the device nor the parameters. */
static enum vov_status prepare(struct model *m, const struct model_options *opt, struct err *err)
{
    if (!opt->training && !opt->keep_norms) {
        TRY(graph_fold_norms(&m->graph, err));
    }
    if (m->net.precision == PRECISION_FP32 || opt->wide) {
        return VOV_OK;
    }
    m->narrow = true;
    return graph_narrow(&m->graph, m->net.precision == PRECISION_FP16 ? NUMBER_HALF : NUMBER_BF16,
                        &op_convert, err);
}

/* The same net with its width and height exchanged. */
static enum vov_status build_turned(struct model *m, const struct model_options *opt,
                                    struct err_list *errs)
{
    struct model_options how = *opt;
    struct err err = {0};
    struct buf text = {0};

    if (m->net.fit != FIT_PAD || m->net.width == m->net.height || opt->one_way) {
        return VOV_OK;
    }
    cfg_print(&m->cfg, &text);
    m->turned = mem_alloc(1, sizeof *m->turned);
    if (text.failed || text.p == NULL || m->turned == NULL) {
        buf_free(&text);
        err_nomem(&err, text.n);
        return err_list_add(errs, &err);
    }
    how.width = m->net.height;
    how.height = m->net.width;
    how.one_way = true;
    how.log = NULL; /* it would all be said twice */
    how.n_set = 0;
    const enum vov_status status =
        model_build_text(m->cfg.path, text.p, text.n, &how, m->turned, errs);
    buf_free(&text);
    return status;
}

static enum vov_status build(struct model *m, const struct model_options *opt,
                             struct err_list *errs)
{
    struct part *parts;
    struct err err = {0};
    int batch = opt->batch;

    TRY(apply_options(m, opt, errs));
    if (m->cfg.n_sections > MODEL_MAX_SECTIONS) {
        err_at(&err, &m->cfg.sections[MODEL_MAX_SECTIONS].at, VOV_ECFG,
               "more than %d sections in one file", MODEL_MAX_SECTIONS);
        return err_list_add(errs, &err);
    }
    parts = arena_alloc(&m->cfg.mem, (size_t)m->cfg.n_sections * sizeof *parts);
    if (parts == NULL) {
        err_nomem(&err, (size_t)m->cfg.n_sections * sizeof *parts);
        return err_list_add(errs, &err);
    }
    TRY(read_parts(m, parts, errs));
    m->net.width = opt->width > 0 ? opt->width : m->net.width;
    m->net.height = opt->height > 0 ? opt->height : m->net.height;
    if (batch == 0) {
        batch = opt->training ? m->net.batch / m->net.subdivisions : 1;
    }
    m->blank = opt->blank;
    m->brief = opt->brief;
    graph_init(&m->graph, opt->training);
    m->graph.averages = opt->training && m->net.ema > 0;
    if (build_graph(m, parts, batch, &err) != VOV_OK || prepare(m, opt, &err) != VOV_OK) {
        return err_list_add(errs, &err);
    }
    return build_turned(m, opt, errs);
}

/* The text stays: the places that errs names lie in it. */
static enum vov_status ended(struct model *m, enum vov_status status)
{
    if (status != VOV_OK) {
        graph_free(&m->graph);
        m->graph = (struct graph){0};
    }
    return status;
}

enum vov_status model_build(const char *cfg_path, const struct model_options *opt, struct model *m,
                            struct err_list *errs)
{
    *m = (struct model){0};
    TRY(cfg_read(cfg_path, opt->log, &m->cfg, errs));
    return ended(m, build(m, opt, errs));
}

enum vov_status model_build_text(const char *name, const char *text, size_t n,
                                 const struct model_options *opt, struct model *m,
                                 struct err_list *errs)
{
    *m = (struct model){0};
    TRY(cfg_parse(name, text, n, opt->log, &m->cfg, errs));
    return ended(m, build(m, opt, errs));
}

static bool decodes(const struct head *h, int i)
{
    return (h->decodes >> i & 1) != 0;
}

/* Host copies of what a detector's decoder reads. */
static enum vov_status take_outputs(struct model *m, struct err *err)
{
    for (int i = 0; i < m->head.n_out; i++) {
        if (!decodes(&m->head, i)) {
            continue;
        }
        const size_t n = shape_count(m->head.out[i]->shape);

        m->host_out[i] = mem_alloc(n, sizeof *m->host_out[i]);
        if (m->host_out[i] == NULL) {
            return err_nomem(err, n * sizeof *m->host_out[i]);
        }
    }
    return VOV_OK;
}

/* Host memory of a model whose graph is open. */
static enum vov_status take_host(struct model *m, struct err *err)
{
    m->started = true;
    if (m->head.extent != NULL) {
        const size_t n = shape_count(m->head.extent->shape);
        m->extent = mem_alloc(n, sizeof *m->extent);
        if (m->extent == NULL) {
            return err_nomem(err, n * sizeof *m->extent);
        }
    }
    return m->head.type != NULL && m->head.type->detects ? take_outputs(m, err) : VOV_OK;
}

static enum vov_status check_precision(const struct model *m, const struct backend *be,
                                       struct err *err)
{
    const bool half = m->net.precision == PRECISION_FP16;

    if (!m->narrow || (half ? be->half : be->bf16)) {
        return VOV_OK;
    }
    if (be->half) {
        return err_set(err, VOV_EDEVICE,
                       "[net] precision=bf16 needs a GPU of compute capability 8.0 or newer, and "
                       "this is %s; --set net.precision=fp16 runs on it, fp32 on any",
                       be->about);
    }
    return err_set(err, VOV_EDEVICE,
                   "[net] precision=%s needs --device cuda, and this is device %s; --set "
                   "net.precision=fp32 runs on any",
                   half ? "fp16" : "bf16", be->ops->name);
}

enum vov_status model_start(struct model *m, struct backend *be, uint64_t seed, struct err *err)
{
    const struct plan_options how = {.again = m->graph.training, .reuse = true};

    TRY(check_precision(m, be, err));
    be->settings = (struct backend_settings){.tf32 = m->net.tf32,
                                             .varies = !m->net.deterministic,
                                             .workspace_bytes = (size_t)m->net.conv_workspace << 20,
                                             .brief = m->brief};
    TRY(exec_open(&m->graph, be, &how, &m->exec, err));
    TRY(take_host(m, err));
    if (m->turned != NULL) {
        TRY(exec_open_second(&m->turned->graph, &m->exec, &how, &m->turned->exec, err));
        TRY(take_host(m->turned, err));
    }
    if (m->blank) {
        return VOV_OK; /* zeros, in pages that nobody has touched */
    }
    return params_init(&m->exec.params, seed, err);
}

/* But for the turned one, which is closed first. */
static void close_one(struct model *m)
{
    if (m->started) {
        exec_close(&m->exec);
    }
    for (int i = 0; i < HEAD_MAX_OUT; i++) {
        mem_free(m->host_out[i]);
    }
    mem_free(m->extent);
    graph_free(&m->graph);
    cfg_free(&m->cfg);
}

void model_close(struct model *m)
{
    if (m->turned != NULL) {
        close_one(m->turned);
        mem_free(m->turned);
    }
    close_one(m);
    *m = (struct model){0};
}

struct model *model_way(struct model *m, bool turned)
{
    return turned ? m->turned : m;
}

/* Nodes stand in the order of the sections that made them, and know the line of theirs. */
int model_head_node(const struct model *m)
{
    const struct cfg_section *s = m->cfg.sections;
    int section = 1, node = 0;

    while (section < m->cfg.n_sections && !section_find(s[section].type)->head) {
        section++;
    }
    if (section == m->cfg.n_sections) {
        return m->graph.n_nodes;
    }
    while (node < m->graph.n_nodes && m->graph.nodes[node]->at.line < s[section].at.line) {
        node++;
    }
    return node;
}

enum vov_status model_takes_pictures(const struct model *m, struct err *err)
{
    if (m->net.channels == 3) {
        return VOV_OK;
    }
    return err_set(err, VOV_ECFG,
                   "%s: pictures have 3 channels, the net's input has %d; --set net.channels=3",
                   m->cfg.path, m->net.channels);
}

struct pixels model_pixels(const struct model *m)
{
    struct pixels px = {
        .width = m->net.width,
        .height = m->net.height,
        .bgr = m->net.bgr,
        .letterbox = m->net.fit == FIT_LETTERBOX,
    };

    if (m->net.fit == FIT_PAD) {
        const int w = px.width, h = px.height;
        px.short_side = m->net.short_side.n > 0 ? 0 : w < h ? w : h;
        for (int i = 0; i < m->net.short_side.n; i++) {
            const int side = (int)m->net.short_side.v[i];
            px.short_side = side > px.short_side ? side : px.short_side;
        }
        px.long_side = m->net.long_side > 0 ? m->net.long_side : w < h ? h : w;
    }
    for (int c = 0; c < 3; c++) {
        px.mean[c] = m->net.mean.v[c < m->net.mean.n ? c : 0];
        px.std[c] = m->net.std.v[c < m->net.std.n ? c : 0];
    }
    return px;
}

void model_place(struct model *m, const struct placing *where)
{
    const int w = m->net.width, h = m->net.height;
    const struct placing whole = placing_whole(w, h);

    for (int i = 0; m->extent != NULL && i < m->input->shape.n; i++) {
        placing_extent(where != NULL ? &where[i] : &whole, w, h, m->extent + (ptrdiff_t)4 * i);
    }
}

/* A side of a box, in parts of the input, in pixels of a picture of `size` that was placed there.
 */
static real place_back(double part, double input, double scale, double off, double size)
{
    const double px = (part * input - off) / scale;

    return (real)(px < 0 ? 0 : px > size ? size : px);
}

static struct box box_back(struct box b, const struct model *m, const struct placing *at, int w,
                           int h)
{
    const double x0 = at->mirrored ? 1 - (double)b.x1 : (double)b.x0;
    const double x1 = at->mirrored ? 1 - (double)b.x0 : (double)b.x1;

    return (struct box){
        .x0 = place_back(x0, m->net.width, at->scale_x, at->off_x, w),
        .y0 = place_back((double)b.y0, m->net.height, at->scale_y, at->off_y, h),
        .x1 = place_back(x1, m->net.width, at->scale_x, at->off_x, w),
        .y1 = place_back((double)b.y1, m->net.height, at->scale_y, at->off_y, h),
    };
}

enum vov_status model_detect(struct model *m, int image, const struct placing *where, int width,
                             int height, double min_score, struct det_list *dets, struct err *err)
{
    const real *out[HEAD_MAX_OUT] = {0};
    const int before = dets->n;
    int kept = before;

    if (m->head.type == NULL || !m->head.type->detects) {
        return err_set(err, VOV_EARG,
                       "the network has no detector, such as [refinedet], at its end");
    }
    for (int i = 0; i < m->head.n_out; i++) {
        const struct tensor *t = m->head.out[i];
        if (!decodes(&m->head, i)) {
            continue;
        }
        const int rows = t->shape.n / m->input->shape.n, first = image * rows;
        const size_t each = shape_count(t->shape) / (size_t)t->shape.n;
        exec_get_rows(&m->exec, t, first, rows, m->host_out[i] + (size_t)first * each);
        out[i] = m->host_out[i];
    }
    TRY(m->head.type->decode(&m->head, out, image, min_score, dets, err));
    for (int i = before; i < dets->n; i++) {
        struct detection d = dets->v[i];

        d.box = box_back(d.box, m, where, width, height);
        if (d.box.x1 > d.box.x0 && d.box.y1 > d.box.y0) {
            dets->v[kept++] = d;
        }
    }
    dets->n = kept;
    return VOV_OK;
}
