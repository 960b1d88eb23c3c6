/*
 * cocoeval.c - `vov cocoeval`: COCO's numbers for a results file of any program.
 */
#include "base/buf.h"
#include "commands.h"
#include "eval/coco_eval.h"

#include <string.h>

struct cocoeval_options {
    const char *iou;
    bool json;
};

#define AT(field) offsetof(struct cocoeval_options, field)
static const struct cli_option cocoeval_table[] = {
    {"iou", 0, OPT_TEXT, AT(iou), "bbox|segm", 0, 0,
     "what overlaps are measured of: boxes (as without it) or masks"},
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "the numbers as one JSON object"},
    {0},
};
#undef AT

static void print_report(const struct coco_report *r, const struct dataset *truth, bool segm,
                         bool json)
{
    struct buf b = {0};

    if (json) {
        coco_report_json(segm ? NULL : r, segm ? r : NULL, truth, &b);
        buf_puts(&b, "\n");
    } else {
        coco_report_text(r, segm, &b);
        buf_puts(&b, "\n");
        coco_report_classes(r, truth, &b);
    }
    cli_print(stdout, "%s", b.p != NULL ? b.p : "");
    buf_free(&b);
}

/* pycocotools passes over such results without a word. */
static void remark_strangers(const struct log *log, const struct result_list *results,
                             const struct dataset *truth)
{
    long long first = 0;
    int n = 0;

    for (int i = 0; i < results->n; i++) {
        int k = 0;
        while (k < truth->n_classes && truth->class_key[k] != results->v[i].category_id) {
            k++;
        }
        if (k == truth->n_classes) {
            first = n++ == 0 ? results->v[i].category_id : first;
        }
    }
    if (n > 0) {
        log_put(log, LOG_WARN, "%s: %d of %d results count for nothing: %s has no category %lld%s",
                results->path, n, results->n, truth->path, first, n > 1 ? " or others" : "");
    }
}

static enum vov_status evaluate_files(const struct cli *cli, bool segm, bool json, struct err *err)
{
    const struct dataset_options opt = {.masks = segm ? MASKS_KEEP : MASKS_DROP, .log = &cli->log};
    struct dataset truth = {0};
    struct result_list results = {0};
    struct coco_report report = {0};
    enum vov_status status = coco_read(cli->operand[0], &opt, &truth, err);

    if (status == VOV_OK) {
        status = results_read(cli->operand[1], &results, err);
    }
    if (status == VOV_OK) {
        remark_strangers(&cli->log, &results, &truth);
        status = coco_eval(&truth, &results, segm, &report, err);
    }
    if (status == VOV_OK) {
        print_report(&report, &truth, segm, json);
    }
    coco_report_free(&report);
    results_free(&results);
    dataset_free(&truth);
    return status;
}

static int run(const struct cli *cli, const void *options)
{
    const struct cocoeval_options *o = options;
    const bool segm = o->iou != NULL && strcmp(o->iou, "segm") == 0;
    struct err err = {0};

    if (o->iou != NULL && !segm && strcmp(o->iou, "bbox") != 0) {
        err_set(&err, VOV_EARG, "--iou wants bbox or segm, not '%s'", o->iou);
        return cli_fail(cli, &err);
    }
    return evaluate_files(cli, segm, o->json, &err) == VOV_OK ? 0 : cli_fail(cli, &err);
}

const struct cli_command cocoeval_command = {
    .name = "cocoeval",
    .summary = "measure a COCO results file against annotations",
    .operands = "ANNOTATIONS RESULTS",
    .min_operands = 2,
    .max_operands = 2,
    .options = cocoeval_table,
    .options_size = sizeof(struct cocoeval_options),
    .details =
        "Prints COCO's twelve numbers and those of each class, equal to what pycocotools gives: "
        "ten IoU thresholds from 0.50 to 0.95, 101 recall points, at most 100 detections of a "
        "class in a picture, crowds ignored. RESULTS is a list of {\"image_id\", \"category_id\", "
        "\"bbox\": [x, y, width, height] or \"segmentation\", \"score\"} from any program.\n\n"
        "With --json standard output is one object: {\"bbox\": {\"AP\", \"AP50\", \"AP75\", "
        "\"APs\", \"APm\", \"APl\", \"AR1\", \"AR10\", \"AR100\", \"ARs\", \"ARm\", \"ARl\"}, "
        "\"per_class\": [{\"id\", \"name\", \"AP\", ...}]}, under \"segm\" for masks; -1 stands "
        "where there was nothing to measure. Files that are damaged, and results of other pictures "
        "than the annotations', make the exit code 4.",
    .examples = "vov cocoeval instances_val2017.json results.json\n"
                "vov cocoeval val.json results.json --iou segm --json\n",
    .run = run,
};
