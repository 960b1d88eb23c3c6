/*
 * scatter.c - see scatter.h. Ticks are 1, 2 or 5 times a power of ten. A label goes to the first of
 * eight places around its mark where it meets no other label and no mark.
 */
#include "scatter.h"

#include <math.h>
#include <string.h>

enum { HEAD = 74, MAX_MARKS = 64, MAX_TAKEN = 1000, TEXT = 14, SMALL = 12 };

static const struct ink black = {34, 34, 34}, grey = {110, 110, 110}, pale = {228, 228, 228};

/* Colours that people with any colour vision tell apart (Okabe, Ito 2008). */
static const struct ink colors[] = {
    {0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {86, 180, 233}, {230, 159, 0},
};

struct box {
    double x0, y0, x1, y1;
};

struct axis {
    double lo, hi, step;
    double from, to; /* pixels of lo and hi */
};

struct chart {
    struct canvas *c;
    const struct scatter_panel *panel;
    struct axis x, y;
    struct box taken[MAX_TAKEN];
    int n_taken;
};

static double nice_step(double span)
{
    const double raw = span / 5, power = pow(10, floor(log10(raw)));
    const double lead = raw / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

/* Room for both ends; from 0 on where zero is set. */
static struct axis axis_of(double least, double most, bool zero)
{
    struct axis a;
    const double pad = most > least ? 0.18 * (most - least) : 0.5 * fabs(most);
    a.hi = most + (pad > 0 ? pad : 1);
    a.lo = zero ? 0 : fmax(0, least - pad);
    a.step = nice_step(a.hi - a.lo);
    a.lo = zero ? 0 : a.step * floor(a.lo / a.step);
    a.hi = a.step * ceil(a.hi / a.step);
    return a;
}

static double place(const struct axis *a, double v)
{
    return a->from + (v - a->lo) / (a->hi - a->lo) * (a->to - a->from);
}

static bool known(const struct scatter_mark *m)
{
    return isfinite(m->x) && isfinite(m->y);
}

static struct point point_of(const struct chart *v, const struct scatter_mark *m)
{
    return (struct point){place(&v->x, m->x), place(&v->y, m->y)};
}

static void tick_text(const struct axis *a, double value, char *text, size_t size)
{
    const int decimals = a->step >= 1 ? 0 : (int)ceil(-log10(a->step) - 1e-9);
    snprintf(text, size, "%.*f", decimals, value);
}

static void draw_grid(struct chart *v)
{
    const struct text_style under = {SMALL, TEXT_MIDDLE, grey, false};
    const struct text_style beside = {SMALL, TEXT_RIGHT, grey, false};
    char text[40];
    for (double t = v->y.lo; t <= v->y.hi + v->y.step / 2; t += v->y.step) {
        const double y = place(&v->y, t);
        canvas_line(v->c, (struct point){v->x.from, y}, (struct point){v->x.to, y}, 1, pale);
        tick_text(&v->y, t, text, sizeof text);
        canvas_text(v->c, (struct point){v->x.from - 8, y}, &beside, text);
    }
    for (double t = v->x.lo; t <= v->x.hi + v->x.step / 2; t += v->x.step) {
        const double x = place(&v->x, t);
        canvas_line(v->c, (struct point){x, v->y.from}, (struct point){x, v->y.to}, 1, pale);
        tick_text(&v->x, t, text, sizeof text);
        canvas_text(v->c, (struct point){x, v->y.from + 15}, &under, text);
    }
    canvas_line(v->c, (struct point){v->x.from, v->y.from}, (struct point){v->x.to, v->y.from}, 1.5,
                grey);
    canvas_line(v->c, (struct point){v->x.from, v->y.from}, (struct point){v->x.from, v->y.to}, 1.5,
                grey);
}

static void draw_title(struct chart *v, struct point corner)
{
    const struct text_style style = {TEXT + 1, TEXT_MIDDLE, black, false};
    const struct point at = {(v->x.from + v->x.to) / 2, corner.y + 20};
    canvas_text(v->c, at, &style, v->panel->title);
}

static void draw_axis_names(struct chart *v, struct point corner)
{
    const struct text_style along = {SMALL + 1, TEXT_MIDDLE, black, false};
    const struct text_style up = {SMALL + 1, TEXT_MIDDLE, black, true};
    const struct point x = {(v->x.from + v->x.to) / 2, v->y.from + 40};
    const struct point y = {corner.x + 22, (v->y.from + v->y.to) / 2};
    canvas_text(v->c, x, &along, v->panel->x_label);
    canvas_text(v->c, y, &up, v->panel->y_label);
}

static struct ink color_of(const struct scatter_mark *m)
{
    return colors[(unsigned)m->family % (sizeof colors / sizeof colors[0])];
}

/* Disc, square, triangle, diamond, in turn. */
static void draw_mark(struct canvas *c, struct point p, int family, struct ink ink, double r)
{
    const struct point square[] = {
        {p.x - r, p.y - r}, {p.x + r, p.y - r}, {p.x + r, p.y + r}, {p.x - r, p.y + r}};
    const struct point triangle[] = {
        {p.x, p.y - 1.2 * r}, {p.x + 1.15 * r, p.y + 0.9 * r}, {p.x - 1.15 * r, p.y + 0.9 * r}};
    const struct point diamond[] = {
        {p.x, p.y - 1.3 * r}, {p.x + 1.3 * r, p.y}, {p.x, p.y + 1.3 * r}, {p.x - 1.3 * r, p.y}};
    switch (family % 4) {
    case 0:
        canvas_disc(c, p, r * 1.1, ink);
        break;
    case 1:
        canvas_polygon(c, square, 4, ink);
        break;
    case 2:
        canvas_polygon(c, triangle, 3, ink);
        break;
    default:
        canvas_polygon(c, diamond, 4, ink);
    }
}

static void take(struct chart *v, struct box b)
{
    if (v->n_taken < MAX_TAKEN) {
        v->taken[v->n_taken++] = b;
    }
}

/* A line that labels should not cover, as small squares. */
static void take_line(struct chart *v, struct point a, struct point b)
{
    const int n = (int)(hypot(b.x - a.x, b.y - a.y) / 6) + 1;
    for (int i = 0; i <= n; i++) {
        const double x = a.x + (b.x - a.x) * i / n, y = a.y + (b.y - a.y) * i / n;
        take(v, (struct box){x - 2, y - 2, x + 2, y + 2});
    }
}

/* From each mark to the next of its family, paler than the marks. */
static void join_family(struct chart *v, int from)
{
    const struct scatter_mark *m = v->panel->mark;
    const struct ink full = color_of(&m[from]);
    const struct ink ink = {(uint8_t)(160 + full.r * 3 / 8), (uint8_t)(160 + full.g * 3 / 8),
                            (uint8_t)(160 + full.b * 3 / 8)};
    int next = -1;
    for (int i = 0; i < v->panel->n; i++) {
        const bool behind = m[i].x > m[from].x || (!(m[i].x < m[from].x) && i > from);
        if (known(&m[i]) && m[i].family == m[from].family && behind &&
            (next < 0 || m[i].x < m[next].x)) {
            next = i;
        }
    }
    if (next >= 0) {
        canvas_line(v->c, point_of(v, &m[from]), point_of(v, &m[next]), 2, ink);
        take_line(v, point_of(v, &m[from]), point_of(v, &m[next]));
    }
}

static bool is_free(const struct chart *v, struct box b)
{
    if (b.x0 < v->x.from + 2 || b.x1 > v->x.to - 2 || b.y0 < v->y.to + 2 || b.y1 > v->y.from - 2) {
        return false;
    }
    for (int i = 0; i < v->n_taken; i++) {
        const struct box *t = &v->taken[i];
        if (b.x0 < t->x1 && t->x0 < b.x1 && b.y0 < t->y1 && t->y0 < b.y1) {
            return false;
        }
    }
    return true;
}

/* The i-th of 16 places for a label: right, left, over, under, the corners; the same further out.
 */
static struct box label_box(struct point p, double width, int i)
{
    static const struct point side[] = {{1, 0},  {-1, 0},  {0, -1}, {0, 1},
                                        {1, -1}, {-1, -1}, {1, 1},  {-1, 1}};
    const struct point s = side[i % 8];
    const double far = i < 8 ? 11 : 22;
    const double x = p.x + s.x * (far + width / 2), y = p.y + s.y * (far + SMALL / 2.0);
    return (struct box){x - width / 2 - 2, y - SMALL / 2.0 - 2, x + width / 2 + 2,
                        y + SMALL / 2.0 + 3};
}

static void draw_label(struct chart *v, const struct scatter_mark *m)
{
    const struct text_style style = {SMALL, TEXT_MIDDLE, black, false};
    const struct point p = point_of(v, m);
    const double width = canvas_text_width(SMALL, m->label);
    struct box b = label_box(p, width, 0); /* also where no place is free */
    for (int i = 0; i < 16; i++) {
        const struct box tried = label_box(p, width, i);
        if (is_free(v, tried)) {
            b = tried;
            break;
        }
    }
    take(v, b);
    canvas_text(v->c, (struct point){(b.x0 + b.x1) / 2, (b.y0 + b.y1 - 1) / 2}, &style, m->label);
}

static void draw_marks(struct chart *v)
{
    const struct scatter_panel *p = v->panel;
    const int n = p->n < MAX_MARKS ? p->n : MAX_MARKS;
    for (int i = 0; i < n; i++) {
        if (known(&p->mark[i])) {
            join_family(v, i);
        }
    }
    for (int i = 0; i < n; i++) {
        if (known(&p->mark[i])) {
            const struct point at = point_of(v, &p->mark[i]);
            draw_mark(v->c, at, p->mark[i].family, color_of(&p->mark[i]), 6);
            take(v, (struct box){at.x - 8, at.y - 8, at.x + 8, at.y + 8});
        }
    }
    for (int i = 0; i < n; i++) {
        if (known(&p->mark[i])) {
            draw_label(v, &p->mark[i]);
        }
    }
}

/* As many lines as it takes, in the middle of the panel. */
static void draw_note(struct chart *v, const char *note)
{
    const struct text_style style = {SMALL, TEXT_MIDDLE, grey, false};
    const size_t most = 42;
    double y = (v->y.from + v->y.to) / 2 - 60;
    while (*note != '\0') {
        char line[64];
        size_t n = strlen(note);
        if (n > most) {
            for (n = most; n > 0 && note[n] != ' '; n--) {
            }
            n = n > 0 ? n : most;
        }
        snprintf(line, sizeof line, "%.*s", (int)n, note);
        canvas_text(v->c, (struct point){(v->x.from + v->x.to) / 2, y}, &style, line);
        note += n;
        note += strspn(note, " ");
        y += 22;
    }
}

static void draw_panel(struct canvas *c, const struct scatter_panel *p, struct point corner)
{
    double least_x = HUGE_VAL, most_x = -HUGE_VAL, most_y = 0;
    int n_known = 0;
    for (int i = 0; i < p->n; i++) {
        if (known(&p->mark[i])) {
            least_x = fmin(least_x, p->mark[i].x);
            most_x = fmax(most_x, p->mark[i].x);
            most_y = fmax(most_y, p->mark[i].y);
            n_known++;
        }
    }
    struct chart v = {.c = c, .panel = p};
    v.x = n_known > 0 ? axis_of(least_x, most_x, false) : axis_of(0, 1, true);
    v.y = axis_of(0, n_known > 0 ? most_y : 1, true);
    v.x.from = corner.x + 90;
    v.x.to = corner.x + SCATTER_WIDTH - 20;
    v.y.from = corner.y + SCATTER_HEIGHT - 60;
    v.y.to = corner.y + 40;
    draw_title(&v, corner);
    if (n_known > 0) {
        draw_axis_names(&v, corner);
        draw_grid(&v);
        draw_marks(&v);
    } else if (p->note != NULL) {
        canvas_rect(c, (struct point){v.x.from, v.y.to}, (struct point){v.x.to, v.y.from},
                    (struct ink){246, 246, 246});
        draw_note(&v, p->note);
    }
}

void scatter_draw(struct canvas *c, const char *title, const char *below,
                  const struct scatter_panel *panel, int n)
{
    const struct text_style large = {18, TEXT_MIDDLE, black, false};
    const struct text_style small = {SMALL, TEXT_MIDDLE, grey, false};
    const int columns = n > 1 ? 2 : 1, rows = (n + columns - 1) / columns;
    canvas_open(c, columns * SCATTER_WIDTH, HEAD + rows * SCATTER_HEIGHT);
    canvas_text(c, (struct point){c->width / 2.0, 26}, &large, title);
    canvas_text(c, (struct point){c->width / 2.0, 54}, &small, below);
    for (int i = 0; i < n; i++) {
        const struct point corner = {i % columns * SCATTER_WIDTH,
                                     HEAD + i / columns * SCATTER_HEIGHT};
        draw_panel(c, &panel[i], corner);
    }
}
