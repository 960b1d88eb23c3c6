/*
 * test_options.c - command lines by a table: every form that GNU programs take, and each mistake.
 */
#include "cli/options.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

struct opts {
    bool json;
    int threads;
    double thresh;
    const char *out;
    struct text_list set;
    struct cli_size size;
};

#define AT(field) offsetof(struct opts, field)
static const struct cli_option table[] = {
    {"json", 'j', OPT_FLAG, AT(json), NULL, 0, 0, "as JSON"},
    {"threads", 't', OPT_INT, AT(threads), "N", 1, 256, "threads"},
    {"thresh", 0, OPT_REAL, AT(thresh), "T", 0, 1, "score"},
    {"out", 'o', OPT_TEXT, AT(out), "DIR", 0, 0, "folder"},
    {"size", 0, OPT_SIZE, AT(size), "WxH", 0, 0, "size"},
    {"set", 's', OPT_TEXTS, AT(set), "K=V", 0, 0, "override"},
    {0},
};
#undef AT

static const struct cli_command command = {.name = "try",
                                           .operands = "CFG PATH...",
                                           .min_operands = 1,
                                           .max_operands = 3,
                                           .options = table,
                                           .options_size = sizeof(struct opts)};

struct outcome {
    enum vov_status status;
    struct opts opts;
    struct parsed p;
    const char *operands[40];
    struct err err;
};

/* Cuts `line` at its blanks and parses the words. */
static void parse(struct outcome *o, const char *line)
{
    static char words[1000];
    char *argv[50];
    int argc = 0;
    *o = (struct outcome){.p = {.command = &command}};
    o->p.options = &o->opts;
    o->p.operands = o->operands;
    snprintf(words, sizeof words, "%s", line);
    for (char *p = words; *p != '\0';) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p == ' ') {
            *p++ = '\0';
        }
    }
    o->status = options_parse(argc, argv, &o->p, &o->err);
}

START_TEST(forms)
{
    static const char *const same[] = {
        "a --json --threads 2 --thresh 0.5 --out d b",
        "--json --threads=2 --thresh=.5 --out=d a b",
        "a -j -t 2 -o d --thresh 5e-1 b",
        "a b -jt2 -od --thresh 0.5",
        "-jt 2 -o d --thresh 0.5 -- a b",
        "--out x --threads 9 --out d -t2 --json --thresh 0.5 a b",
    };
    for (int i = 0; i < 6; i++) {
        struct outcome o;
        parse(&o, same[i]);
        ck_assert_msg(o.status == VOV_OK, "%s: %s", same[i], o.err.msg);
        ck_assert(o.opts.json);
        ck_assert_int_eq(o.opts.threads, 2);
        ck_assert(o.opts.thresh == 0.5);
        ck_assert_str_eq(o.opts.out, "d");
        ck_assert_int_eq(o.p.n_operands, 2);
        ck_assert_str_eq(o.operands[0], "a");
        ck_assert_str_eq(o.operands[1], "b");
        ck_assert_uint_eq(o.p.given, 15);
    }
}
END_TEST

START_TEST(special_words)
{
    struct outcome o;
    parse(&o, "-- --json -x -");
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert_int_eq(o.p.n_operands, 3);
    ck_assert_str_eq(o.operands[0], "--json");
    ck_assert(!o.opts.json);
    parse(&o, "- --out - -o --json");
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert_str_eq(o.operands[0], "-");
    ck_assert_str_eq(o.opts.out, "--json");
    parse(&o, "a -s x.y=1 --set z.w==2 -q -v --color=never");
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert_int_eq(o.opts.set.n, 2);
    ck_assert_str_eq(o.opts.set.v[1], "z.w==2");
    ck_assert(o.p.common.quiet && o.p.common.verbose);
    parse(&o, "--help");
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert(o.p.common.help);
}
END_TEST

START_TEST(sizes)
{
    struct outcome o;
    parse(&o, "a --size 320x256");
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert_int_eq(o.opts.size.width, 320);
    ck_assert_int_eq(o.opts.size.height, 256);
    parse(&o, "a --size=224");
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert_int_eq(o.opts.size.width, 224);
    ck_assert_int_eq(o.opts.size.height, 224);
}
END_TEST

static const char *const mistakes[][2] = {
    {"", "vov try needs CFG PATH..."},
    {"a b c d", "vov try does not know what to do with \"d\""},
    {"a --jsn", "unknown option --jsn; did you mean --json?"},
    {"a --treads=3", "unknown option --treads; did you mean --threads?"},
    {"a --quantum", "unknown option --quantum; `vov try --help` lists those that there are"},
    {"a -x", "unknown option -x; `vov try --help` lists those that there are"},
    {"a -jx", "unknown option -x; `vov try --help` lists those that there are"},
    {"a --out", "--out needs a value: --out DIR"},
    {"a -t", "--threads needs a value: --threads N"},
    {"a --json=1", "--json takes no value, and \"1\" is given"},
    {"a -t two", "--threads takes a whole number, not \"two\""},
    {"a -t 1.5", "--threads takes a whole number, not \"1.5\""},
    {"a -t 99999999999", "--threads takes a whole number, not \"99999999999\""},
    {"a -t 0", "--threads must be between 1 and 256, not 0"},
    {"a --thresh -0.1", "--thresh must be between 0 and 1, not -0.1"},
    {"a --thresh nan", "--thresh takes a number, not \"nan\""},
    {"a --size 320x", "--size wants WxH, such as 320x320, with sides 1 to 16384, not \"320x\""},
    {"a --size 0", "--size wants WxH, such as 320x320, with sides 1 to 16384, not \"0\""},
    {"a --size 1x2x3", "--size wants WxH, such as 320x320, with sides 1 to 16384, not \"1x2x3\""},
    {"a --color=red", "--color takes auto, always or never, not \"red\""},
};

START_TEST(each_mistake)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct outcome o;
        parse(&o, mistakes[i][0]);
        ck_assert_msg(o.status == VOV_EARG, "took \"%s\"", mistakes[i][0]);
        ck_assert_str_eq(o.err.msg, mistakes[i][1]);
    }
}
END_TEST

START_TEST(too_many_of_one)
{
    struct outcome o;
    char line[1000] = "a";
    for (int i = 0; i < 32; i++) {
        strncat(line, " -sx", sizeof line - strlen(line) - 1);
    }
    parse(&o, line);
    ck_assert_int_eq(o.status, VOV_OK);
    ck_assert_int_eq(o.opts.set.n, 32);
    strncat(line, " -sx", sizeof line - strlen(line) - 1);
    parse(&o, line);
    ck_assert_int_eq(o.status, VOV_EARG);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {forms, special_words, sizes, each_mistake, too_many_of_one, NULL};
    return run_tests("options", tests);
}
