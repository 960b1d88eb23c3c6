/*
 * options.c - GNU style: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, single letters together,
 * options and operands in any order, -- before operands that look like options.
 */
#include "options.h"

#include "base/text.h"

#include <limits.h>
#include <string.h>

#define AT(field) offsetof(struct common_options, field)
const struct cli_option common_option_table[] = {
    {"help", 'h', OPT_FLAG, AT(help), NULL, 0, 0, "show this help and stop"},
    {"quiet", 'q', OPT_FLAG, AT(quiet), NULL, 0, 0, "say nothing but results, warnings and errors"},
    {"verbose", 'v', OPT_FLAG, AT(verbose), NULL, 0, 0, "say more"},
    {"color", 0, OPT_TEXT, AT(color), "WHEN", 0, 0,
     "auto, always or never; auto is for terminals and heeds NO_COLOR"},
    {0},
};
#undef AT

/* An option that was found, and where its value goes. */
struct target {
    const struct cli_option *option;
    char *base; /* of the struct that it fills */
    int index;  /* in its table */
    bool of_command;
};

/* What is left of the command line, and the place inside a group of letters. */
struct walk {
    int argc, i;
    char **argv;
    struct parsed *p;
    struct err *err;
};

static bool has_name(const struct cli_option *o, const char *name, size_t n, char letter)
{
    return name != NULL ? strlen(o->name) == n && memcmp(o->name, name, n) == 0
                        : o->letter == letter;
}

/* By name of n bytes, or by letter where name is NULL. */
static struct target find(struct parsed *p, const char *name, size_t n, char letter)
{
    const struct cli_option *o = p->command->options;
    for (int i = 0; o != NULL && o[i].name != NULL; i++) {
        if (has_name(&o[i], name, n, letter)) {
            return (struct target){&o[i], p->options, i, true};
        }
    }
    o = common_option_table;
    for (int i = 0; o[i].name != NULL; i++) {
        if (has_name(&o[i], name, n, letter)) {
            return (struct target){&o[i], (char *)&p->common, i, false};
        }
    }
    return (struct target){0};
}

static enum vov_status bad_number(const struct cli_option *o, const char *what, const char *value,
                                  struct err *err)
{
    return err_set(err, VOV_EARG, "--%s takes %s, not \"%s\"", o->name, what, value);
}

static enum vov_status check_range(const struct cli_option *o, double v, const char *value,
                                   struct err *err)
{
    if ((o->lo == 0 && o->hi == 0) || (v >= o->lo && v <= o->hi)) {
        return VOV_OK;
    }
    return err_set(err, VOV_EARG, "--%s must be between %.10g and %.10g, not %s", o->name, o->lo,
                   o->hi, value);
}

static enum vov_status store_int(const struct cli_option *o, int *field, const char *value,
                                 struct err *err)
{
    long long v;
    if (!text_int(value, &v) || v < INT_MIN || v > INT_MAX) {
        return bad_number(o, "a whole number", value, err);
    }
    TRY(check_range(o, (double)v, value, err));
    *field = (int)v;
    return VOV_OK;
}

static enum vov_status store_real(const struct cli_option *o, double *field, const char *value,
                                  struct err *err)
{
    double v;
    if (!text_real(value, &v)) {
        return bad_number(o, "a number", value, err);
    }
    TRY(check_range(o, v, value, err));
    *field = v;
    return VOV_OK;
}

/* "320x256", width first, or "320" for both. */
static enum vov_status store_size(const struct cli_option *o, struct cli_size *field,
                                  const char *value, struct err *err)
{
    char first[16];
    const size_t n = strcspn(value, "x");
    long long w = 0, h = 0;
    snprintf(first, sizeof first, "%.*s", n < sizeof first ? (int)n : 0, value);
    const bool read = text_int(first, &w) && text_int(value[n] == 'x' ? value + n + 1 : first, &h);
    if (!read || w < 1 || w > 16384 || h < 1 || h > 16384) {
        return err_set(err, VOV_EARG,
                       "--%s wants WxH, such as 320x320, with sides 1 to 16384, not \"%s\"",
                       o->name, value);
    }
    *field = (struct cli_size){(int)w, (int)h};
    return VOV_OK;
}

