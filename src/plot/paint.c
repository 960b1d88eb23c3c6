/*
 * paint.c - a canvas as pixels: everything is drawn FINE times as large on a white ground, and each
 * pixel is the mean of its FINE x FINE parts. Letters are those of data/font.h, whose steps are
 * smoothed first: twice, every pixel becomes 2x2, of which a corner takes the colour of its two
 * neighbours where these agree (the EPX rule). The font's letters all stand on one line; those with
 * a tail are let down by it.
 */
#include "canvas.h"

#include "base/mem.h"
#include "data/font.h"

#include <math.h>
#include <string.h>

enum { FINE = 3, SMOOTH = 4, GLYPH_W = FONT_WIDTH * SMOOTH, GLYPH_H = FONT_HEIGHT * SMOOTH };

/* One letter, its pixels 0 or 1; w x h of it are in use. */
struct glyph {
    uint8_t bit[GLYPH_H][GLYPH_W];
    int w, h;
};

static void put(struct image *img, int x, int y, struct ink ink)
{
    if (x >= 0 && x < img->width && y >= 0 && y < img->height) {
        uint8_t *p = img->rgb + ((size_t)y * (size_t)img->width + (size_t)x) * 3;
        p[0] = ink.r;
        p[1] = ink.g;
        p[2] = ink.b;
    }
}

/* Where the polygon's edges cross the middle of row y, in ascending order. */
static int crossings(const struct canvas_item *item, double y, double x[CANVAS_CORNERS])
{
    int n = 0;
    for (int i = 0; i < item->n; i++) {
        const struct point a = item->corner[i], b = item->corner[(i + 1) % item->n];
        if ((a.y * FINE <= y) == (b.y * FINE <= y)) {
            continue;
        }
        const double at = FINE * (a.x + (y / FINE - a.y) / (b.y - a.y) * (b.x - a.x));
        int k = n++;
        for (; k > 0 && x[k - 1] > at; k--) {
            x[k] = x[k - 1];
        }
        x[k] = at;
    }
    return n;
}

static void fill_polygon(struct image *img, const struct canvas_item *item)
{
    double top = HUGE_VAL, bottom = -HUGE_VAL, x[CANVAS_CORNERS];
    for (int i = 0; i < item->n; i++) {
        top = fmin(top, item->corner[i].y * FINE);
        bottom = fmax(bottom, item->corner[i].y * FINE);
    }
    const int from = (int)fmax(0, floor(top)), to = (int)fmin(img->height, ceil(bottom));
    for (int y = from; y < to; y++) {
        const int n = crossings(item, y + 0.5, x);
        for (int i = 0; i + 1 < n; i += 2) {
            const int left = (int)fmax(0, ceil(x[i] - 0.5));
            const int right = (int)fmin(img->width, ceil(x[i + 1] - 0.5));
            for (int px = left; px < right; px++) {
                put(img, px, y, item->ink);
            }
        }
    }
}

static int bit_at(const struct glyph *g, int x, int y)
{
    return x >= 0 && x < g->w && y >= 0 && y < g->h ? g->bit[y][x] : 0;
}

static struct glyph twice_as_fine(const struct glyph *g)
{
    struct glyph out = {.w = 2 * g->w, .h = 2 * g->h};
    for (int y = 0; y < g->h; y++) {
        for (int x = 0; x < g->w; x++) {
            const int up = bit_at(g, x, y - 1), down = bit_at(g, x, y + 1);
            const int left = bit_at(g, x - 1, y), right = bit_at(g, x + 1, y);
            const int own = bit_at(g, x, y);
            const bool flat = left == right || up == down;
            out.bit[2 * y][2 * x] = (uint8_t)(!flat && left == up ? up : own);
            out.bit[2 * y][2 * x + 1] = (uint8_t)(!flat && right == up ? up : own);
            out.bit[2 * y + 1][2 * x] = (uint8_t)(!flat && left == down ? down : own);
            out.bit[2 * y + 1][2 * x + 1] = (uint8_t)(!flat && right == down ? down : own);
        }
    }
    return out;
}

