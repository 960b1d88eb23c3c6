/*
 * canvas.c - the list, and its files. See canvas.h.
 */
#include "canvas.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

void canvas_open(struct canvas *c, int width, int height)
{
    *c = (struct canvas){.width = width, .height = height};
}

void canvas_close(struct canvas *c)
{
    for (int i = 0; i < c->n; i++) {
        mem_free(c->item[i].text);
    }
    mem_free(c->item);
    *c = (struct canvas){0};
}

static struct canvas_item *add(struct canvas *c, struct ink ink)
{
    if (c->failed || !VEC_GROW(c->item, c->n, c->cap)) {
        c->failed = true;
        return NULL;
    }
    struct canvas_item *item = &c->item[c->n++];
    *item = (struct canvas_item){.ink = ink};
    return item;
}

void canvas_polygon(struct canvas *c, const struct point *corner, int n, struct ink ink)
{
    struct canvas_item *item = add(c, ink);
    if (item != NULL) {
        item->n = n;
        memcpy(item->corner, corner, (size_t)n * sizeof *corner);
    }
}

void canvas_rect(struct canvas *c, struct point from, struct point to, struct ink ink)
{
    const struct point corner[] = {from, {to.x, from.y}, to, {from.x, to.y}};
    canvas_polygon(c, corner, 4, ink);
}

void canvas_line(struct canvas *c, struct point from, struct point to, double width, struct ink ink)
{
    const double dx = to.x - from.x, dy = to.y - from.y, length = hypot(dx, dy);
    const double nx = length > 0 ? -dy / length * width / 2 : 0;
    const double ny = length > 0 ? dx / length * width / 2 : 0;
    const struct point corner[] = {{from.x + nx, from.y + ny},
                                   {to.x + nx, to.y + ny},
                                   {to.x - nx, to.y - ny},
                                   {from.x - nx, from.y - ny}};
    canvas_polygon(c, corner, 4, ink);
}

void canvas_disc(struct canvas *c, struct point middle, double radius, struct ink ink)
{
    struct point corner[CANVAS_CORNERS];
    for (int i = 0; i < CANVAS_CORNERS; i++) {
        const double turn = 2 * M_PI * i / CANVAS_CORNERS;
        corner[i] = (struct point){middle.x + radius * cos(turn), middle.y + radius * sin(turn)};
    }
    canvas_polygon(c, corner, CANVAS_CORNERS, ink);
}

void canvas_text(struct canvas *c, struct point at, const struct text_style *style,
                 const char *text)
{
    struct canvas_item *item = add(c, style->ink);
    if (item == NULL) {
        return;
    }
    item->at = at;
    item->where = style->where;
    item->size = style->size;
    item->upward = style->upward;
    item->text = mem_strdup(text);
    c->failed = item->text == NULL;
}

static enum vov_status write_svg(const struct canvas *c, const char *path, struct err *err)
{
    struct buf out = {0};
    enum vov_status status = canvas_svg(c, &out, err);
    if (status == VOV_OK) {
        status = file_write(path, out.p, out.n, err);
    }
    buf_free(&out);
    return status;
}

static enum vov_status write_png(const struct canvas *c, const char *path, struct err *err)
{
    struct image img = {0};
    enum vov_status status = canvas_paint(c, &img, err);
    if (status == VOV_OK) {
        status = image_write(path, &img, err);
    }
    image_free(&img);
    return status;
}

enum vov_status canvas_write(const struct canvas *c, const char *path, struct err *err)
{
    const char *ext = path_ext(path);
    char both[4096];
    if (strcmp(ext, "svg") == 0) {
        return write_svg(c, path, err);
    }
    if (strcmp(ext, "png") == 0) {
        return write_png(c, path, err);
    }
    if (strlen(path) + 5 > sizeof both) {
        return err_set(err, VOV_EARG, "the name of a drawing has more than %zu letters",
                       sizeof both - 5);
    }
    snprintf(both, sizeof both, "%s.svg", path);
    TRY(write_svg(c, both, err));
    snprintf(both, sizeof both, "%s.png", path);
    return write_png(c, both, err);
}
