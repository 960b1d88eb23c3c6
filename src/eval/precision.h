/*
 * precision.h - from the verdicts on one class's detections to its precision and recall.
 */
#ifndef VOV_PRECISION_H
#define VOV_PRECISION_H

#include "match.h"

/* Sorts t and fills c. VOV_ENOMEM. */
enum vov_status precision_of_class(struct tally *t, struct coco_class *c, struct err *err);

#endif
