/*
 * data_check.c - `vov data check`.
 */
#include "base/json.h"
#include "commands.h"
#include "data/check.h"

#include <stdio.h>

enum { DEFAULT_LIMIT = 20 };

struct check_command_options {
    bool json;
    int threads, limit;
};

#define AT(field) offsetof(struct check_command_options, field)
static const struct cli_option check_table[] = {
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "the report as JSON"},
    {"limit", 0, OPT_INT, AT(limit), "N", 1, 1000000000,
     "how many problems of each kind are listed; 20 unless given"},
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 1024, "threads; all cores unless given"},
    {0},
};
#undef AT

static void print_classes(const struct check_split *s)
{
    printf("  %-24s %10s %10s %10s\n", "class", "id", "boxes", "pictures");
    for (int i = 0; i < s->n_classes; i++) {
        const struct check_class *k = &s->classes[i];
        cli_print(stdout, "  %-24.24s %10lld %10ld %10d\n", k->name, k->id, k->boxes, k->images);
    }
}

static void print_labels(const struct check_split *s)
{
    printf("  %d pictures of %d classes\n", s->images, s->n_classes);
    printf("  %-24s %10s\n", "class", "pictures");
    for (int i = 0; i < s->n_classes; i++) {
        cli_print(stdout, "  %-24.24s %10d\n", s->classes[i].name, s->classes[i].images);
    }
}

static void print_split(const struct check_split *s)
{
    cli_print(stdout, "%s: %s\n", s->name, s->path);
    if (s->labels) {
        print_labels(s);
        return;
    }
    printf("  %d pictures, %d without boxes; %ld boxes, %ld of crowds; %ld annotations left out\n",
           s->images, s->without_boxes, s->boxes, s->crowd, s->skipped);
    if (s->most[0] > 0) {
        printf("  widths %d to %d, heights %d to %d\n", s->least[0], s->most[0], s->least[1],
               s->most[1]);
    }
    printf("  boxes: %ld small (under 32 x 32), %ld medium (under 96 x 96), %ld large\n", s->small,
           s->medium, s->large);
    printf("  by side:");
    for (int i = 0; i < CHECK_BINS; i++) {
        if (i + 1 < CHECK_BINS) {
            printf(" <%d: %ld ", check_bin_side[i], s->bin[i]);
        } else {
            printf(" more: %ld\n", s->bin[i]);
        }
    }
    print_classes(s);
}

/* Problems go to stderr, as all errors and warnings do. */
static void print_problems(const struct check_report *r)
{
    for (int k = 0; k < CHECK_KINDS; k++) {
        const struct check_list *list = &r->list[k];
        const char *level = check_is_error((enum check_kind)k) ? "error" : "warning";
        for (int i = 0; i < list->n_text; i++) {
            cli_print(stderr, "%s: %s\n", level, list->text[i]);
        }
        if (list->count > list->n_text) {
            fprintf(stderr, "%s: and %ld more of this kind (%s); --limit N lists more\n", level,
                    list->count - list->n_text, check_kind_name[k]);
        }
    }
}

static void print_text(const struct cli *cli, const struct check_report *r)
{
    for (int s = 0; s < r->n_splits && !cli->quiet; s++) {
        print_split(&r->split[s]);
    }
    fflush(stdout);
    print_problems(r);
    if (cli->quiet) {
        return;
    }
    if (r->width > 0) {
        printf("%s: a picture of %d x %d pixels\n", cli->operand[0], r->width, r->height);
    }
    for (int k = 0; k < CHECK_KINDS; k++) {
        if (r->list[k].count > 0) {
            printf("  %ld %s\n", r->list[k].count, check_kind_name[k]);
        }
    }
    printf("%s: %ld error%s, %ld warning%s\n", cli->operand[0], r->errors,
           r->errors == 1 ? "" : "s", r->warnings, r->warnings == 1 ? "" : "s");
}