static struct glyph smooth_glyph(char letter)
{
    struct glyph g = {.w = FONT_WIDTH, .h = FONT_HEIGHT};
    const uint8_t *rows = font_glyph((unsigned char)letter);
    for (int i = 0; i < FONT_WIDTH * FONT_HEIGHT; i++) {
        const int x = i % FONT_WIDTH, y = i / FONT_WIDTH;
        g.bit[y][x] = rows[y] >> (FONT_WIDTH - 1 - x) & 1;
    }
    g = twice_as_fine(&g);
    return twice_as_fine(&g);
}

double canvas_text_width(int size, const char *text)
{
    const double letters = (double)strlen(text);
    return letters > 0 ? (letters * (FONT_WIDTH + 1) - 1) * size / FONT_HEIGHT : 0;
}

/* Fine pixel (u, v) of a text, along its line and down from it, as seen on the page. */
static void put_turned(struct image *img, const struct canvas_item *item, int u, int v)
{
    const int x = (int)lround(item->at.x * FINE), y = (int)lround(item->at.y * FINE);
    if (item->upward) {
        put(img, x + v, y - u, item->ink);
    } else {
        put(img, x + u, y + v, item->ink);
    }
}

/* Rows of the font by which a letter hangs below the line. */
static int tail(char letter)
{
    return letter != '\0' && strchr("gjpqy,;", letter) != NULL
               ? letter == ',' || letter == ';' ? 1 : 2
               : 0;
}

static void paint_letter(struct image *img, const struct canvas_item *item, int from, char letter)
{
    const int h = item->size * FINE, w = h * FONT_WIDTH / FONT_HEIGHT;
    const struct glyph g = smooth_glyph(letter);
    const int down = tail(letter) * h / FONT_HEIGHT - h / 2;
    for (int v = 0; v < h; v++) {
        for (int u = 0; u < w; u++) {
            if (g.bit[v * GLYPH_H / h][u * GLYPH_W / w] != 0) {
                put_turned(img, item, from + u, v + down);
            }
        }
    }
}

static void paint_text(struct image *img, const struct canvas_item *item)
{
    const double step = (double)item->size * FINE * (FONT_WIDTH + 1) / FONT_HEIGHT;
    const double width = canvas_text_width(item->size, item->text) * FINE;
    const double start = item->where == TEXT_LEFT     ? 0
                         : item->where == TEXT_MIDDLE ? -width / 2
                                                      : -width;
    for (int i = 0; item->text[i] != '\0'; i++) {
        paint_letter(img, item, (int)lround(start + i * step), item->text[i]);
    }
}

/* Each pixel of img from FINE x FINE of the fine one. */
static void shrink(const struct image *fine, struct image *img)
{
    for (int y = 0; y < img->height; y++) {
        for (int x = 0; x < img->width * 3; x++) {
            int sum = 0;
            for (int k = 0; k < FINE * FINE; k++) {
                const int fx = x / 3 * FINE + k % FINE, fy = y * FINE + k / FINE;
                sum += fine->rgb[((size_t)fy * (size_t)fine->width + (size_t)fx) * 3 +
                                 (size_t)(x % 3)];
            }
            img->rgb[(size_t)y * (size_t)img->width * 3 + (size_t)x] =
                (uint8_t)((sum + FINE * FINE / 2) / (FINE * FINE));
        }
    }
}

enum vov_status canvas_paint(const struct canvas *c, struct image *img, struct err *err)
{
    struct image fine = {.width = c->width * FINE, .height = c->height * FINE};
    const size_t n = (size_t)c->width * (size_t)c->height * 3;
    *img = (struct image){.rgb = mem_alloc(n, 1), .width = c->width, .height = c->height};
    fine.rgb = mem_alloc(n, FINE * FINE);
    if (c->failed || img->rgb == NULL || fine.rgb == NULL) {
        image_free(&fine);
        image_free(img);
        return err_nomem(err, n * FINE * FINE);
    }
    memset(fine.rgb, 255, n * FINE * FINE);
    for (int i = 0; i < c->n; i++) {
        if (c->item[i].n > 0) {
            fill_polygon(&fine, &c->item[i]);
        } else {
            paint_text(&fine, &c->item[i]);
        }
    }
    shrink(&fine, img);
    image_free(&fine);
    return VOV_OK;
}
