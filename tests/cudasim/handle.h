/*
 * handle.h - objects that the libraries hand out (streams, events, descriptors): each is found
 * again by its address and kind, so that a dead or foreign one is reported and not followed.
 */
#ifndef VOV_TESTS_CUDASIM_HANDLE_H
#define VOV_TESTS_CUDASIM_HANDLE_H

#include <stddef.h>

/* A new object of `bytes` zeroed bytes. kind: a name with static life, compared by its text. */
void *handle_new(const char *kind, size_t bytes);

/* The live object; NULL and a report if p is none of this kind. */
void *handle_get(const char *kind, const void *p);

/* Ends an object; a report if it is none. */
void handle_free(const char *kind, void *p);

/* Calls f with each live object of the kind; NULL: of all kinds. */
void handle_each(const char *kind, void (*f)(void *object, void *context), void *context);

size_t handle_alive(void);
void handle_report_leaks(void);

#endif
