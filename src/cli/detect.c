/*
 * detect.c - `vov detect`: pictures and folders in; pictures with boxes, JSON and COCO results out.
 */
#include "detect.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "commands.h"
#include "data/draw.h"
#include "device.h"
#include "evaluate.h"
#include "inputs.h"
#include "multiscale.h"

#include <string.h>

struct detect_options {
    double thresh;
    const char *out, *json, *coco, *data;
    const char *device;
    const char *scales;
    bool flip;
    int threads;
    struct text_list set;
};

#define AT(field) offsetof(struct detect_options, field)
static const struct cli_option detect_table[] = {
    {"thresh", 0, OPT_REAL, AT(thresh), "T", 0, 1,
     "least score of a detection, 0 to 1; 0.3 unless given"},
    {"out", 'o', OPT_TEXT, AT(out), "DIR", 0, 0,
     "folder for the pictures with boxes drawn in; \"detections\" where neither this nor --json "
     "nor --coco is given"},
    {"json", 'j', OPT_TEXT, AT(json), "FILE", 0, 0, "write all detections as JSON"},
    {"coco", 0, OPT_TEXT, AT(coco), "FILE", 0, 0, "write all detections as COCO results"},
    {"data", 'd', OPT_TEXT, AT(data), "DATA", 0, 0,
     "annotation or .data file from which --coco takes the ids of the pictures"},
    SCALES_OPTIONS(AT(scales), AT(flip)),
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 1024, "threads; all cores unless given"},
    DEVICE_OPTION(AT(device)),
    {"set", 's', OPT_TEXTS, AT(set), "SECTION.KEY=VALUE", 0, 0, "overrides a value of the cfg"},
    {0},
};
#undef AT

enum vov_status detect_find(struct detector *d, const char *path, double thresh,
                            const struct log *log, struct image *img, struct det_list *dets,
                            struct err *err)
{
    TRY(image_read(path, log, img, err));
    enum vov_status status = detector_put(d, 0, img, err);
    if (status == VOV_OK) {
        status = detector_run(d, err);
    }
    det_clear(dets);
    if (status == VOV_OK) {
        status = detector_get(d, 0, img->width, img->height, thresh, dets, err);
    }
    if (status != VOV_OK) {
        image_free(img);
    }
    return status;
}

/* DIR/name.jpg; with a number where an earlier picture of the run had that name. */
static char *drawn_path(const char *dir, const char *path, int repeat)
{
    const char *base = path_base(path), *ext = path_ext(path);
    const bool known =
        strcmp(ext, "png") == 0 || strcmp(ext, "jpg") == 0 || strcmp(ext, "jpeg") == 0;
    const int stem = (int)(strlen(base) - (ext[0] != '\0' ? strlen(ext) + 1 : 0));
    char name[300], number[16] = "";
    if (repeat > 0) {
        snprintf(number, sizeof number, "-%d", repeat + 1);
    }
    snprintf(name, sizeof name, "%.*s%s.%s", stem < 240 ? stem : 240, base, number,
             known ? ext : "png");
    return path_join(dir, name);
}

static enum vov_status check_not_input(const char *path, const char *drawn, struct err *err)
{
    if (file_same(path, drawn)) {
        return err_set(err, VOV_EARG, "%s would be written over: give another folder with --out",
                       path);
    }
    return VOV_OK;
}

enum vov_status detect_draw(const struct detector *d, const char *path, const char *dir, int repeat,
                            struct image *img, const struct det_list *dets, struct err *err)
{
    char *drawn = drawn_path(dir, path, repeat);
    if (drawn == NULL) {
        return err_nomem(err, strlen(dir) + strlen(path));
    }
    enum vov_status status = check_not_input(path, drawn, err);
    if (status == VOV_OK) {
        status = draw_detections(img, dets, d->class_name, d->n_classes, err);
    }
    if (status == VOV_OK) {
        status = image_write(drawn, img, err);
    }
    mem_free(drawn);
    return status;
}

/* All that a call holds. */
struct detect_run {
    const struct cli *cli;
    const struct detect_options *opt;
    const char *out;
    double thresh;
    struct backend *be;
    struct multiscale scales; /* where the network comes from, also when it is one size */
    bool several;             /* sizes, or mirrored: what was found is in scales.found */
    struct detector detector;
    struct inputs inputs;
    struct findings found;
    int done, skipped;
    double start;
};

