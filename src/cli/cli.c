/*
 * cli.c - finds the command, reads its options, runs it, and turns errors into text and exit codes.
 */
#include "cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "help.h"
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_exit_code(enum vov_status s)
{
    switch (s) {
    case VOV_OK:
        return 0;
    case VOV_ECFG:
    case VOV_ESHAPE:
        return 3;
    case VOV_EFORMAT:
        return 4;
    case VOV_ENOMEM:
        return 5;
    case VOV_ENONFINITE:
        return 6;
    case VOV_EDEVICE:
        return 7;
    case VOV_EARG:
        return 2;
    case VOV_EINTERRUPTED:
        return 130;
    case VOV_EIO:
    case VOV_EUNSUPPORTED:
        break;
    }
    return 1;
}

void cli_print(FILE *out, const char *fmt, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    if (text.p != NULL) {
        text_clean(text.p);
        fputs(text.p, out);
    }
    buf_free(&text);
}

enum vov_status cli_try_output(const struct cli *cli, const char *path, struct err *err)
{
    if (path != NULL && strcmp(path, "-") == 0) {
        return err_set(err, VOV_EARG,
                       "\"-\" is no name for a file; /dev/stdout with -q is standard "
                       "output");
    }
    for (int i = 0; path != NULL && i < cli->n_operands; i++) {
        if (file_same(path, cli->operand[i])) {
            return err_set(err, VOV_EARG,
                           "%s is what this command reads, and would be written over: give another "
                           "name",
                           path);
        }
    }
    return file_try(path, err);
}

int cli_fail(const struct cli *cli, const struct err *err)
{
    err_show(err, cli != NULL && cli->color, stderr);
    return err->code != VOV_OK ? cli_exit_code(err->code) : 1;
}

int cli_fail_list(const struct cli *cli, const struct err_list *errs)
{
    int code = 1;
    for (int i = 0; i < errs->n; i++) {
        const int this_code = cli_fail(cli, &errs->item[i]);
        code = i == 0 ? this_code : code;
    }
    if (errs->total > errs->n) {
        fprintf(stderr, "and %d more errors\n", errs->total - errs->n);
    }
    return code;
}

bool cli_given(const struct cli *cli, const char *option)
{
    const struct cli_option *o = cli->command->options;
    for (int i = 0; o != NULL && o[i].name != NULL; i++) {
        if (strcmp(o[i].name, option) == 0) {
            return (cli->given >> i & 1) != 0;
        }
    }
    return false;
}

/* Remarks up to this level are shown. */
struct talk {
    int level;
    bool color;
};

static void say(void *user, int level, const char *text)
{
    const struct talk *talk = user;
    if (level > talk->level) {
        return;
    }
    if (level == LOG_WARN) {
        fputs(talk->color ? "\033[33mwarning:\033[0m " : "warning: ", stderr);
    }
    cli_print(stderr, "%s\n", text);
}

static bool wants_color(const char *when)
{
    if (when != NULL && strcmp(when, "auto") != 0) {
        return strcmp(when, "always") == 0;
    }
    const char *none = getenv("NO_COLOR"); /* no-color.org: set and not empty */
    return isatty(STDERR_FILENO) && (none == NULL || none[0] == '\0');
}

/* Prints and frees. */
static void print(struct buf *text, FILE *out)
{
    fputs(text->p != NULL ? text->p : "", out);
    buf_free(text);
}

static int run(const struct parsed *p)
{
    struct talk talk = {.level = p->common.verbose ? LOG_DEBUG
                                 : p->common.quiet ? LOG_WARN
                                                   : LOG_INFO,
                        .color = wants_color(p->common.color)};
    const struct cli cli = {.command = p->command,
                            .n_operands = p->n_operands,
                            .operand = p->operands,
                            .log = {.fn = say, .user = &talk},
                            .color = talk.color,
                            .quiet = p->common.quiet,
                            .given = p->given};
    return p->command->run(&cli, p->options);
}

