/*
 * shape.c - see shape.h. Outlines are given around the origin with a radius of about 1; clipping is
 * Sutherland and Hodgman's, one side of the picture after the other; filling counts crossings on
 * four lines in each row of pixels (even-odd), with the exact share of the first and last pixel of
 * each span.
 */
#include "shape.h"

#include <math.h>
#include <string.h>

enum { SUB_ROWS = 4, ROUND_POINTS = 24 };

const char *const shape_name[SHAPE_KINDS] = {"circle", "square", "triangle", "star", "cross",
                                             "heart",  "moon",   "hexagon",  "arrow"};

static void add(struct figure *s, double x, double y)
{
    if (s->n < SHAPE_MAX_POINTS) {
        s->xy[s->n][0] = x;
        s->xy[s->n++][1] = y;
    }
}

static void add_list(struct figure *s, const double (*xy)[2], int n)
{
    for (int i = 0; i < n; i++) {
        add(s, xy[i][0], xy[i][1]);
    }
}

/* Corners on a circle; where `inner` is not 0, with a corner at that radius between each two. */
static void outline_regular(struct figure *s, int corners, double inner)
{
    const int n = inner > 0 ? 2 * corners : corners;

    for (int i = 0; i < n; i++) {
        const double a = 2 * M_PI * i / n - M_PI / 2, r = inner > 0 && i % 2 == 1 ? inner : 1;
        add(s, r * cos(a), r * sin(a));
    }
}

static void outline_heart(struct figure *s)
{
    for (int i = 0; i < ROUND_POINTS; i++) {
        const double t = 2 * M_PI * i / ROUND_POINTS, sine = sin(t);
        const double y = 13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t);
        add(s, sine * sine * sine, -y / 16);
    }
}

/* A disc with a smaller one taken off its right side. */
static void outline_moon(struct figure *s)
{
    const int half = ROUND_POINTS / 2;
    const double inner = 0.8, shift = 0.5;
    /* Where the circles meet: on the outer one at angle a, on the inner one at angle b. */
    const double x = (1 - inner * inner + shift * shift) / (2 * shift);
    const double a = acos(x), b = acos((x - shift) / inner);

    for (int i = 0; i <= half; i++) {
        const double t = a + (2 * M_PI - 2 * a) * i / half;
        add(s, cos(t), sin(t));
    }
    for (int i = 1; i < half; i++) {
        const double t = 2 * M_PI - b - (2 * M_PI - 2 * b) * i / half;
        add(s, shift + inner * cos(t), inner * sin(t));
    }
}

static void outline(int kind, struct figure *s)
{
    static const double square[][2] = {{-.8, -.8}, {.8, -.8}, {.8, .8}, {-.8, .8}};
    static const double cross[][2] = {{-.3, -1}, {.3, -1}, {.3, -.3}, {1, -.3},
                                      {1, .3},   {.3, .3}, {.3, 1},   {-.3, 1},
                                      {-.3, .3}, {-1, .3}, {-1, -.3}, {-.3, -.3}};
    static const double arrow[][2] = {{-1, -.28}, {.1, -.28}, {.1, -.75}, {1, 0},
                                      {.1, .75},  {.1, .28},  {-1, .28}};

    s->n = 0;
    switch (kind) {
    case 0:
        outline_regular(s, ROUND_POINTS, 0);
        break;
    case 1:
        add_list(s, square, 4);
        break;
    case 2:
        outline_regular(s, 3, 0);
        break;
    case 3:
        outline_regular(s, 5, 0.42);
        break;
    case 4:
        add_list(s, cross, 12);
        break;
    case 5:
        outline_heart(s);
        break;
    case 6:
        outline_moon(s);
        break;
    case 7:
        outline_regular(s, 6, 0);
        break;
    default:
        add_list(s, arrow, 7);
    }
}

