/* prior.c - see prior.h. */
#include "prior.h"

#include <math.h>

int prior_count(const struct prior_level *l)
{
    return l->w * l->h * l->n_scales * l->n_ratios;
}

/* All priors of the cell with centre x, y in pixels. */
static struct box *fill_cell(const struct prior_level *l, double x, double y, double width,
                             double height, struct box *out)
{
    for (int s = 0; s < l->n_scales; s++) {
        for (int r = 0; r < l->n_ratios; r++) {
            const double half = l->size * l->scale[s] / 2;
            const double half_w = half * sqrt(l->ratio[r]), half_h = half / sqrt(l->ratio[r]);

            *out++ = (struct box){
                (real)((x - half_w) / width),
                (real)((y - half_h) / height),
                (real)((x + half_w) / width),
                (real)((y + half_h) / height),
            };
        }
    }
    return out;
}

void prior_fill(const struct prior_level *l, int width, int height, struct box *out)
{
    for (int i = 0; i < l->h; i++) {
        for (int j = 0; j < l->w; j++) {
            out = fill_cell(l, (j + 0.5) * l->step_x, (i + 0.5) * l->step_y, width, height, out);
        }
    }
}
