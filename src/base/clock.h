/*
 * clock.h - time that never runs backwards, and what the process has used.
 */
#ifndef VOV_CLOCK_H
#define VOV_CLOCK_H

#include <stdbool.h>
#include <stddef.h>

double clock_now(void);          /* seconds, monotonic */
size_t clock_peak_bytes(void);   /* largest resident size so far */
size_t clock_now_bytes(void);    /* resident size now; SIZE_MAX: unknown */
bool clock_peak_reset(void);     /* "so far" begins now; false: this system cannot do that */
size_t clock_memory_bytes(void); /* memory that this machine (or its cgroup) can still give */

#endif
