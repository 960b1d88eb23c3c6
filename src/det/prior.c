/* prior.c - see prior.h. */
#include "prior.h"

#include <math.h>

struct prior_shape prior_shape(double size, double ratio)
{
    return (struct prior_shape){size * sqrt(ratio), size / sqrt(ratio)};
}

int prior_count(const struct prior_level *l)
{
    return l->w * l->h * l->n_shapes;
}

/* All priors of the cell with centre x, y in pixels. */
static struct box *fill_cell(const struct prior_level *l, double x, double y, double width,
                             double height, struct box *out)
{
    for (int i = 0; i < l->n_shapes; i++) {
        const double half_w = l->shape[i].w / 2, half_h = l->shape[i].h / 2;

        *out++ = (struct box){
            (real)((x - half_w) / width),
            (real)((y - half_h) / height),
            (real)((x + half_w) / width),
            (real)((y + half_h) / height),
        };
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
