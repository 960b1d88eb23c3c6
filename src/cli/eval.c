/*
 * eval.c - `vov eval`.
 */
#include "base/file.h"
#include "base/json.h"
#include "commands.h"
#include "device.h"
#include "eval/voc_eval.h"
#include "evaluate.h"

#include <string.h>

struct eval_options {
    bool json, voc, flip;
    const char *device;
    int threads, batch;
    const char *coco, *scales;
    struct text_list set;
};

#define AT(field) offsetof(struct eval_options, field)
static const struct cli_option eval_table[] = {
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "the numbers as JSON"},
    {"voc", 0, OPT_FLAG, AT(voc), NULL, 0, 0,
     "Pascal VOC's average precision at overlap 0.5 too, over 11 recalls and over all"},
    {"coco", 0, OPT_TEXT, AT(coco), "FILE", 0, 0,
     "write the detections as COCO results, with the data's own ids"},
    SCALES_OPTIONS(AT(scales), AT(flip)),
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 1024, "threads; all cores unless given"},
    DEVICE_OPTION(AT(device)),
    {"batch", 'b', OPT_INT, AT(batch), "N", 1, 1024, "pictures at a time; 4 unless given"},
    {"set", 's', OPT_TEXTS, AT(set), "SECTION.KEY=VALUE", 0, 0, "overrides a value of the cfg"},
    {0},
};
#undef AT

/* All that an evaluation holds. */
struct eval_run {
    struct backend *be;
    struct multiscale scales; /* where the network comes from, also when it is one size */
    bool several;             /* sizes, or mirrored: not the plain way */
    struct detector detector;
    struct dataset data;
    struct evaluation result;
    struct voc_report voc; /* with --voc */
};

static void print_text(const struct eval_run *r, bool voc)
{
    struct buf b = {0};
    if (r->data.labels) {
        evaluation_line(&r->result, &b);
    } else {
        coco_report_text(&r->result.report, false, &b);
        buf_puts(&b, "\n");
        coco_report_classes(&r->result.report, &r->data, &b);
        if (r->result.has_masks) {
            buf_puts(&b, "\n");
            coco_report_text(&r->result.masks, true, &b);
            buf_puts(&b, "\n");
            coco_report_classes(&r->result.masks, &r->data, &b);
        }
    }
    if (voc) {
        buf_puts(&b, "\n");
        voc_report_text(&r->voc, &r->data, &b);
    }
    cli_print(stdout, "%s", b.p != NULL ? b.p : "");
    buf_free(&b);
    printf("\n%d pictures in %.1f s", r->data.n, r->result.seconds);
    if (!r->data.labels) {
        printf(", %d detections", r->result.results.n);
    }
    printf(r->result.skipped > 0 ? ", %d pictures could not be read\n" : "\n", r->result.skipped);
}

/* One object; with --voc it has a key more, "voc". */
static void print_json(const struct eval_run *r, bool voc)
{
    struct buf b = {0};
    if (r->data.labels) {
        evaluation_numbers(&r->result, &b);
    } else {
        coco_report_json(&r->result.report, r->result.has_masks ? &r->result.masks : NULL, &r->data,
                         &b);
    }
    if (voc && b.n > 0 && !b.failed) {
        b.n--; /* the object is closed again below */
        buf_puts(&b, ",\"voc\":");
        voc_report_json(&r->voc, &r->data, &b);
        buf_puts(&b, "}");
    }
    printf("%s\n", b.p != NULL ? b.p : "");
    buf_free(&b);
}

static enum vov_status report(const struct eval_options *o, struct eval_run *r, struct err *err)
{
    if (o->coco != NULL) {
        TRY(results_write(o->coco, &r->result.results, err));
    }
    if (o->voc) {
        TRY(voc_eval(&r->data, &r->result.results, 0.5, &r->voc, err));
    }
    if (o->json) {
        print_json(r, o->voc);
    } else {
        print_text(r, o->voc);
    }
    return VOV_OK;
}

