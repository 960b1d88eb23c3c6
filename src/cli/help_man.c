/*
 * help_man.c - man pages and docs/cli.md, from the tables of commands, options and keys.
 */
#include "help.h"
#include "options.h"

#include <string.h>

/* Text for troff: a backslash, and a dot or quote at the start of a line, mean something there. */
static void put_troff(const char *s, size_t n, struct buf *out)
{
    bool line_start = true;
    for (size_t i = 0; i < n; i++) {
        if (line_start && (s[i] == '.' || s[i] == '\'')) {
            buf_puts(out, "\\&");
        }
        line_start = s[i] == '\n';
        if (s[i] == '\\') {
            buf_puts(out, "\\e");
        } else if (s[i] == '-') {
            buf_puts(out, "\\-");
        } else {
            buf_add(out, &s[i], 1);
        }
    }
}

static void put_text(const char *s, struct buf *out)
{
    put_troff(s, strlen(s), out);
}

/* The name of a command's page: "vov-data-check". */
static void put_page_name(const struct cli_command *c, struct buf *out)
{
    buf_puts(out, "vov-");
    for (const char *p = c->name; *p != '\0'; p++) {
        buf_add(out, *p == ' ' ? "-" : p, 1);
    }
}

static void put_head(const char *page, int section, const char *summary, struct buf *out)
{
    buf_printf(out, ".TH \"%s\" %d \"\" \"vov %s\"\n.SH NAME\n", page, section, VOV_VERSION);
    put_text(page, out);
    buf_puts(out, " \\- ");
    put_text(summary, out);
    buf_puts(out, "\n");
}

static void put_man_options(const struct cli_option *o, struct buf *out)
{
    for (; o != NULL && o->name != NULL; o++) {
        if (o->help == NULL) {
            continue;
        }
        buf_puts(out, ".TP\n");
        if (o->letter != 0) {
            buf_printf(out, "\\fB\\-%c\\fR, ", o->letter);
        }
        buf_puts(out, "\\fB\\-\\-");
        put_text(o->name, out);
        buf_puts(out, "\\fR");
        if (o->arg != NULL) {
            buf_puts(out, " \\fI");
            put_text(o->arg, out);
            buf_puts(out, "\\fR");
        }
        buf_puts(out, "\n");
        put_text(o->help, out);
        buf_puts(out, "\n");
    }
}

static void put_exit_codes(struct buf *out)
{
    buf_puts(out, ".SH EXIT STATUS\n");
    for (const char *p = help_exit_codes; *p != '\0';) {
        const char *tab = strchr(p, '\t');
        const char *end = strchr(p, '\n');
        buf_printf(out, ".TP\n%.*s\n", (int)(tab - p), p);
        put_troff(tab + 1, (size_t)(end - tab) - 1, out);
        buf_puts(out, "\n");
        p = end + 1;
    }
}

static void man_command(const struct cli_command *c, struct buf *out)
{
    struct buf page = {0};
    put_page_name(c, &page);
    put_head(page.p != NULL ? page.p : "vov", 1, c->summary, out);
    buf_free(&page);
    buf_printf(out, ".SH SYNOPSIS\n\\fBvov %s\\fR [\\fIOPTION\\fR]... ", c->name);
    put_text(c->operands != NULL ? c->operands : "", out);
    buf_puts(out, "\n");
    if (c->details != NULL && c->details[0] != '\0') {
        buf_puts(out, ".SH DESCRIPTION\n");
        put_text(c->details, out);
        buf_puts(out, "\n");
    }
    buf_puts(out, ".SH OPTIONS\n");
    put_man_options(c->options, out);
    put_man_options(common_option_table, out);
    if (c->examples != NULL && c->examples[0] != '\0') {
        buf_puts(out, ".SH EXAMPLES\n.nf\n");
        put_text(c->examples, out);
        buf_puts(out, "\n.fi\n");
    }
    put_exit_codes(out);
    buf_puts(out, ".SH SEE ALSO\n.BR vov (1),\n.BR vov\\-config (5)\n");
}

static void man_overview(struct buf *out)
{
    put_head("vov", 1, "train, evaluate and run object detectors that a text file describes", out);
    buf_puts(out, ".SH SYNOPSIS\n\\fBvov\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... "
                  "[\\fIOPERAND\\fR]...\n.SH COMMANDS\n");
    for (int i = 0; cli_commands[i] != NULL; i++) {
        buf_printf(out, ".TP\n\\fBvov %s\\fR\n", cli_commands[i]->name);
        put_text(cli_commands[i]->summary, out);
        buf_puts(out, "\n");
    }
    put_exit_codes(out);
    buf_puts(out, ".SH SEE ALSO\n.BR vov\\-config (5)\n");
}

static void man_config(struct buf *out)
{
    struct buf text = {0};
    put_head("vov-config", 5, "the sections and keys of a network's config file", out);
    buf_puts(out, ".SH DESCRIPTION\n.nf\n");
    help_cfg(NULL, &text);
    for (const char *p = text.p; p != NULL && (p = strstr(p, "\n  [")) != NULL;) {
        char name[64];
        p += 4;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "]"), p);
        struct buf keys = {0};
        help_cfg(name, &keys);
        if (keys.p != NULL) {
            put_text(keys.p, out);
        }
        buf_puts(out, "\n");
        buf_free(&keys);
    }
    buf_puts(out, ".fi\n.SH SEE ALSO\n.BR vov (1)\n");
    buf_free(&text);
}

bool help_man(const char *page, struct buf *out)
{
    if (strcmp(page, "vov") == 0) {
        man_overview(out);
        return true;
    }
    if (strcmp(page, "vov-config") == 0) {
        man_config(out);
        return true;
    }
    for (int i = 0; cli_commands[i] != NULL; i++) {
        struct buf name = {0};
        put_page_name(cli_commands[i], &name);
        const bool same = name.p != NULL && strcmp(name.p, page) == 0;
        buf_free(&name);
        if (same) {
            man_command(cli_commands[i], out);
            return true;
        }
    }
    return false;
}

void help_man_list(struct buf *out)
{
    buf_puts(out, "vov.1\nvov-config.5\n");
    for (int i = 0; cli_commands[i] != NULL; i++) {
        put_page_name(cli_commands[i], out);
        buf_puts(out, ".1\n");
    }
}

void help_cli_markdown(struct buf *out)
{
    buf_puts(out, "# The command line\n\n"
                  "Made by `make docs` from the tables that the parser uses; `vov COMMAND --help` "
                  "prints the same. Results go to standard output, everything else to standard "
                  "error.\n\n## Exit codes\n\n| code | meaning |\n|--|--|\n");
    for (const char *p = help_exit_codes; *p != '\0';) {
        const char *tab = strchr(p, '\t');
        const char *end = strchr(p, '\n');
        buf_printf(out, "| %.*s | %.*s |\n", (int)(tab - p), p, (int)(end - tab) - 1, tab + 1);
        p = end + 1;
    }
    for (int i = 0; cli_commands[i] != NULL; i++) {
        buf_printf(out, "\n## vov %s\n\n```\n", cli_commands[i]->name);
        help_text(cli_commands[i], out);
        buf_puts(out, "```\n");
    }
}
