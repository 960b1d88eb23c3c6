/*
 * isa.c - the instruction sets that kernels were compiled for, and whether processor and system
 * have them.
 */
#include "isa.h"

#include "base/processor.h"

#include <string.h>

int isa_list(struct isa list[MAX_ISAS])
{
    int n = 0;

#if defined(__x86_64__)
    list[n++] = (struct isa){"avx512", &kernels_avx512, processor_has_avx512()};
    list[n++] = (struct isa){"avx2", &kernels_avx2, processor_has_avx2()};
#elif defined(__aarch64__)
    list[n++] = (struct isa){"neon", &kernels_neon, true}; /* part of every aarch64 */
#endif
    list[n++] = (struct isa){"base", &kernels_base, true};
    return n;
}

static enum vov_status unknown(const char *name, const struct isa *list, int n, struct err *err)
{
    char names[64] = "";
    size_t at = 0;

    for (int i = 0; i < n && at < sizeof names; i++) {
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i > 0 ? ", " : "",
                               list[i].name);
    }
    return err_set(err, VOV_EARG, "VOV_ISA is \"%s\"; this program has kernels for %s", name,
                   names);
}

enum vov_status isa_choose(const char *name, struct isa *isa, struct err *err)
{
    struct isa list[MAX_ISAS];
    const int n = isa_list(list);
    const bool any = !name || strcmp(name, "") == 0;

    for (int i = 0; i < n; i++) {
        if (any ? !list[i].runs : strcmp(name, list[i].name) != 0) {
            continue;
        }
        if (!list[i].runs) {
            return err_set(err, VOV_EUNSUPPORTED,
                           "VOV_ISA is \"%s\", which this processor does not have; use base, or "
                           "leave it unset for the best",
                           name);
        }
        *isa = list[i];
        return VOV_OK;
    }
    return unknown(name, list, n, err);
}
