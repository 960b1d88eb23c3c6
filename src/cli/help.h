/*
 * help.h - what the tables of commands, options and keys say, as text for a terminal, as man pages
 * and as Markdown. Private to src/cli.
 */
#ifndef VOV_HELP_H
#define VOV_HELP_H

#include "base/buf.h"
#include "cli.h"

extern const struct cli_command help_command;

void help_overview(struct buf *out);
void help_usage(const struct cli_command *c, struct buf *out); /* one line */
void help_text(const struct cli_command *c, struct buf *out);

/* The keys of a section; every section where it is NULL. False: no such section. */
bool help_cfg(const char *section, struct buf *out);
const char *help_cfg_nearest(const char *typed); /* the section that may be meant; NULL: none */
void help_cfg_markdown(struct buf *out);         /* docs/cfg.md */
void help_cli_markdown(struct buf *out);         /* docs/cli.md */

/* "vov", "vov-train", "vov-data-check", "vov-config": the source of one man page. False: unknown.
 */
bool help_man(const char *page, struct buf *out);
void help_man_list(struct buf *out); /* the files to make, one in each line: "vov-train.1" */

/* Words of text, indented, each line at most 80 columns; the first begins at column `at`. */
void help_wrap(const char *text, int indent, int at, struct buf *out);

extern const char help_exit_codes[]; /* lines "0\tmeaning\n" */

#endif
