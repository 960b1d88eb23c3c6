/*
 * svg.c - a canvas as SVG 1.1.
 */
#include "canvas.h"

#include <string.h>

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&') {
            buf_puts(b, "&amp;");
        } else if (*text == '<') {
            buf_puts(b, "&lt;");
        } else if ((unsigned char)*text >= 32) {
            buf_add(b, text, 1);
        }
    }
}

static void put_polygon(struct buf *b, const struct canvas_item *item)
{
    buf_puts(b, "<polygon points=\"");
    for (int i = 0; i < item->n; i++) {
        buf_printf(b, "%s%.2f,%.2f", i > 0 ? " " : "", item->corner[i].x, item->corner[i].y);
    }
    buf_printf(b, "\" fill=\"#%02x%02x%02x\"/>\n", item->ink.r, item->ink.g, item->ink.b);
}

/* Capital letters of common sans-serif fonts are 0.72 of the font's size. */
static void put_text(struct buf *b, const struct canvas_item *item)
{
    static const char *const anchor[] = {"start", "middle", "end"};
    buf_printf(b, "<text transform=\"translate(%.2f,%.2f)%s\" dy=\"%.2f\" text-anchor=\"%s\" ",
               item->at.x, item->at.y, item->upward ? " rotate(-90)" : "", item->size / 2.0,
               anchor[item->where]);
    buf_printf(b, "font-size=\"%.1f\" fill=\"#%02x%02x%02x\">", item->size / 0.72, item->ink.r,
               item->ink.g, item->ink.b);
    put_escaped(b, item->text);
    buf_puts(b, "</text>\n");
}

enum vov_status canvas_svg(const struct canvas *c, struct buf *out, struct err *err)
{
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 "
               "%d %d\" font-family=\"Helvetica, Arial, sans-serif\">\n",
               c->width, c->height, c->width, c->height);
    buf_printf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", c->width, c->height);
    for (int i = 0; i < c->n && !c->failed; i++) {
        if (c->item[i].n > 0) {
            put_polygon(out, &c->item[i]);
        } else {
            put_text(out, &c->item[i]);
        }
    }
    buf_puts(out, "</svg>\n");
    return c->failed || out->failed ? err_nomem(err, out->n) : VOV_OK;
}
