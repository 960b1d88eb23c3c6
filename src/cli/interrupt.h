/*
 * interrupt.h - Ctrl-C and SIGTERM: the first asks to save and stop, the second ends the program.
 */
#ifndef VOV_CLI_INTERRUPT_H
#define VOV_CLI_INTERRUPT_H

#include <signal.h>

/* From now on the first signal sets what this points to; it is not 0 then. */
const volatile sig_atomic_t *interrupt_watch(void);

#endif
