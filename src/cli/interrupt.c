/*
 * interrupt.c - the one variable of the program that changes behind everybody's back: a signal
 * handler is given nothing else to reach.
 */
#include "interrupt.h"

#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    static const char text[] = "\nstopping after this step; once more quits at once\n";
    (void)number;
    if (stop_requested) {
        _exit(EXIT_INTERRUPTED);
    }
    stop_requested = 1;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
}

const volatile sig_atomic_t *interrupt_watch(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    return &stop_requested;
}
