/*
 * help_cfg.c - the keys of config sections, from the tables that check them: for the terminal and
 * as docs/cfg.md.
 */
#include "base/text.h"
#include "blocks/net.h"
#include "blocks/section.h"
#include "help.h"

#include <string.h>

/* A section as it is shown: [net] has no section_type. */
struct shown {
    const char *name, *doc;
    const struct key_spec *keys;
    bool common;
};

static bool has_key(const struct key_spec *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Number i of the sections; the name is NULL past the last. */
static struct shown section_at(int i)
{
    if (i == 0) {
        return (struct shown){"net", net_doc, net_keys, false};
    }
    const struct section_type *t = section_types[i - 1];
    return t != NULL ? (struct shown){t->name, t->doc, t->keys, true} : (struct shown){0};
}

static const char *key_type(const struct key_spec *key)
{
    switch (key->type) {
    case KEY_INT:
        return "whole number";
    case KEY_REAL:
        return "number";
    case KEY_BOOL:
        return "0 or 1";
    case KEY_ENUM:
        return "word";
    case KEY_INTS:
        return "whole numbers";
    case KEY_REALS:
        return "numbers";
    case KEY_NAME:
        return "name";
    case KEY_NAMES:
        return "names";
    case KEY_REFUSED:
        break;
    }
    return "";
}

static void key_range(const struct key_spec *key, struct buf *out)
{
    if (key->type == KEY_ENUM) {
        buf_puts(out, key->choices);
    } else if (key->type != KEY_BOOL && (key->lo != 0 || key->hi != 0)) {
        buf_printf(out, "%.10g to %.10g", key->lo, key->hi);
    }
}

static const char *default_of(const struct key_spec *key)
{
    if (key->fallback == NULL) {
        return "must be given";
    }
    return key->fallback[0] != '\0' ? key->fallback : "none";
}

static void put_key(const struct key_spec *key, struct buf *out)
{
    struct buf about = {0};
    struct buf range = {0};
    enum { COLUMN = 22 };
    key_range(key, &range);
    buf_printf(&about, "%s. %s%s%s; ", key->doc != NULL ? key->doc : "", key_type(key),
               range.n > 0 ? ", " : "", range.n > 0 ? range.p : "");
    buf_printf(&about, "%s%s", key->fallback != NULL ? "default: " : "", default_of(key));
    const size_t start = out->n;
    buf_printf(out, "  %s", key->name);
    int column = (int)(out->n - start);
    if (column + 2 > COLUMN) {
        buf_puts(out, "\n");
        column = 0;
    }
    help_wrap(about.p != NULL ? about.p : "", COLUMN, column, out);
    buf_free(&range);
    buf_free(&about);
}

static void put_section(const struct shown *s, struct buf *out)
{
    buf_printf(out, "[%s]\n", s->name);
    help_wrap(s->doc != NULL ? s->doc : "", 0, 0, out);
    buf_puts(out, "\n");
    for (int i = 0; i < keys_count(s->keys); i++) {
        put_key(&s->keys[i], out);
    }
    for (const struct key_spec *k = common_key_table; s->common && k->name != NULL; k++) {
        if (!has_key(s->keys, k->name)) {
            put_key(k, out);
        }
    }
}

static void put_list(struct buf *out)
{
    buf_puts(out, "A config is a list of sections, each a name in brackets and key=value lines.\n"
                  "The first is [net]; the others are the network, in order.\n\n");
    for (int i = 0;; i++) {
        const struct shown s = section_at(i);
        if (s.name == NULL) {
            break;
        }
        const size_t start = out->n;
        buf_printf(out, "  [%s]", s.name);
        help_wrap(s.doc != NULL ? s.doc : "", 22, (int)(out->n - start), out);
    }
    buf_puts(out, "\n`vov help cfg SECTION` lists the keys of one of them.\n");
}

const char *help_cfg_nearest(const char *typed)
{
    const char *names[128];
    int n = 0;
    while (n < 128 && section_at(n).name != NULL) {
        names[n] = section_at(n).name;
        n++;
    }
    return text_nearest(typed, names, n, sizeof names[0]);
}

bool help_cfg(const char *section, struct buf *out)
{
    if (section == NULL) {
        put_list(out);
        return true;
    }
    const struct section_type *known = section_find(section);
    const char *name = known != NULL ? known->name : section;
    for (int i = 0;; i++) {
        const struct shown s = section_at(i);
        if (s.name == NULL) {
            return false;
        }
        if (strcmp(s.name, name) == 0) {
            put_section(&s, out);
            return true;
        }
    }
}

static void markdown_key(const struct key_spec *k, struct buf *out)
{
    struct buf range = {0};
    key_range(k, &range);
    buf_printf(out, "| `%s` | %s%s%s | %s | %s |\n", k->name, key_type(k), range.n > 0 ? ": " : "",
               range.n > 0 ? range.p : "", default_of(k), k->doc != NULL ? k->doc : "");
    buf_free(&range);
}

void help_cfg_markdown(struct buf *out)
{
    buf_puts(out, "# Config files\n\n"
                  "Made by `make docs` from the tables that check the keys; `vov help cfg SECTION` "
                  "prints the same.\n\n"
                  "A config is a list of sections, each a name in brackets followed by `key=value` "
                  "lines. The first is `[net]`; the others are the network, in order: a section "
                  "takes the output of the one before unless `from=` names another. Lines that "
                  "begin with `#` or `;` are comments, and so is what follows a blank and one of "
                  "them. `--set section.key=value` replaces a value for one run.\n");
    for (int i = 0;; i++) {
        const struct shown s = section_at(i);
        if (s.name == NULL) {
            return;
        }
        buf_printf(out,
                   "\n## [%s]\n\n%s\n\n| key | value | default | what it is |\n|--|--|--|--|\n",
                   s.name, s.doc != NULL ? s.doc : "");
        for (int k = 0; k < keys_count(s.keys); k++) {
            markdown_key(&s.keys[k], out);
        }
        for (const struct key_spec *k = common_key_table; s.common && k->name != NULL; k++) {
            if (!has_key(s.keys, k->name)) {
                markdown_key(k, out);
            }
        }
    }
}
