/* scales.c - see scales.h. */
#include "scales.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Of COCO: docs/evaluation.md, and the tester's code, test/lib/fast_rcnn/test.py of RefineDet. */
static const struct {
    int side;
    const char *scales;
} recipes[] = {
    {320, "320,320/192,192:32-,384:-160,448:-128,512:-96,576:-64,640:-48,704:-32"},
    {512, "512,512/384,256,384,640:-224,768:-192,896:-128,1024:-96,1152:-64"},
};

static enum vov_status refuse(const char *item, struct err *err)
{
    return err_set(err, VOV_EARG,
                   "--scales takes sizes such as 320, 512x384 or 512/384, each with limits such as "
                   ":32-, :-160 or :32-160 behind it, or \"refinedet\", not \"%s\"",
                   item);
}

static bool parse_side(const char *text, int *side)
{
    long long v;

    if (!text_int(text, &v) || v < 1 || v > 16384) {
        return false;
    }
    *side = (int)v;
    return true;
}

/* Empty: no limit. */
static bool parse_limit(const char *text, double *limit)
{
    return text[0] == '\0' || (text_real(text, limit) && *limit > 0);
}

/* ":LEAST-MOST", which it cuts off text. */
static bool parse_limits(char *text, struct scale *s)
{
    char *colon = strchr(text, ':');

    if (colon == NULL) {
        return true;
    }
    *colon = '\0';
    char *dash = strchr(colon + 1, '-');
    if (dash == NULL) {
        return false;
    }
    *dash = '\0';
    return parse_limit(colon + 1, &s->least) && parse_limit(dash + 1, &s->most);
}

/* Two scales for LONG/SHORT, else one. */
static bool parse_item(char *text, struct scale out[2], int *n)
{
    struct scale s = {0};

    if (!parse_limits(text, &s)) {
        return false;
    }
    char *mark = strpbrk(text, "x/");
    const bool turns = mark != NULL && *mark == '/';
    if (mark != NULL) {
        *mark = '\0';
    }
    if (!parse_side(text, &s.width) || !parse_side(mark != NULL ? mark + 1 : text, &s.height)) {
        return false;
    }
    *n = turns && s.width != s.height ? 2 : 1;
    s.only = *n == 2 ? SCALE_WIDE : SCALE_ANY;
    out[0] = s;
    out[1] = s;
    out[1].width = s.height;
    out[1].height = s.width;
    out[1].only = SCALE_TALL;
    return true;
}

static enum vov_status parse_list(const char *text, struct scales *s, struct err *err)
{
    while (*text != '\0') {
        const size_t n = strcspn(text, ",");
        char item[64], pieces[sizeof item];
        struct scale two[2];
        int n_new = 0;

        snprintf(item, sizeof item, "%.*s", n < sizeof item ? (int)n : (int)sizeof item - 1, text);
        memcpy(pieces, item, sizeof pieces);
        if (n >= sizeof item || !parse_item(pieces, two, &n_new)) {
            return refuse(item, err);
        }
        if (s->n + n_new > SCALES_MAX) {
            return err_set(err, VOV_EARG, "--scales has more than %d sizes", SCALES_MAX);
        }
        memcpy(s->v + s->n, two, (size_t)n_new * sizeof *two);
        s->n += n_new;
        text += n;
        if (*text == ',' && *++text == '\0') {
            return refuse("", err);
        }
    }
    return VOV_OK;
}

enum vov_status scales_parse(const char *text, int width, int height, struct scales *s,
                             struct err *err)
{
    *s = (struct scales){.v = {{.width = width, .height = height}}, .n = 1};
    if (text == NULL) {
        return VOV_OK;
    }
    if (text[0] == '\0') {
        return refuse(text, err);
    }
    s->n = 0;
    if (strcmp(text, "refinedet") != 0) {
        return parse_list(text, s, err);
    }
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        if (recipes[i].side == width && width == height) {
            return parse_list(recipes[i].scales, s, err);
        }
    }
    return err_set(err, VOV_EARG,
                   "--scales refinedet is for inputs of 320x320 or 512x512, and the cfg has %dx%d: "
                   "list the sizes",
                   width, height);
}

bool scales_is_one(const struct scales *s)
{
    return s->n == 1 && s->v[0].least == 0 && s->v[0].most == 0;
}
