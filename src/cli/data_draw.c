/*
 * data_draw.c - `vov data draw`.
 */
#include "commands.h"
#include "data/drawn.h"

#include <stdio.h>

enum { DEFAULT_IMAGES = 900, DEFAULT_SIZE = 144 };

struct draw_options {
    int images, size, threads, seed;
    const char *classes;
};

#define AT(field) offsetof(struct draw_options, field)
static const struct cli_option draw_table[] = {
    {"images", 'n', OPT_INT, AT(images), "N", 5, 1000000,
     "how many pictures, a fifth of them for validation; 900 unless given"},
    {"size", 0, OPT_INT, AT(size), "S", 32, 4096,
     "sides are within a ninth of this; 144 pixels unless given"},
    {"seed", 0, OPT_INT, AT(seed), "N", 0, 2147483647,
     "another number gives other pictures; 0 unless given"},
    {"classes", 0, OPT_TEXT, AT(classes), "LIST", 0, 0,
     "names with commas between, or how many; 4 unless given"},
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 1024, "threads; all cores unless given"},
    {0},
};
#undef AT

static int run(const struct cli *cli, const void *options)
{
    const struct draw_options *o = options;
    struct drawn_options opt = {.threads = o->threads, .seed = (uint64_t)o->seed, .log = &cli->log};
    struct drawn_counts counts;
    struct err err = {0};

    opt.images = o->images > 0 ? o->images : DEFAULT_IMAGES;
    opt.scene.size = o->size > 0 ? o->size : DEFAULT_SIZE;
    if (drawn_classes(o->classes, &opt.scene, &err) != VOV_OK ||
        drawn_write(cli->operand[0], &opt, &counts, &err) != VOV_OK) {
        return cli_fail(cli, &err);
    }
    if (cli->quiet) {
        return 0;
    }
    printf("%s: %d pictures for training, %d for validation, %ld objects:", cli->operand[0],
           counts.train, counts.val, counts.objects);
    for (int i = 0; i < opt.scene.n_classes; i++) {
        printf("%s %s %ld", i > 0 ? "," : "", shape_name[opt.scene.kind[i]], counts.of_class[i]);
    }
    printf("\n");
    return 0;
}

const struct cli_command data_draw_command = {
    .name = "data draw",
    .summary = "write a data set of drawn shapes",
    .operands = "DIR",
    .min_operands = 1,
    .max_operands = 1,
    .options = draw_table,
    .options_size = sizeof(struct draw_options),
    .details = "Makes DIR with images/train/, images/val/, train.json, val.json (COCO annotations "
               "with boxes and "
               "polygons) and drawn.data: shapes of several classes on textured grounds, many "
               "small, some in front of others or over the edge. The same options give the same "
               "bytes.\n\nShapes: circle, square, triangle, star, cross, heart, moon, hexagon, "
               "arrow. A folder that holds anything but an earlier drawn data set is refused.",
    .examples = "vov data draw shapes\n"
                "vov data draw big --images 5000 --size 320 --classes circle,star,moon\n",
    .run = run,
};
