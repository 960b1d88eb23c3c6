/*
 * options.h - command lines after a command's name, by its table. Private to src/cli.
 */
#ifndef VOV_OPTIONS_H
#define VOV_OPTIONS_H

#include "cli.h"

/* What every command takes. */
struct common_options {
    bool help, quiet, verbose;
    const char *color;
};
extern const struct cli_option common_option_table[]; /* ends with an unnamed entry */

struct parsed {
    const struct cli_command *command;
    void *options;         /* command->options_size bytes, cleared */
    const char **operands; /* [n_operands], room for argc */
    int n_operands;
    struct common_options common;
    unsigned long long given; /* bit i: option i of the command's table */
};

/* Fills *p, whose command, options and operands the caller set. VOV_EARG with what is wrong. */
enum vov_status options_parse(int argc, char **argv, struct parsed *p, struct err *err);

#endif
