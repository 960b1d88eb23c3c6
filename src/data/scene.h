/*
 * scene.h - one drawn picture: shapes of several classes on a textured ground, many small and some
 * hiding parts of others, under changing light, with noise.
 */
#ifndef VOV_SCENE_H
#define VOV_SCENE_H

#include "base/rng.h"
#include "image.h"
#include "shape.h"

enum { SCENE_MAX_OBJECTS = 24 };

struct scene_object {
    int class_id;        /* index into the options' kinds */
    struct figure shape; /* clipped to the picture; what others hide of it is part of it */
};

struct scene {
    struct image img; /* image_free */
    struct scene_object object[SCENE_MAX_OBJECTS];
    int n;
};

struct scene_options {
    int size;              /* sides are between 8/9 and 10/9 of it */
    int kind[SHAPE_KINDS]; /* of shape.h, one for each class */
    int n_classes;
};

/* r decides everything. Only memory can fail. */
enum vov_status scene_draw(const struct scene_options *opt, struct rng *r, struct scene *s,
                           struct err *err);

#endif
