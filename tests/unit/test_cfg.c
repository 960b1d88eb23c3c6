/*
 * test_cfg.c - the reader: what it accepts, what it refuses and where, overrides, and that it ends
 * well whatever allocation fails.
 */
#include "base/buf.h"
#include "cfg/cfg.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

static void remember(void *user, int level, const char *text)
{
    (void)level;
    buf_printf(user, "%s\n", text);
}

/* Parses text, which must be right. */
static struct cfg_file parsed(const char *text, struct buf *warnings)
{
    struct cfg_file cfg;
    struct err_list errs = {0};
    const struct log log = {.fn = warnings != NULL ? remember : NULL, .user = warnings};
    ck_assert_msg(cfg_parse("x.cfg", text, strlen(text), &log, &cfg, &errs) == VOV_OK, "%s: %s",
                  text, errs.item[0].msg);
    return cfg;
}

static void expect_text(const struct cfg_file *cfg, const char *wanted)
{
    struct buf b = {0};
    cfg_print(cfg, &b);
    ck_assert_str_eq(b.p, wanted);
    buf_free(&b);
}

static const char *const same_text[] = {
    "[net]\nbatch=4\nsteps=1, 2\n[osa]\nout=8\n",
    "[net]\r\nbatch=4\r\nsteps=1, 2\r\n\r\n[osa]\r\nout=8\r\n",
    "\xef\xbb\xbf[net]\nbatch=4\nsteps=1, 2\n[osa]\nout=8",
    "# a\n ; b\n\n  [ net ]  # c\n batch\t= 4 # d\nsteps = 1, 2 ;e\n[osa] ;f\n\tout =  8  \n \n",
};

START_TEST(accepted)
{
    for (int i = 0; i < 4; i++) {
        struct cfg_file cfg = parsed(same_text[i], NULL);
        expect_text(&cfg, "[net]\nbatch=4\nsteps=1, 2\n\n[osa]\nout=8\n");
        ck_assert_str_eq(cfg.text, same_text[i]);
        cfg_free(&cfg);
    }
}
END_TEST

START_TEST(places)
{
    struct cfg_file cfg = parsed("\xef\xbb\xbf[net]\n\n  batch = 4\n[osa]\nempty=\n", NULL);
    const struct cfg_key *key = cfg_find(&cfg.sections[0], "batch");
    ck_assert_int_eq(key->at.line, 3);
    ck_assert_int_eq(key->at.col, 3);
    ck_assert_int_eq(key->value_at.col, 11);
    ck_assert_str_eq(key->at.text, "  batch = 4");
    ck_assert_str_eq(key->at.file, "x.cfg");
    ck_assert_int_eq(cfg.sections[1].at.line, 4);
    ck_assert_str_eq(cfg.sections[1].keys[0].value, "");
    ck_assert_int_eq(cfg.sections[1].keys[0].value_at.col, 7);
    ck_assert_ptr_null(cfg_find(&cfg.sections[1], "batch"));
    cfg_free(&cfg);
}
END_TEST

START_TEST(values_keep_their_signs)
{
    struct cfg_file cfg = parsed("[a]\nk=x=y\nfile=a#b;c\nnote=a b # c\n", NULL);
    expect_text(&cfg, "[a]\nk=x=y\nfile=a#b;c\nnote=a b\n");
    cfg_free(&cfg);
}
END_TEST

START_TEST(first_of_two_counts)
{
    struct buf warnings = {0};
    struct cfg_file cfg = parsed("[a]\nk=1\nj=2\nk=3\n[a]\nk=4\n", &warnings);
    expect_text(&cfg, "[a]\nk=1\nj=2\n\n[a]\nk=4\n");
    ck_assert_str_eq(warnings.p,
                     "x.cfg:4:1: [a] k is given twice; the first counts, 1 in line 2\n");
    buf_free(&warnings);
    cfg_free(&cfg);
}
END_TEST

struct refused {
    const char *text;
    int n, line, col;
    const char *word; /* in the message */
};

static const struct refused refused[] = {
    {"", 0, 1, 1, "no section"},
    {"\n# only\n", 8, 1, 1, "no section"},
    {"batch=4\n[net]\n", 14, 1, 1, "before the first section"},
    {"[net]\n[osa\n", 11, 2, 1, "without its ']'"},
    {"[net]\n  []\n", 11, 2, 3, "needs a name"},
    {"[net] x=1\n", 10, 1, 7, "nothing but a comment"},
    {"[net]\n  hello\n", 14, 2, 3, "expected [section], key=value"},
    {"[net]\n = 4\n", 11, 2, 2, "a key is missing"},
    {"[net]\nab\0c=4\n", 13, 2, 3, "a NUL byte"},
    {"[net]\na=\033[2J\n", 13, 2, 3, "a control byte"},
    {"[net]\ra=1\n", 10, 1, 6, "a control byte"},
};