void shape_make(int kind, const struct shape_place *at, struct figure *out)
{
    const double c = cos(at->angle), sine = sin(at->angle);

    outline(kind, out);
    for (int i = 0; i < out->n; i++) {
        const double x = out->xy[i][0] * at->radius, y = out->xy[i][1] * at->radius * at->squeeze;
        out->xy[i][0] = at->x + c * x - sine * y;
        out->xy[i][1] = at->y + sine * x + c * y;
    }
}

/* Keeps the part where sign * coordinate <= sign * limit; axis 0 is x. */
static void clip_side(struct figure *s, int axis, double sign, double limit)
{
    struct figure out = {.n = 0};

    for (int i = 0; i < s->n; i++) {
        const double *a = s->xy[i], *b = s->xy[(i + 1) % s->n];
        const double da = sign * (a[axis] - limit), db = sign * (b[axis] - limit);
        if (da <= 0) {
            add(&out, a[0], a[1]);
        }
        if ((da < 0 && db > 0) || (da > 0 && db < 0)) {
            const double t = da / (da - db);
            add(&out, a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]));
        }
    }
    *s = out;
}

void shape_clip(struct figure *s, double width, double height)
{
    clip_side(s, 0, -1, 0);
    clip_side(s, 0, 1, width);
    clip_side(s, 1, -1, 0);
    clip_side(s, 1, 1, height);
    s->n = s->n < 3 ? 0 : s->n;
}

double shape_area(const struct figure *s)
{
    double twice = 0;

    for (int i = 0; i < s->n; i++) {
        const double *a = s->xy[i], *b = s->xy[(i + 1) % s->n];
        twice += a[0] * b[1] - b[0] * a[1];
    }
    return fabs(twice) / 2;
}

void shape_bounds(const struct figure *s, double *x0, double *y0, double *x1, double *y1)
{
    *x0 = *x1 = s->n > 0 ? s->xy[0][0] : 0;
    *y0 = *y1 = s->n > 0 ? s->xy[0][1] : 0;
    for (int i = 1; i < s->n; i++) {
        *x0 = fmin(*x0, s->xy[i][0]);
        *x1 = fmax(*x1, s->xy[i][0]);
        *y0 = fmin(*y0, s->xy[i][1]);
        *y1 = fmax(*y1, s->xy[i][1]);
    }
}

/* Where the outline crosses the line at height y, from left to right. Returns how many. */
static int crossings(const struct figure *s, double y, double *x)
{
    int n = 0;

    for (int i = 0; i < s->n; i++) {
        const double *a = s->xy[i], *b = s->xy[(i + 1) % s->n];
        if ((a[1] <= y) == (b[1] <= y)) {
            continue;
        }
        const double at = a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
        int k = n++;
        for (; k > 0 && x[k - 1] > at; k--) {
            x[k] = x[k - 1];
        }
        x[k] = at;
    }
    return n;
}

static void add_span(double x0, double x1, int width, float *cover)
{
    const float part = 1.0F / SUB_ROWS;

    x0 = fmax(x0, 0);
    x1 = fmin(x1, width);
    if (x1 <= x0) {
        return;
    }
    const int first = (int)x0, last = (int)x1;
    if (first == last) {
        cover[first] += part * (float)(x1 - x0);
        return;
    }
    cover[first] += part * (float)(first + 1 - x0);
    for (int x = first + 1; x < last; x++) {
        cover[x] += part;
    }
    if (last < width) {
        cover[last] += part * (float)(x1 - last);
    }
}

void shape_cover_row(const struct figure *s, int y, int width, float *cover)
{
    double x[SHAPE_MAX_POINTS];

    memset(cover, 0, (size_t)width * sizeof *cover);
    for (int k = 0; k < SUB_ROWS; k++) {
        const int n = crossings(s, y + (k + 0.5) / SUB_ROWS, x);
        for (int i = 0; i + 1 < n; i += 2) {
            add_span(x[i], x[i + 1], width, cover);
        }
    }
}
