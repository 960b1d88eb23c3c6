/*
 * coco_seg.h - a COCO "segmentation" value: polygons, run lengths, or a compressed string.
 */
#ifndef VOV_COCO_SEG_H
#define VOV_COCO_SEG_H

#include "base/json.h"
#include "base/mem.h"
#include "dataset.h"

/*
 * *out lives in mem; NULL for none. *wrong says what is damaged (wrong types, runs that do not add
 * up, no such size, ...), of which *out has nothing; NULL: nothing is. VOV_OK or VOV_ENOMEM.
 */
enum vov_status coco_seg_read(const json *j, struct arena *mem, struct seg **out,
                              const char **wrong, struct err *err);

#endif