static enum vov_status open_data(const struct cli *cli, const struct eval_options *o,
                                 struct eval_run *r, struct err *err)
{
    const struct dataset_options opt = evaluate_data(&r->detector.model, &cli->log);
    TRY(dataset_open(cli->operand[2], true, &opt, &r->data, err));
    if (r->data.n == 0) {
        return err_set(err, VOV_EFORMAT, "%s: no pictures to evaluate with", r->data.path);
    }
    if ((o->coco != NULL || o->voc) && r->data.labels) {
        return err_set(err, VOV_EARG, "%s is for detectors: a classifier has no boxes",
                       o->voc ? "--voc" : "--coco");
    }
    return cli_try_output(cli, o->coco, err);
}

/* With several sizes the network is opened later, at one after the other. */
static enum vov_status open_network(struct eval_run *r, const struct eval_options *o,
                                    struct err_list *errs)
{
    struct multiscale *m = &r->scales;
    if (o->scales != NULL || o->flip) {
        TRY(multiscale_init(m, o->scales, o->flip, errs));
        r->several = multiscale_needed(m);
    }
    return r->several ? VOV_OK
                      : detector_open(&r->detector, m->cfg, m->weights, &m->opt, r->be, errs);
}

static enum vov_status measure(struct eval_run *r, struct err_list *errs)
{
    struct multiscale *m = &r->scales;
    struct err err = {0};
    if (r->several) {
        return evaluate_scales(m, &r->detector, &r->data, &r->result, errs);
    }
    if (evaluate(&r->detector, &r->data, m->workers, m->opt.log, &r->result, &err) != VOV_OK) {
        return err_list_add(errs, &err);
    }
    return VOV_OK;
}

static int run(const struct cli *cli, const void *options)
{
    const struct eval_options *o = options;
    struct eval_run r = {0};
    struct err_list errs = {0};
    struct err err = {0};
    int code = 0;
    r.scales = (struct multiscale){.cfg = cli->operand[0],
                                   .weights = cli->operand[1],
                                   .opt = {.batch = o->batch > 0 ? o->batch : 4,
                                           .set = o->set.v,
                                           .n_set = o->set.n,
                                           .log = &cli->log},
                                   .workers = look_workers(o->threads)};
    if (device_open(cli, o->device, o->threads, &r.be, &err) != VOV_OK) {
        code = cli_fail(cli, &err);
    } else {
        r.scales.be = r.be;
    }
    if (code == 0 && open_network(&r, o, &errs) != VOV_OK) {
        code = cli_fail_list(cli, &errs);
    }
    if (code == 0 && open_data(cli, o, &r, &err) != VOV_OK) {
        code = cli_fail(cli, &err);
    }
    if (code == 0 && measure(&r, &errs) != VOV_OK) {
        code = cli_fail_list(cli, &errs);
    }
    if (code == 0 && report(o, &r, &err) != VOV_OK) {
        code = cli_fail(cli, &err);
    }
    if (code == 0 && r.result.skipped > 0) {
        code = cli_exit_code(VOV_EFORMAT);
    }
    voc_report_free(&r.voc);
    evaluation_free(&r.result);
    dataset_free(&r.data);
    detector_close(&r.detector);
    multiscale_free(&r.scales);
    backend_close(r.be);
    return code;
}

const struct cli_command eval_command = {
    .name = "eval",
    .summary = "measure a network on annotated pictures",
    .operands = "CFG WEIGHTS DATA",
    .min_operands = 3,
    .max_operands = 3,
    .options = eval_table,
    .options_size = sizeof(struct eval_options),
    .details =
        "Prints COCO's twelve numbers and the average precision of each class, as pycocotools "
        "gives them. DATA is a .data file, whose valid split is taken, a COCO annotation file or a "
        "folder of Pascal VOC's .xml files. Of a classifier it is a folder of class folders, or a "
        ".data file that names such or CIFAR-10's .bin files, and the numbers are {\"top1\": ..., "
        "\"top5\": ...}.\n\nA picture that cannot be read is named, "
        "counted as one without detections, and "
        "makes the exit code 4. With --json standard output is one object: {\"bbox\": {\"AP\": "
        "..., "
        "\"AP50\": ...}, \"per_class\": [...]}, of a network that finds masks with \"segm\" beside "
        "\"bbox\", also in each class; -1 stands where there was nothing to measure.",
    .examples = "vov eval cfg/detect/bccd.cfg runs/bccd/best.safetensors data/bccd.data\n"
                "vov eval my.cfg best.safetensors val.json --json --coco results.json",
    .run = run,
};
