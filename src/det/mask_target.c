/*
 * mask_target.c - the part of a true mask that a RoI sees (He et al. 2017, 3.1), at the RoI's own
 * resolution: each cell is the mean of 2 x 2 bilinear samples of the truth's grid, as RoIAlign
 * would take them, and belongs to the object where that is half or more. Halves are common, as when
 * the RoI is the truth's box: they are counted as such though rounding may leave a little less, so
 * that all devices, some of which compute in float, say the same.
 */
#include "roi_part.h"

enum { SAMPLES = 2 };
static const double half = 0.5 * SAMPLES * SAMPLES - MASK_TARGET_SLACK;

/* Bilinear between cell centres, the outermost repeated to the edge; nothing beyond it. x, y: in
 * cells. */
static double sample(const struct mask_grid *g, double x, double y)
{
    const double last = g->side - 1;

    if (!(x >= 0 && y >= 0 && x <= g->side && y <= g->side)) {
        return 0;
    }
    const double u = fmin(fmax(x - 0.5, 0), last), v = fmin(fmax(y - 0.5, 0), last);
    const int i = (int)v, j = (int)u;
    const int below = i + 1 < g->side ? i + 1 : i, right = j + 1 < g->side ? j + 1 : j;
    const double s = u - j, t = v - i;
    const real *top = g->v + (size_t)i * (size_t)g->side;
    const real *bottom = g->v + (size_t)below * (size_t)g->side;

    return (1 - t) * ((1 - s) * (double)top[j] + s * (double)top[right]) +
           t * ((1 - s) * (double)bottom[j] + s * (double)bottom[right]);
}

void mask_target(const struct mask_grid *truth, const struct box *roi, int size, real *target)
{
    const double w = (double)(truth->box.x1 - truth->box.x0) / truth->side;
    const double h = (double)(truth->box.y1 - truth->box.y0) / truth->side;
    const double step_x = (double)(roi->x1 - roi->x0) / size / SAMPLES;
    const double step_y = (double)(roi->y1 - roi->y0) / size / SAMPLES;

    for (int i = 0; i < size * size; i++) {
        const int row = i / size * SAMPLES, column = i % size * SAMPLES;
        double sum = 0;
        for (int k = 0; k < SAMPLES * SAMPLES; k++) {
            const double x = (double)roi->x0 + (column + k % SAMPLES + 0.5) * step_x;
            const double y = (double)roi->y0 + (row + k / SAMPLES + 0.5) * step_y;
            sum += sample(truth, (x - (double)truth->box.x0) / w, (y - (double)truth->box.y0) / h);
        }
        target[i] = sum >= half ? 1 : 0;
    }
}
