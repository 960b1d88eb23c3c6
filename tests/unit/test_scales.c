/* test_scales.c - what --scales takes and refuses. */
#include "cli/scales.h"
#include "run.h"

#include <string.h>

static struct scales parse(const char *text, int side)
{
    struct scales s;
    struct err err = {0};

    ck_assert_msg(scales_parse(text, side, side, &s, &err) == VOV_OK, "%s: %s", text, err.msg);
    return s;
}

static void expect(const struct scale *s, const struct scale *want)
{
    ck_assert_int_eq(s->width, want->width);
    ck_assert_int_eq(s->height, want->height);
    ck_assert_int_eq(s->only, want->only);
    ck_assert_double_eq(s->least, want->least);
    ck_assert_double_eq(s->most, want->most);
}

START_TEST(lists)
{
    struct scales s = parse("192:32-,320,640x512:-160,512/384:8-96", 320);

    ck_assert_int_eq(s.n, 5);
    expect(&s.v[0], &(struct scale){.width = 192, .height = 192, .least = 32});
    expect(&s.v[1], &(struct scale){.width = 320, .height = 320});
    expect(&s.v[2], &(struct scale){.width = 640, .height = 512, .most = 160});
    expect(&s.v[3], &(struct scale){512, 384, SCALE_WIDE, 8, 96});
    expect(&s.v[4], &(struct scale){384, 512, SCALE_TALL, 8, 96});
    s = parse(NULL, 64);
    ck_assert(scales_is_one(&s) && s.v[0].width == 64);
    s = parse("96", 64);
    ck_assert(scales_is_one(&s) && s.v[0].width == 96);
    s = parse("96:8-", 64);
    ck_assert(!scales_is_one(&s));
    s = parse("96/64", 64);
    ck_assert(!scales_is_one(&s));
}
END_TEST

/* The published tester's (docs/evaluation.md): which boxes the enlarged and the shrunk pictures
 * give. */
START_TEST(recipe)
{
    const int sides[] = {512, 512, 384, 256, 384, 640, 768, 896, 1024, 1152};
    const double most[] = {0, 0, 0, 0, 0, 224, 192, 128, 96, 64};
    struct scales s = parse("refinedet", 512);

    ck_assert_int_eq(s.n, 10);
    for (int i = 0; i < s.n; i++) {
        ck_assert_int_eq(s.v[i].width, sides[i]);
        ck_assert_int_eq(s.v[i].height, i == 1 ? 384 : i == 2 ? 512 : sides[i]);
        ck_assert_double_eq(s.v[i].most, most[i]);
        ck_assert_double_eq(s.v[i].least, 0);
    }
    s = parse("refinedet", 320);
    ck_assert_int_eq(s.n, 10);
    expect(&s.v[3], &(struct scale){.width = 192, .height = 192, .least = 32});
    expect(&s.v[9], &(struct scale){.width = 704, .height = 704, .most = 32});
}
END_TEST

START_TEST(refusals)
{
    const char *const wrong[] = {
        "x",        "320,",    ",320",
        "0",        "-64",     "320x",
        "64x32/16", "320:",    "320:5",
        "320:a-",   "64:-0",   "1e3",
        "99999",    "nan",     "320;512",
        "64:nan-",  "64:-5-7", "0000000000000000000000000000000000000000000000000000000000000064"};
    struct scales s;
    char many[400] = "64";

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {0};
        ck_assert_msg(scales_parse(wrong[i], 64, 64, &s, &err) == VOV_EARG, "%s is taken",
                      wrong[i]);
        ck_assert_msg(strstr(err.msg, "such as") != NULL, "%s", err.msg);
    }
    struct err err = {0};
    ck_assert(scales_parse("refinedet", 300, 300, &s, &err) == VOV_EARG);
    for (int i = 0; i < SCALES_MAX; i++) {
        memcpy(many + 2 + 3 * (size_t)i, ",64", 4);
    }
    struct err full = {0};
    ck_assert(scales_parse(many, 64, 64, &s, &full) == VOV_EARG);
}
END_TEST

int main(void)
{
    return run_tests("scales", (const TTest *const[]){lists, recipe, refusals, NULL});
}
