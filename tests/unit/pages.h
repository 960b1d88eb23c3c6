/*
 * pages.h - what the system was asked for a block of memory.
 */
#ifndef VOV_TEST_PAGES_H
#define VOV_TEST_PAGES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Whether huge pages were refused for the mapping that p lies in ("nh" among its flags): 1, 0, and
 * -1 where the system does not tell. */
static inline int small_pages(const void *p)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[1000];
    int in = 0, small = -1;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            in = (uintptr_t)p >= from && (uintptr_t)p < to;
        } else if (in && strncmp(line, "VmFlags:", 8) == 0) {
            small = strstr(line, " nh") != NULL;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return small;
}

#endif
