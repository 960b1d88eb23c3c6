/*
 * usage.h - what the process has of the machine's memory, and what is left.
 */
#ifndef VOV_USAGE_H
#define VOV_USAGE_H

#include <stdbool.h>
#include <stddef.h>

size_t usage_peak_bytes(void); /* largest resident size so far */
size_t usage_now_bytes(void);  /* resident size now; SIZE_MAX: unknown */
bool usage_peak_reset(void);   /* "so far" begins now; false: this system cannot do that */
size_t usage_left_bytes(void); /* memory that this machine (or its cgroup) can still give */

#endif
