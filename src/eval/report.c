/* report.c - what coco_eval found, as pycocotools' text, as a table, as JSON. */
#include "coco_eval.h"

#include "base/json.h"

const char *const coco_number_name[COCO_NUMBERS] = {
    "AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
};

/* What pycocotools writes about each number. */
struct line {
    const char *iou, *area;
    int most;
};
static const struct line lines[COCO_NUMBERS] = {
    {"0.50:0.95", "all", 100},   {"0.50", "all", 100},         {"0.75", "all", 100},
    {"0.50:0.95", "small", 100}, {"0.50:0.95", "medium", 100}, {"0.50:0.95", "large", 100},
    {"0.50:0.95", "all", 1},     {"0.50:0.95", "all", 10},     {"0.50:0.95", "all", 100},
    {"0.50:0.95", "small", 100}, {"0.50:0.95", "medium", 100}, {"0.50:0.95", "large", 100},
};

void coco_report_text(const struct coco_report *r, bool segm, struct buf *out)
{
    buf_printf(out, "%s:\n", segm ? "masks" : "boxes");
    for (int i = 0; i < COCO_NUMBERS; i++) {
        buf_printf(out, " Average %-9s  (%s) @[ IoU=%-9s | area=%6s | maxDets=%3d ] = %.3f\n",
                   i < COCO_AR1 ? "Precision" : "Recall", i < COCO_AR1 ? "AP" : "AR", lines[i].iou,
                   lines[i].area, lines[i].most, r->number[i]);
    }
}

void coco_report_classes(const struct coco_report *r, const struct dataset *truth, struct buf *out)
{
    buf_printf(out, "%-24s %7s %7s %7s %7s %7s %7s %7s %8s\n", "class", "AP", "AP50", "AP75", "APs",
               "APm", "APl", "AR100", "truths");
    for (int i = 0; i < r->n_classes; i++) {
        const struct coco_class *c = &r->classes[i];
        buf_printf(out, "%-24.24s %7.3f %7.3f %7.3f %7.3f %7.3f %7.3f %7.3f %8ld\n",
                   truth->class_name[i], c->ap, c->ap50, c->ap75, c->aps, c->apm, c->apl, c->ar100,
                   c->n_truth);
    }
}

/* "AP":...,...,"ARl":... */
static void put_numbers(const double v[COCO_NUMBERS], struct buf *out)
{
    for (int i = 0; i < COCO_NUMBERS; i++) {
        buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", coco_number_name[i]);
        json_put_real(out, v[i]);
    }
}

void coco_report_numbers(const struct coco_report *r, struct buf *out)
{
    buf_puts(out, "{");
    put_numbers(r->number, out);
    buf_puts(out, "}");
}

static void put_class(const struct coco_class *c, struct buf *out)
{
    const double v[COCO_NUMBERS] = {c->ap,  c->ap50, c->ap75,  c->aps, c->apm, c->apl,
                                    c->ar1, c->ar10, c->ar100, c->ars, c->arm, c->arl};
    put_numbers(v, out);
}

void coco_report_json(const struct coco_report *boxes, const struct coco_report *masks,
                      const struct dataset *truth, struct buf *out)
{
    const struct coco_report *r = boxes != NULL ? boxes : masks;

    buf_puts(out, boxes != NULL ? "{\"bbox\":" : "{\"segm\":");
    coco_report_numbers(r, out);
    if (boxes != NULL && masks != NULL) {
        buf_puts(out, ",\"segm\":");
        coco_report_numbers(masks, out);
    }
    buf_puts(out, ",\"per_class\":[");
    for (int i = 0; i < r->n_classes; i++) {
        buf_printf(out, "%s{\"id\":%lld,\"name\":", i > 0 ? "," : "", truth->class_key[i]);
        json_put_str(out, truth->class_name[i]);
        buf_puts(out, ",");
        put_class(&r->classes[i], out);
        if (boxes != NULL && masks != NULL) {
            buf_puts(out, ",\"segm\":{");
            put_class(&masks->classes[i], out);
            buf_puts(out, "}");
        }
        buf_puts(out, "}");
    }
    buf_puts(out, "]}");
}
