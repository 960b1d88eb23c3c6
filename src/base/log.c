/*
 * log.c - remarks for the caller's callback.
 */
#include "log.h"

void log_put(const struct log *log, enum log_level level, const char *fmt, ...)
{
    char text[1000];
    if (log == NULL || log->fn == NULL) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log->fn(log->user, (int)level, text);
}
