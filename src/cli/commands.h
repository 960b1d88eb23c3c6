/*
 * commands.h - the command of each file in this folder. A new one is declared here and gets its
 * line in commands.c.
 */
#ifndef VOV_COMMANDS_H
#define VOV_COMMANDS_H

#include "cli.h"

extern const struct cli_command show_command;
extern const struct cli_command train_command, eval_command, detect_command, cocoeval_command;
extern const struct cli_command data_check_command, data_draw_command;

extern const struct cli_command bench_command, demo_command, doctor_command, inspect_command;

#endif
