/*
 * scatter.h - panels of marks over two axes, side by side: how several networks compare in several
 * respects.
 */
#ifndef VOV_PLOT_SCATTER_H
#define VOV_PLOT_SCATTER_H

#include "canvas.h"

struct scatter_mark {
    const char *label;
    int family;  /* marks of one have its colour and form and are joined by a line */
    double x, y; /* NAN: not known, so that the mark is left out */
};

struct scatter_panel {
    const char *title, *x_label, *y_label;
    const char *note; /* in place of marks where none is known */
    const struct scatter_mark *mark;
    int n;
};

enum { SCATTER_WIDTH = 560, SCATTER_HEIGHT = 430 }; /* of one panel */

/* Opens *c and draws the panels, two in a row, under a title and a line below it. The y axis begins
 * at 0, the x axis where the marks do. */
void scatter_draw(struct canvas *c, const char *title, const char *below,
                  const struct scatter_panel *panel, int n);

#endif
