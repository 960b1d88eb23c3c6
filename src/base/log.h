/*
 * log.h - where the library's remarks go: one callback that the caller gave. Errors are returned,
 * never logged.
 */
#ifndef VOV_LOG_H
#define VOV_LOG_H

#include "err.h"

enum log_level { LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    void (*fn)(void *user, int level, const char *text); /* NULL: silent */
    void *user;
};

/* `log` may be NULL. Text without a newline at the end. */
void log_put(const struct log *log, enum log_level level, const char *fmt, ...) VOV_PRINTF(3, 4);

#endif