static int usage_error(const struct cli_command *c, const struct err *err)
{
    struct buf usage = {0};
    err_print(err, stderr);
    help_usage(c, &usage);
    print(&usage, stderr);
    return cli_exit_code(VOV_EARG);
}

static int run_command(const struct cli_command *c, int argc, char **argv)
{
    struct err err = {0};
    struct parsed p = {.command = c};
    int code;
    p.options = mem_alloc(1, c->options_size);
    p.operands = mem_alloc((size_t)argc + 1, sizeof *p.operands);
    if (p.options == NULL || p.operands == NULL) {
        err_nomem(&err, c->options_size);
        code = cli_fail(NULL, &err);
    } else if (options_parse(argc, argv, &p, &err) != VOV_OK) {
        code = usage_error(c, &err);
    } else if (p.common.help) {
        struct buf text = {0};
        help_text(c, &text);
        print(&text, stdout);
        code = 0;
    } else {
        code = run(&p);
    }
    mem_free(p.operands);
    mem_free(p.options);
    return code;
}

/* How many words of argv are the name of c, or 0. */
static int matches(const struct cli_command *c, int argc, char **argv)
{
    const size_t n = strlen(argv[0]);
    if (strcmp(c->name, argv[0]) == 0) {
        return 1;
    }
    const bool two = argc > 1 && strncmp(c->name, argv[0], n) == 0 && c->name[n] == ' ' &&
                     strcmp(c->name + n + 1, argv[1]) == 0;
    return two ? 2 : 0;
}

/* `vov data`, `vov data --help`, `vov data chekc`: the commands that begin with this word. */
static bool list_family(const char *word, FILE *out)
{
    const size_t n = strlen(word);
    bool any = false;
    for (int i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];
        if (strncmp(c->name, word, n) == 0 && c->name[n] == ' ') {
            fprintf(out, "  vov %-12s %s\n", c->name, c->summary);
            any = true;
        }
    }
    return any;
}

static int unknown_command(int argc, char **argv)
{
    const char *names[64];
    int n = 0;
    if (argc > 1 && strcmp(argv[1], "--help") == 0 && list_family(argv[0], stdout)) {
        return 0;
    }
    for (; cli_commands[n] != NULL && n < 64; n++) {
        names[n] = cli_commands[n]->name;
    }
    char typed[80];
    const char *near = NULL;
    if (argc > 1) {
        snprintf(typed, sizeof typed, "%.30s %.30s", argv[0], argv[1]);
        near = text_nearest(typed, names, n, sizeof names[0]);
    }
    near = near != NULL ? near : text_nearest(argv[0], names, n, sizeof names[0]);
    struct err err = {0};
    err_set(&err, VOV_EARG, "unknown command \"%.60s\"; %s%s%s", argv[0],
            near != NULL ? "did you mean \"" : "`vov help` lists those that there are",
            near != NULL ? near : "", near != NULL ? "\"?" : "");
    err_print(&err, stderr);
    list_family(argv[0], stderr);
    return cli_exit_code(VOV_EARG);
}

static int dispatch(int argc, char **argv)
{
    struct buf text = {0};
    if (argc < 1 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        help_overview(&text);
        print(&text, argc < 1 ? stderr : stdout);
        return argc < 1 ? cli_exit_code(VOV_EARG) : 0;
    }
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
        fputs("vov " VOV_VERSION "\n", stdout);
        return 0;
    }
    for (int i = 0; cli_commands[i] != NULL; i++) {
        const int n_words = matches(cli_commands[i], argc, argv);
        if (n_words > 0) {
            return run_command(cli_commands[i], argc - n_words, argv + n_words);
        }
    }
    return unknown_command(argc, argv);
}

int cli_main(int argc, char **argv)
{
    const int code = dispatch(argc - 1, argv + 1);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        struct err err = {0};
        err_io(&err, "write", "standard output");
        return cli_fail(NULL, &err);
    }
    return code;
}
