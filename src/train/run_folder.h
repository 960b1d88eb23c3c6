/*
 * run_folder.h - what trainer_open does before the first step: do data and cfg agree, is there an
 * earlier part of the run, can checkpoints be written. So that nothing of this fails hours later.
 */
#ifndef VOV_RUN_FOLDER_H
#define VOV_RUN_FOLDER_H

#include "trainer.h"

/* The net must be a detector of the data's classes, and the data must have pictures
 * and boxes. */
enum vov_status run_folder_check(const struct model *m, const struct dataset *d, struct err *err);

/* Whether there is an earlier part of a run in it to go on from. */
bool run_folder_begun(const char *out);

/* Makes the folder, locks it, fills the paths of t, and takes the state of an earlier part of the
 * run. */
enum vov_status run_folder_open(struct trainer *t, struct err *err);

/* Whether the disk has room for the run's checkpoints; writes last.safetensors and reads it back.
 */
enum vov_status run_folder_prove(struct trainer *t, struct err *err);

#endif