static enum vov_status store(struct walk *w, const struct target *t, const char *value)
{
    const struct cli_option *o = t->option;
    void *field = t->base + o->at;
    const bool flag = true;
    struct text_list *list;
    if (t->of_command) {
        w->p->given |= 1ull << t->index;
    }
    switch (o->type) {
    case OPT_FLAG:
        memcpy(field, &flag, sizeof flag);
        return VOV_OK;
    case OPT_INT:
        return store_int(o, field, value, w->err);
    case OPT_REAL:
        return store_real(o, field, value, w->err);
    case OPT_TEXT:
        memcpy(field, &value, sizeof value);
        return VOV_OK;
    case OPT_SIZE:
        return store_size(o, field, value, w->err);
    case OPT_TEXTS:
        list = field;
        if (list->n == (int)(sizeof list->v / sizeof list->v[0])) {
            return err_set(w->err, VOV_EARG, "--%s is given more than %d times", o->name, list->n);
        }
        list->v[list->n++] = value;
        return VOV_OK;
    }
    return VOV_EARG;
}

/* The value of an option: what stands behind it, or the next word. */
static enum vov_status take_value(struct walk *w, const struct target *t, const char *attached)
{
    const struct cli_option *o = t->option;
    const char *value = attached;
    if (o->type == OPT_FLAG && attached != NULL) {
        return err_set(w->err, VOV_EARG, "--%s takes no value, and \"%s\" is given", o->name,
                       attached);
    }
    if (o->type != OPT_FLAG && value == NULL) {
        if (w->i + 1 >= w->argc) {
            return err_set(w->err, VOV_EARG, "--%s needs a value: --%s %s", o->name, o->name,
                           o->arg);
        }
        value = w->argv[++w->i];
    }
    return store(w, t, value);
}

static enum vov_status unknown(const struct walk *w, const char *name, size_t n)
{
    const struct cli_option *o = w->p->command->options;
    const char *words[64];
    char typed[64];
    int count = 0;
    for (; o != NULL && o->name != NULL && count < 58; o++) {
        words[count++] = o->name;
    }
    for (o = common_option_table; o->name != NULL; o++) {
        words[count++] = o->name;
    }
    snprintf(typed, sizeof typed, "%.*s", (int)(n < 63 ? n : 63), name);
    const char *near = text_nearest(typed, words, count, sizeof words[0]);
    if (near == NULL) {
        return err_set(w->err, VOV_EARG,
                       "unknown option --%s; `vov %s --help` lists those that "
                       "there are",
                       typed, w->p->command->name);
    }
    return err_set(w->err, VOV_EARG, "unknown option --%s; did you mean --%s?", typed, near);
}

static enum vov_status parse_long(struct walk *w, const char *word)
{
    const char *equals = strchr(word, '=');
    const size_t n = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct target t = find(w->p, word, n, 0);
    if (t.option == NULL) {
        return unknown(w, word, n);
    }
    return take_value(w, &t, equals != NULL ? equals + 1 : NULL);
}

static enum vov_status parse_letters(struct walk *w, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const struct target t = find(w->p, NULL, 0, *letters);
        if (t.option == NULL) {
            return err_set(w->err, VOV_EARG,
                           "unknown option -%c; `vov %s --help` lists those that there are",
                           *letters, w->p->command->name);
        }
        if (t.option->type != OPT_FLAG) {
            return take_value(w, &t, letters[1] != '\0' ? letters + 1 : NULL);
        }
        TRY(take_value(w, &t, NULL));
    }
    return VOV_OK;
}

static enum vov_status check_operands(const struct parsed *p, struct err *err)
{
    const struct cli_command *c = p->command;
    if (p->n_operands < c->min_operands) {
        return err_set(err, VOV_EARG, "vov %s needs %s", c->name, c->operands);
    }
    if (c->max_operands >= 0 && p->n_operands > c->max_operands) {
        return err_set(err, VOV_EARG, "vov %s does not know what to do with \"%s\"", c->name,
                       p->operands[c->max_operands]);
    }
    return VOV_OK;
}

static enum vov_status check_color(const char *when, struct err *err)
{
    if (when == NULL || strcmp(when, "auto") == 0 || strcmp(when, "always") == 0 ||
        strcmp(when, "never") == 0) {
        return VOV_OK;
    }
    return err_set(err, VOV_EARG, "--color takes auto, always or never, not \"%s\"", when);
}

enum vov_status options_parse(int argc, char **argv, struct parsed *p, struct err *err)
{
    struct walk w = {.argc = argc, .argv = argv, .p = p, .err = err};
    bool operands_only = false;
    for (; w.i < argc; w.i++) {
        const char *word = argv[w.i];
        if (operands_only || word[0] != '-' || word[1] == '\0') {
            p->operands[p->n_operands++] = word;
        } else if (strcmp(word, "--") == 0) {
            operands_only = true;
        } else {
            TRY(word[1] == '-' ? parse_long(&w, word + 2) : parse_letters(&w, word + 1));
        }
    }
    if (p->common.help) {
        return VOV_OK;
    }
    TRY(check_color(p->common.color, err));
    return check_operands(p, err);
}
