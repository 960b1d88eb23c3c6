/*
 * cli.h - the program `vov`: one file for each command, each with a table of options from which the
 * parser, --help, the man pages and docs are made. The only code that prints or exits.
 *
 * Exit codes: 0 ok, 1 failure, 2 usage, 3 config, 4 data, 5 memory, 6 non-finite, 7 device,
 * 8 unstable (bench --strict), 130 interrupted.
 */
#ifndef VOV_CLI_H
#define VOV_CLI_H

#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>

enum option_type {
    OPT_FLAG, /* bool */
    OPT_INT,  /* int */
    OPT_REAL, /* double */
    OPT_TEXT, /* const char * */
    OPT_SIZE, /* struct cli_size, "320x256" or "320" */
    OPT_TEXTS /* struct text_list; may be given many times */
};

struct text_list {
    const char *v[32];
    int n;
};

struct cli_size {
    int width, height; /* 0: not given */
};

struct cli_option {
    const char *name; /* "out" for --out; ends a table when NULL */
    char letter;      /* 'o' for -o, or 0 */
    enum option_type type;
    size_t at;        /* offsetof() in the command's struct */
    const char *arg;  /* "DIR"; NULL for a flag */
    double lo, hi;    /* of numbers; both 0: any */
    const char *help; /* NULL: not shown */
};

struct cli;

struct cli_command {
    const char *name;     /* "train"; two words for "data check" */
    const char *summary;  /* one line */
    const char *operands; /* "CFG DATA", "CFG WEIGHTS PATH..." */
    int min_operands, max_operands;
    const struct cli_option *options;
    size_t options_size;
    const char *details;  /* paragraphs for --help and the man page */
    const char *examples; /* lines, each a command */
    int (*run)(const struct cli *cli, const void *options); /* the exit code */
};

/* What a command gets. Every command also takes --help, -q, -v, --color and --threads where it says
 * so in its own table. */
struct cli {
    const struct cli_command *command;
    int n_operands;
    const char *const *operand;
    struct log log;           /* to stderr, by -q and -v */
    bool color;               /* stderr is a terminal and NO_COLOR is not set */
    bool quiet;               /* -q: results, warnings and errors only */
    unsigned long long given; /* see cli_given */
};

/* Whether the option was on the command line: for defaults that are not 0. */
bool cli_given(const struct cli *cli, const char *option);

extern const struct cli_command *const cli_commands[]; /* ends with NULL */

int cli_main(int argc, char **argv);

/* fprintf of names that come from files: control bytes in them do not reach a terminal. */
void cli_print(FILE *out, const char *fmt, ...) VOV_PRINTF(2, 3);

/* file_try, of a path that is no input of this command: an operand. NULL is fine. */
enum vov_status cli_try_output(const struct cli *cli, const char *path, struct err *err);

/* Prints to stderr and gives the exit code of its status. */
int cli_fail(const struct cli *cli, const struct err *err);
int cli_fail_list(const struct cli *cli, const struct err_list *errs);
int cli_exit_code(enum vov_status s);

#endif