START_TEST(refused_with_a_place)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const struct refused *r = &refused[i];
        struct cfg_file cfg;
        struct err_list errs = {0};
        ck_assert_int_eq(cfg_parse("x.cfg", r->text, (size_t)r->n, NULL, &cfg, &errs), VOV_ECFG);
        ck_assert_int_eq(errs.n, 1);
        ck_assert_int_eq(errs.item[0].at.line, r->line);
        ck_assert_int_eq(errs.item[0].at.col, r->col);
        ck_assert_msg(strstr(errs.item[0].msg, r->word) != NULL, "%s", errs.item[0].msg);
        cfg_free(&cfg);
    }
}
END_TEST

START_TEST(several_at_once)
{
    struct buf text = {0};
    struct cfg_file cfg;
    struct err_list errs = {0};
    buf_puts(&text, "[net]\n");
    for (int i = 0; i < 14; i++) {
        buf_puts(&text, "oops\n");
    }
    ck_assert_int_eq(cfg_parse("x", text.p, text.n, NULL, &cfg, &errs), VOV_ECFG);
    ck_assert_int_eq(errs.n, 10);
    ck_assert_int_eq(errs.total, 14);
    ck_assert_int_eq(errs.item[9].at.line, 11);
    cfg_free(&cfg);
    buf_free(&text);
}
END_TEST

START_TEST(sizes_are_bounded)
{
    struct buf text = {0};
    struct cfg_file cfg;
    struct err_list errs = {0};
    buf_puts(&text, "[net]\n");
    for (int i = 0; i < 200000; i++) {
        buf_printf(&text, "k%d=1\n", i);
    }
    ck_assert_int_eq(cfg_parse("x", text.p, text.n, NULL, &cfg, &errs), VOV_ECFG);
    ck_assert_int_eq(cfg.sections[0].n_keys, 256);
    cfg_free(&cfg);
    buf_free(&text);
    struct err_list missing = {0};
    ck_assert_int_eq(cfg_read("/no/such.cfg", NULL, &cfg, &missing), VOV_ECFG);
    ck_assert_int_eq(missing.n, 1);
    cfg_free(&cfg);
}
END_TEST

START_TEST(overrides)
{
    struct cfg_file cfg =
        parsed("[net]\nbatch=4\n[osa]\nname=s1\nout=8\n[osa]\nname=s2\nout=8\n", NULL);
    ck_assert_int_eq(cfg_set(&cfg, "net.batch=16", NULL), VOV_OK);
    ck_assert_int_eq(cfg_set(&cfg, " osa . out = 9 ", NULL), VOV_OK);
    ck_assert_int_eq(cfg_set(&cfg, "s2.ese=a=b", NULL), VOV_OK);
    expect_text(&cfg,
                "[net]\nbatch=16\n\n[osa]\nname=s1\nout=9\n\n[osa]\nname=s2\nout=9\nese=a=b\n");
    const struct cfg_key *key = cfg_find(&cfg.sections[0], "batch");
    ck_assert_str_eq(key->value_at.file, "--set");
    ck_assert_int_eq(key->value_at.col, 11);
    struct err err = {0};
    ck_assert_int_eq(cfg_set(&cfg, "ose.out=1", &err), VOV_ECFG);
    ck_assert_ptr_nonnull(strstr(err.msg, "did you mean \"osa\"?"));
    static const char *const bad[] = {
        "", "batch", "batch=4", ".batch=4", "net.=4", "net=a.b", "net.batch=4\nwidth=8"};
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(cfg_set(&cfg, bad[i], NULL), VOV_EARG);
    }
    cfg_free(&cfg);
}
END_TEST

START_TEST(without_memory)
{
    const char text[] = "[net]\nbatch=4\n[osa]\nout=8\n";
    int failed = 0;
    for (long i = 1; i < 20; i++) {
        struct cfg_file cfg;
        struct err_list errs = {0};
        mem_fail_after(i);
        enum vov_status status = cfg_parse("x", text, sizeof text - 1, NULL, &cfg, &errs);
        mem_fail_after(0);
        ck_assert(status == VOV_OK || (status == VOV_ENOMEM && errs.n > 0));
        failed += status != VOV_OK;
        cfg_free(&cfg);
    }
    ck_assert_int_gt(failed, 0);
}
END_TEST

/* Each byte of a file changed to each value: an answer, no crash. */
START_TEST(damaged_anyhow)
{
    const char good[] = "[net]\nb = 4 # x\n[a]\nk=1\n";
    char text[sizeof good];
    for (size_t i = 0; i + 1 < sizeof good; i++) {
        for (int byte = 0; byte < 256; byte++) {
            struct cfg_file cfg;
            struct err_list errs = {0};
            memcpy(text, good, sizeof good);
            text[i] = (char)byte;
            const enum vov_status s = cfg_parse("x", text, sizeof good - 1, NULL, &cfg, &errs);
            ck_assert((s == VOV_OK) == (errs.n == 0));
            cfg_free(&cfg);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {accepted,
                                  places,
                                  values_keep_their_signs,
                                  first_of_two_counts,
                                  refused_with_a_place,
                                  several_at_once,
                                  sizes_are_bounded,
                                  overrides,
                                  without_memory,
                                  damaged_anyhow,
                                  NULL};
    return run_tests("cfg", tests);
}
