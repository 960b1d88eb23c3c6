/* site.c - return addresses as "file.c:12", by way of addr2line; as the name of the program file
 * and an offset where that finds nothing.
 */
#include "sim.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What addr2line says of an offset in a file; false if it knows nothing. */
static bool ask(const char *file, uintptr_t offset, char *text, size_t size)
{
    char command[600], line[512] = "";
    snprintf(command, sizeof command, "addr2line -e '%s' 0x%zx 2>/dev/null", file, (size_t)offset);
    FILE *f = strchr(file, '\'') ? NULL : popen(command, "r");
    if (!f) {
        return false;
    }
    const bool read = fgets(line, sizeof line, f) != NULL;
    pclose(f);
    line[strcspn(line, " \n")] = '\0'; /* " (discriminator 2)" may follow */
    const char *slash = strrchr(line, '/');
    const char *place = slash ? slash + 1 : line;
    if (!read || *place == '?' || *place == '\0') {
        return false;
    }
    snprintf(text, size, "%s", place);
    return true;
}

const char *site_place(sim_site site, char *text, size_t size)
{
    Dl_info info;
    struct link_map *map = NULL;
    char file[512] = "";
    if (!site || !dladdr1(site, &info, (void **)&map, RTLD_DL_LINKMAP) || !map) {
        return NULL;
    }
    if (map->l_name[0]) {
        snprintf(file, sizeof file, "%s", map->l_name);
    } else if (readlink("/proc/self/exe", file, sizeof file - 1) < 0) {
        return NULL;
    }
    const uintptr_t offset = (uintptr_t)site - map->l_addr - 1; /* the call is before it */
    if (!ask(file, offset, text, size)) {
        const char *slash = strrchr(file, '/');
        snprintf(text, size, "%s+0x%zx", slash ? slash + 1 : file, (size_t)offset);
    }
    return text;
}
