/*
 * site.c - return addresses as "file.c:12", by way of addr2line; as the name of the program file
 * and an offset where that finds nothing.
 */
#include "sim.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path as the name of the file. The host's part of a.cu is compiled as tmpxft_..._a.cudafe1.cpp.
 */
static void shorten(const char *path, char *text, size_t size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *end = strstr(name, ".cudafe1.cpp");
    if (strncmp(name, "tmpxft_", 7) == 0 && end) {
        const char *dash = strchr(name, '-');
        const char *under = dash ? strchr(dash, '_') : NULL;
        name = under && under < end ? under + 1 : name;
        snprintf(text, size, "%.*s.cu%s", (int)(end - name), name, end + strlen(".cudafe1.cpp"));
        return;
    }
    snprintf(text, size, "%s", name);
}

/* What addr2line says of an offset in a file: the innermost place that is not in a header of the
 * system. False if it knows none.
 */
static bool ask(const char *file, uintptr_t offset, char *text, size_t size)
{
    char command[600], line[512];
    snprintf(command, sizeof command, "addr2line -i -e '%s' 0x%zx 2>/dev/null", file,
             (size_t)offset);
    FILE *f = strchr(file, '\'') ? NULL : popen(command, "r");
    bool found = false;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, " \n")] = '\0'; /* " (discriminator 2)" may follow */
        if (!found && line[0] != '?' && strncmp(line, "/usr/", 5) != 0) {
            shorten(line, text, size);
            found = true;
        }
    }
    if (f) {
        pclose(f);
    }
    return found;
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
