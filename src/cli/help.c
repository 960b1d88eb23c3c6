/*
 * help.c - `vov help` and --help, from the tables of commands and options.
 */
#include "help.h"

#include "base/debug.h"
#include "commands.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 80, OPTION_COLUMN = 24 };

const char help_exit_codes[] =
    "0\tall went well\n"
    "1\tfailure, such as a file that cannot be written\n"
    "2\tthe command line is wrong\n"
    "3\tthe config is wrong or cannot be read\n"
    "4\tdata, weights or results cannot be read, are damaged or do not fit\n"
    "5\tnot enough memory\n"
    "6\ta loss, a gradient or an output is not finite\n"
    "7\tthe device failed\n"
    "8\tvov bench --strict: the measurement was disturbed\n"
    "130\tinterrupted\n";

void help_wrap(const char *text, int indent, int at, struct buf *out)
{
    int column = at;
    while (*text != '\0') {
        text += strspn(text, " ");
        const int n = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + n > WIDTH) {
            buf_puts(out, "\n");
            column = 0;
        }
        if (column < indent) {
            buf_printf(out, "%*s", indent - column, "");
            column = indent;
        } else if (column > indent) {
            buf_puts(out, " ");
            column++;
        }
        buf_add(out, text, (size_t)n);
        column += n;
        text += n;
        if (*text == '\n') {
            buf_puts(out, "\n");
            column = 0;
            text++;
        }
    }
    buf_puts(out, "\n");
}

void help_usage(const struct cli_command *c, struct buf *out)
{
    buf_printf(out, "usage: vov %s [OPTION]...%s%s\n", c->name,
               c->operands != NULL && c->operands[0] != '\0' ? " " : "",
               c->operands != NULL ? c->operands : "");
}

