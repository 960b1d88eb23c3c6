/*
 * bench_proposals.c - how long proposals of one 800x1344 picture take on one core: of each level of
 * the paper's Mask R-CNN the best 2000 anchors, moved and thinned out at an overlap of 0.7, up to
 * 2000 of which stay; then the best 2000 of all levels. Scores without order, so that nearly all
 * stay, or high around some objects, as a network that has learned gives them. Medians.
 * `bench_proposals [ROUNDS]`.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "det/box.h"
#include "heads/rcnn.h"
#include "model/model.h"
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 2000, OBJECTS = 20, MOST_ROUNDS = 1000 };
static const char config[] = "cfg/detect/maskrcnn-vovnet39-gn.cfg";

struct bench {
    struct proposal_desc d;
    struct proposal_input in;
    struct proposals out[ROI_MAX_LEVELS];
    real *logits, *deltas, *rois;
    void *scratch, *merge_scratch;
};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Normal numbers; with objects, more for anchors the better they fit one. */
static void fill(struct bench *b, bool objects)
{
    struct rng r = rng_open(1, RNG_TEST, objects, 0);
    struct box object[OBJECTS];

    for (int i = 0; i < OBJECTS; i++) {
        const double side = 30 * pow(16, rng_uniform(&r));
        const double x = rng_range(&r, 0, 1344 - side), y = rng_range(&r, 0, 800 - side);
        object[i] = (struct box){(real)x, (real)y, (real)(x + side), (real)(y + side)};
    }
    for (int i = 0; i < anchors_count(&b->d.anchors); i++) {
        double score = rng_normal(&r);
        for (int k = 0; objects && k < OBJECTS; k++) {
            score += 20 * (double)box_iou(&b->d.anchors.box[i], &object[k]);
        }
        b->logits[i] = (real)score;
        for (int k = 0; k < 4; k++) {
            b->deltas[4 * i + k] = (real)(0.1 * rng_normal(&r));
        }
    }
}

static bool prepare(struct bench *b, const struct model *m)
{
    const struct node *n = graph_find(&m->graph, "rpn1/proposals");

    b->d = ((const struct proposals_attr *)n->attr)->d;
    b->d.before = b->d.after = b->d.keep = MOST;
    const size_t anchors = (size_t)anchors_count(&b->d.anchors);
    b->logits = mem_alloc(anchors, sizeof *b->logits);
    b->deltas = mem_alloc(anchors, 4 * sizeof *b->deltas);
    b->rois = mem_alloc(MOST, ROI_ROW * sizeof *b->rois);
    b->scratch = mem_alloc(proposal_scratch_bytes(&b->d), 1);
    b->merge_scratch = mem_alloc(proposal_merge_scratch_bytes(&b->d), 1);
    bool ok = b->logits && b->deltas && b->rois && b->scratch && b->merge_scratch;
    for (int i = 0; i < b->d.anchors.n_levels; i++) {
        b->out[i].box = mem_alloc(MOST, sizeof *b->out[i].box);
        b->out[i].score = mem_alloc(MOST, sizeof *b->out[i].score);
        ok = ok && b->out[i].box && b->out[i].score;
    }
    b->in = (struct proposal_input){b->logits, b->deltas, {0, 0, 1344, 800}};
    return ok;
}

static void release(struct bench *b)
{
    for (int i = 0; i < b->d.anchors.n_levels; i++) {
        mem_free(b->out[i].box);
        mem_free(b->out[i].score);
    }
    mem_free(b->logits);
    mem_free(b->deltas);
    mem_free(b->rois);
    mem_free(b->scratch);
    mem_free(b->merge_scratch);
}

/* Milliseconds of a level, or of the merging of all. */
static double time_once(struct bench *b, int level)
{
    const double begin = clock_now();

    if (level < b->d.anchors.n_levels) {
        proposal_level(&b->d, level, &b->in, &b->out[level], b->scratch);
    } else {
        proposal_merge(&b->d, b->out, 1, b->rois, b->merge_scratch);
    }
    return 1e3 * (clock_now() - begin);
}

static void measure(struct bench *b, int rounds)
{
    static double ms[ROI_MAX_LEVELS + 2][MOST_ROUNDS];
    const int levels = b->d.anchors.n_levels;

    for (int r = 0; r < rounds; r++) {
        ms[levels + 1][r] = 0;
        for (int i = 0; i <= levels; i++) {
            ms[i][r] = time_once(b, i);
            ms[levels + 1][r] += ms[i][r];
        }
    }
    for (int i = 0; i <= levels + 1; i++) {
        qsort(ms[i], (size_t)rounds, sizeof ms[i][0], compare);
        if (i < levels) {
            const int before = i > 0 ? b->d.anchors.end[i - 1] : 0;
            printf("  level %d: %6d anchors, %4d stay", i, b->d.anchors.end[i] - before,
                   b->out[i].n);
        } else {
            printf("  %-34s", i == levels ? "the best of all levels" : "together");
        }
        printf("  %7.3f ms\n", ms[i][rounds / 2]);
    }
}

int main(int argc, char **argv)
{
    const int wanted = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 101;
    const int rounds = wanted < 1 ? 1 : wanted > MOST_ROUNDS ? MOST_ROUNDS : wanted;
    const struct model_options opt = {.training = true, .batch = 1};
    struct err_list errs = {0};
    struct model m;
    struct bench b = {0};

    if (model_build(config, &opt, &m, &errs) != VOV_OK) {
        fprintf(stderr, "%s\n", errs.item[0].msg);
        return 1;
    }
    const bool ok = prepare(&b, &m);
    for (int objects = 0; ok && objects < 2; objects++) {
        fill(&b, objects == 1);
        printf("%s\n", objects ? "scores high around 20 objects" : "scores without order");
        measure(&b, rounds);
    }
    release(&b);
    model_close(&m);
    return !ok;
}