static void json_split(struct buf *b, const struct check_split *s)
{
    buf_puts(b, "{\"name\": ");
    json_put_str(b, s->name);
    buf_puts(b, ", \"annotations\": ");
    json_put_str(b, s->path);
    buf_printf(b, ", \"images\": %d, \"without_boxes\": %d, \"boxes\": %ld, \"crowd\": %ld, ",
               s->images, s->without_boxes, s->boxes, s->crowd);
    buf_printf(b, "\"skipped\": %ld, \"width\": [%d, %d], \"height\": [%d, %d], ", s->skipped,
               s->least[0], s->most[0], s->least[1], s->most[1]);
    buf_printf(b, "\"sizes\": {\"small\": %ld, \"medium\": %ld, \"large\": %ld}, \"sides\": [",
               s->small, s->medium, s->large);
    for (int i = 0; i < CHECK_BINS; i++) {
        buf_printf(b, "%s{\"under\": ", i > 0 ? ", " : "");
        if (i + 1 < CHECK_BINS) {
            buf_printf(b, "%d, \"boxes\": %ld}", check_bin_side[i], s->bin[i]);
        } else {
            buf_printf(b, "null, \"boxes\": %ld}", s->bin[i]);
        }
    }
    buf_puts(b, "], \"classes\": [");
    for (int i = 0; i < s->n_classes; i++) {
        const struct check_class *k = &s->classes[i];
        buf_printf(b, "%s{\"id\": %lld, \"name\": ", i > 0 ? ", " : "", k->id);
        json_put_str(b, k->name);
        buf_printf(b, ", \"boxes\": %ld, \"images\": %d}", k->boxes, k->images);
    }
    buf_puts(b, "]}");
}

static void json_problem(struct buf *b, enum check_kind kind, const struct check_list *list)
{
    buf_printf(b, "{\"kind\": \"%s\", \"level\": \"%s\", \"count\": %ld, \"texts\": [",
               check_kind_name[kind], check_is_error(kind) ? "error" : "warning", list->count);
    for (int i = 0; i < list->n_text; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        json_put_str(b, list->text[i]);
    }
    buf_puts(b, "]}");
}

static void print_json(const struct cli *cli, const struct check_report *r)
{
    struct buf b = {0};
    const char *comma = "";

    buf_puts(&b, "{\"data\": ");
    json_put_str(&b, cli->operand[0]);
    buf_printf(&b, ", \"errors\": %ld, \"warnings\": %ld, ", r->errors, r->warnings);
    if (r->width > 0) {
        buf_printf(&b, "\"picture\": {\"width\": %d, \"height\": %d}, ", r->width, r->height);
    }
    buf_puts(&b, "\"splits\": [");
    for (int s = 0; s < r->n_splits; s++) {
        buf_puts(&b, s > 0 ? ", " : "");
        json_split(&b, &r->split[s]);
    }
    buf_puts(&b, "], \"problems\": [");
    for (int k = 0; k < CHECK_KINDS; k++) {
        if (r->list[k].count > 0) {
            buf_puts(&b, comma);
            json_problem(&b, (enum check_kind)k, &r->list[k]);
            comma = ", ";
        }
    }
    buf_puts(&b, "]}");
    printf("%s\n", b.p != NULL && !b.failed ? b.p : "{}");
    buf_free(&b);
}

static int run(const struct cli *cli, const void *options)
{
    const struct check_command_options *o = options;
    const struct check_options opt = {
        .threads = o->threads, .limit = o->limit > 0 ? o->limit : DEFAULT_LIMIT, .log = &cli->log};
    struct check_report report;
    struct err err = {0};

    if (check_data(cli->operand[0], &opt, &report, &err) != VOV_OK) {
        return cli_fail(cli, &err);
    }
    if (o->json) {
        print_json(cli, &report);
    } else {
        print_text(cli, &report);
    }
    const int code = report.errors > 0 ? cli_exit_code(VOV_EFORMAT) : 0;
    check_free(&report);
    return code;
}

const struct cli_command data_check_command = {
    .name = "data check",
    .summary = "look for everything wrong with a data set, or a picture",
    .operands = "DATA",
    .min_operands = 1,
    .max_operands = 1,
    .options = check_table,
    .options_size = sizeof(struct check_command_options),
    .details =
        "DATA is a .data file, a COCO annotation file, a folder of class folders or of Pascal "
        "VOC's "
        ".xml files, or a single picture. Every annotation is "
        "read and every picture decoded to its last pixel, on all cores.\n\nErrors: annotations "
        "that cannot be read, pictures that are missing, unreadable or of another size than the "
        "annotations say, train and valid with different classes. Warnings: damaged pictures, "
        "boxes without area or outside, unknown classes, ids given twice, broken masks, files "
        "with the same bytes (in train and valid, or twice in one), classes without boxes. "
        "Problems go to standard error, counts of classes and sizes to standard output.\n\nThe "
        "exit code is 4 when there are errors, 0 with warnings only.",
    .examples = "vov data check data/bccd.data\n"
                "vov data check annotations/val.json --json\n"
                "vov data check photo.jpg\n",
    .run = run,
};