static void put_option(const struct cli_option *o, struct buf *out)
{
    if (o->help == NULL) {
        return;
    }
    const size_t start = out->n;
    if (o->letter != 0) {
        buf_printf(out, "  -%c, ", o->letter);
    } else {
        buf_puts(out, "      ");
    }
    buf_printf(out, "--%s%s%s", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
    int column = (int)(out->n - start);
    if (column + 2 > OPTION_COLUMN) {
        buf_puts(out, "\n");
        column = 0;
    }
    help_wrap(o->help, OPTION_COLUMN, column, out);
}

static void put_options(const struct cli_option *o, struct buf *out)
{
    for (; o != NULL && o->name != NULL; o++) {
        put_option(o, out);
    }
}

/* Each line of text, two columns in. */
static void put_lines(const char *text, struct buf *out)
{
    while (*text != '\0') {
        const size_t n = strcspn(text, "\n");
        buf_printf(out, "  %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void help_text(const struct cli_command *c, struct buf *out)
{
    buf_printf(out, "vov %s - %s\n", c->name, c->summary);
    if (c->examples != NULL && c->examples[0] != '\0') {
        buf_puts(out, "\nexamples:\n");
        put_lines(c->examples, out);
    }
    buf_puts(out, "\n");
    help_usage(c, out);
    buf_puts(out, "\noptions:\n");
    put_options(c->options, out);
    put_options(common_option_table, out);
    if (c->details != NULL && c->details[0] != '\0') {
        buf_puts(out, "\n");
        help_wrap(c->details, 0, 0, out);
    }
}

void help_overview(struct buf *out)
{
    buf_puts(out, "vov - train, evaluate and run object detectors that a text file describes\n\n");
    buf_puts(out, "usage: vov COMMAND [OPTION]... [OPERAND]...\n\ncommands:\n");
    for (int i = 0; cli_commands[i] != NULL; i++) {
        buf_printf(out, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    }
    buf_puts(out,
             "\n`vov COMMAND --help` says more about one of them, `vov help cfg` about config\n"
             "files. `vov --version` prints the version.\n\nexit codes:\n");
    put_lines(help_exit_codes, out);
}

struct help_options {
    bool man_list;
    const char *man, *markdown;
};

#define AT(field) offsetof(struct help_options, field)
static const struct cli_option help_options[] = {
    {"man", 0, OPT_TEXT, AT(man), "PAGE", 0, 0, NULL},
    {"man-list", 0, OPT_FLAG, AT(man_list), NULL, 0, 0, NULL},
    {"markdown", 0, OPT_TEXT, AT(markdown), "cfg|cli", 0, 0, NULL},
    {0},
};
#undef AT

static const struct cli_command *find_command(const char *first, const char *second)
{
    const size_t n = strlen(first);
    for (int i = 0; cli_commands[i] != NULL; i++) {
        const char *name = cli_commands[i]->name;
        const bool two = second != NULL && strncmp(name, first, n) == 0 && name[n] == ' ' &&
                         strcmp(name + n + 1, second) == 0;
        if (two || (second == NULL && strcmp(name, first) == 0)) {
            return cli_commands[i];
        }
    }
    return NULL;
}

static void help_debug(struct buf *out)
{
    buf_puts(out, "Variables of the environment, for finding faults (=1 switches on):\n\n");
    for (int i = 0; i < DEBUG_COUNT; i++) {
        buf_printf(out, "  %-14s %s\n", debug_table[i].name, debug_table[i].doc);
    }
}

static enum vov_status help_on(const struct cli *cli, struct buf *out, struct err *err)
{
    const char *first = cli->operand[0];
    const char *second = cli->n_operands > 1 ? cli->operand[1] : NULL;
    if (strcmp(first, "cfg") == 0) {
        if (help_cfg(second, out)) {
            return VOV_OK;
        }
        const char *near = help_cfg_nearest(second);
        return err_set(err, VOV_EARG, "no section [%s]; %s%s%s", second,
                       near != NULL ? "did you mean ["
                                    : "`vov help cfg` lists those that there are",
                       near != NULL ? near : "", near != NULL ? "]?" : "");
    }
    if (strcmp(first, "debug") == 0) {
        help_debug(out);
        return VOV_OK;
    }
    const struct cli_command *c = find_command(first, second);
    if (c == NULL) {
        return err_set(err, VOV_EARG,
                       "no command \"%s%s%s\"; `vov help` lists those that there are", first,
                       second != NULL ? " " : "", second != NULL ? second : "");
    }
    help_text(c, out);
    return VOV_OK;
}

static enum vov_status help_make(const struct cli *cli, const struct help_options *o,
                                 struct buf *out, struct err *err)
{
    if (o->man_list) {
        help_man_list(out);
    } else if (o->man != NULL) {
        return help_man(o->man, out) ? VOV_OK
                                     : err_set(err, VOV_EARG, "no man page \"%s\"", o->man);
    } else if (o->markdown != NULL && strcmp(o->markdown, "cfg") == 0) {
        help_cfg_markdown(out);
    } else if (o->markdown != NULL && strcmp(o->markdown, "cli") == 0) {
        help_cli_markdown(out);
    } else if (cli->n_operands > 0) {
        return help_on(cli, out, err);
    } else {
        help_overview(out);
    }
    return VOV_OK;
}

static int help_run(const struct cli *cli, const void *options)
{
    struct buf out = {0};
    struct err err = {0};
    const enum vov_status status = help_make(cli, options, &out, &err);
    if (status == VOV_OK) {
        fputs(out.p != NULL ? out.p : "", stdout);
    }
    buf_free(&out);
    return status == VOV_OK ? 0 : cli_fail(cli, &err);
}

const struct cli_command help_command = {
    .name = "help",
    .summary = "what a command does, what a config section takes",
    .operands = "[COMMAND | cfg [SECTION] | debug]",
    .max_operands = 2,
    .options = help_options,
    .options_size = sizeof(struct help_options),
    .examples = "vov help train\n"
                "vov help data check\n"
                "vov help cfg\n"
                "vov help cfg osa",
    .run = help_run,
};