static void print_found(const struct detect_run *r, const char *path, const struct det_list *dets)
{
    const struct detector *d = &r->detector;
    if (r->cli->quiet) {
        return;
    }
    cli_print(stdout, "%s: %d", path, dets->n);
    for (int c = 0, first = 1; c < d->n_classes; c++) {
        int n = 0;
        for (int i = 0; i < dets->n; i++) {
            n += dets->v[i].class_id == c;
        }
        if (n > 0) {
            cli_print(stdout, "%s%d %s", first ? " (" : ", ", n, d->class_name[c]);
            first = 0;
        }
    }
    printf(dets->n > 0 ? ")\n" : "\n");
}

/* Input i's picture, and what is in it. */
static enum vov_status find(struct detect_run *r, int i, struct image *img, struct det_list *dets,
                            struct err *err)
{
    const char *path = r->inputs.item[i].path;
    if (!r->several) {
        return detect_find(&r->detector, path, r->thresh, &r->cli->log, img, dets, err);
    }
    TRY(image_read(path, &r->cli->log, img, err));
    const struct det_list *found = &r->scales.found[i];
    dets->n = 0;
    for (int k = 0; k < found->n && (double)found->v[k].score >= r->thresh; k++) {
        if (!det_add(dets, found->v[k])) {
            image_free(img);
            return err_nomem(err, sizeof(struct detection));
        }
    }
    return VOV_OK;
}

static enum vov_status one(struct detect_run *r, int i, struct det_list *dets, struct err *err)
{
    const struct input *in = &r->inputs.item[i];
    struct image img = {0};
    struct err why = {0};
    const enum vov_status read = find(r, i, &img, dets, &why);
    if (read == VOV_EFORMAT) { /* this picture's fault: the others go on */
        cli_fail(r->cli, &why);
        r->skipped++;
        return VOV_OK;
    }
    if (read != VOV_OK) {
        return err_set(err, read, "%s: %s", in->path, why.msg);
    }
    print_found(r, in->path, dets);
    enum vov_status status = findings_add(&r->found, in, &img, &r->detector, dets, err);
    if (status == VOV_OK && r->out != NULL) {
        status = detect_draw(&r->detector, in->path, r->out, in->repeat, &img, dets, err);
    }
    image_free(&img);
    r->done++;
    return status;
}

static enum vov_status all(struct detect_run *r, struct err *err)
{
    struct det_list dets = {0};
    enum vov_status status = VOV_OK;
    TRY(cli_try_output(r->cli, r->opt->json, err));
    TRY(cli_try_output(r->cli, r->opt->coco, err));
    if (r->out != NULL) {
        TRY(file_mkdirs(r->out, err));
    }
    for (int i = 0; i < r->inputs.n && status == VOV_OK; i++) {
        status = one(r, i, &dets, err);
    }
    det_free(&dets);
    TRY(status);
    if (r->opt->json != NULL) {
        TRY(findings_write_json(&r->found, r->opt->json, err));
    }
    if (r->opt->coco != NULL) {
        TRY(results_write(r->opt->coco, &r->found.results, err));
    }
    if (!r->cli->quiet) {
        printf("%d pictures in %.2f s, %d detections", r->done, clock_now() - r->start,
               r->found.results.n);
        if (r->out != NULL) {
            printf(", drawn in %s", r->out);
        }
        printf(r->skipped > 0 ? ", %d pictures could not be read\n" : "\n", r->skipped);
    }
    return VOV_OK;
}

/* Up to so many, a network is read and prepared sooner in small pages than it loses by them. */
enum { FEW_PICTURES = 4 };

/* With several sizes the network is opened later, at one after the other. */
static enum vov_status open_network(struct detect_run *r, struct err_list *errs)
{
    const struct cli *cli = r->cli;
    const struct detect_options *o = r->opt;
    struct multiscale *m = &r->scales;
    *m = (struct multiscale){.cfg = cli->operand[0],
                             .weights = cli->operand[1],
                             .opt = {.batch = 1,
                                     .brief = r->inputs.n <= FEW_PICTURES,
                                     .set = o->set.v,
                                     .n_set = o->set.n,
                                     .log = &cli->log},
                             .be = r->be,
                             .workers = 1};
    if (o->scales != NULL || o->flip) {
        TRY(multiscale_init(m, o->scales, o->flip, errs));
        r->several = multiscale_needed(m);
    }
    return r->several ? VOV_OK
                      : detector_open(&r->detector, m->cfg, m->weights, &m->opt, r->be, errs);
}

