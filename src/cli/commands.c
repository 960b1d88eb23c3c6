/*
 * commands.c - the commands of the program, in the order in which `vov help` lists them.
 */
#include "commands.h"

#include "help.h"

const struct cli_command *const cli_commands[] = {
    &help_command,      &demo_command,   &train_command, &eval_command,    &detect_command,
    &cocoeval_command,  &show_command,   &bench_command, &inspect_command, &data_check_command,
    &data_draw_command, &doctor_command, NULL,
};
