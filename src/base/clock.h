/*
 * clock.h - time that never runs backwards.
 */
#ifndef VOV_CLOCK_H
#define VOV_CLOCK_H

double clock_now(void); /* seconds, monotonic */

#endif