static enum vov_status look_at_all_sizes(struct detect_run *r, struct err_list *errs)
{
    struct dataset data = {.path = "the pictures", .n = r->inputs.n};
    struct err err = {0};
    data.item = mem_alloc((size_t)data.n, sizeof *data.item);
    if (data.item == NULL) {
        err_nomem(&err, (size_t)data.n * sizeof *data.item);
        return err_list_add(errs, &err);
    }
    for (int i = 0; i < data.n; i++) {
        data.item[i].path = r->inputs.item[i].path;
        data.item[i].file_name = r->inputs.item[i].path;
    }
    enum vov_status status = multiscale_open(&r->scales, &r->detector, errs);
    if (status == VOV_OK) {
        status = multiscale_run(&r->scales, &r->detector, &data, errs);
    }
    mem_free(data.item);
    return status;
}

static int open_and_run(struct detect_run *r)
{
    const struct cli *cli = r->cli;
    struct err_list errs = {0};
    struct err err = {0};
    if (device_open(cli, r->opt->device, r->opt->threads, &r->be, &err) != VOV_OK) {
        return cli_fail(cli, &err);
    }
    if (inputs_find(&r->inputs, cli->operand + 2, cli->n_operands - 2, r->opt->data, &cli->log,
                    &err) != VOV_OK) {
        return cli_fail(cli, &err);
    }
    if (open_network(r, &errs) != VOV_OK) {
        return cli_fail_list(cli, &errs);
    }
    r->start = clock_now();
    if (r->several && look_at_all_sizes(r, &errs) != VOV_OK) {
        return cli_fail_list(cli, &errs);
    }
    if (all(r, &err) != VOV_OK) {
        return cli_fail(cli, &err);
    }
    return r->skipped > 0 ? cli_exit_code(VOV_EFORMAT) : 0;
}

static int run(const struct cli *cli, const void *options)
{
    const struct detect_options *o = options;
    const bool files = o->json != NULL || o->coco != NULL;
    struct detect_run r = {.cli = cli,
                           .opt = o,
                           .out = o->out != NULL ? o->out : (files ? NULL : "detections"),
                           .thresh = cli_given(cli, "thresh") ? o->thresh : 0.3};
    const int code = open_and_run(&r);
    findings_free(&r.found);
    inputs_free(&r.inputs);
    detector_close(&r.detector);
    multiscale_free(&r.scales);
    backend_close(r.be);
    return code;
}

const struct cli_command detect_command = {
    .name = "detect",
    .summary = "find objects in pictures",
    .operands = "CFG WEIGHTS PATH...",
    .min_operands = 3,
    .max_operands = -1,
    .options = detect_table,
    .options_size = sizeof(struct detect_options),
    .details =
        "PATH is a picture (JPEG or PNG), a folder of pictures, or an annotation or .data file, "
        "whose pictures (of the valid split) are taken. A picture that cannot be read is named and "
        "skipped, and makes the exit code 4.\n\n"
        "--json writes a list with an object for each picture: {\"file\", \"width\", \"height\", "
        "\"detections\": [{\"class\", \"class_id\", \"score\", \"box\": [x, y, w, h]}]}, in pixels "
        "from the top left corner, best first; of a network that finds masks each with a COCO "
        "\"segmentation\": {\"size\": [height, width], \"counts\": \"...\"}.\n\n"
        "--coco writes COCO results. category_id is that of the data that the weights learned "
        "from. image_id is taken from the data file given as PATH or with --data; without one it "
        "is the number that a picture's name consists of (000000000139.jpg: 139), and where a name "
        "is no number the position among the pictures, from 1, for all of them.",
    .examples = "vov detect cfg/detect/bccd.cfg runs/bccd/best.safetensors photo.jpg\n"
                "vov detect my.cfg best.safetensors pictures/ --thresh 0.5 --out drawn\n"
                "vov detect my.cfg best.safetensors val.json --coco results.json",
    .run = run,
};
