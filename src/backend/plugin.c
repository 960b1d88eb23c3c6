/*
 * plugin.c - finds and opens the library of a backend: beside the program (or libvov.so), in the
 * folder lib beside that, or where the system looks. It stays open until the process ends, as the
 * threads and handlers of a driver cannot be taken away safely.
 */
#include "plugin.h"

#include "base/file.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Any address in this file. */
static const char here[] = "here";

/* The folder of the program, or of the library that this code is part of; "": unknown. */
static void own_folder(char folder[PATH_MAX])
{
    Dl_info info;
    const bool library = dladdr(here, &info) != 0 && strstr(info.dli_fname, ".so") != NULL;

    if (realpath(library ? info.dli_fname : "/proc/self/exe", folder) == NULL) {
        folder[0] = '\0';
    } else {
        *strrchr(folder, '/') = '\0';
    }
}

static enum vov_status load(const char *path, void **library, struct err *err)
{
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return *library != NULL ? VOV_OK : err_set(err, VOV_EDEVICE, "%s", dlerror());
}

static enum vov_status find(const char *name, void **library, struct err *err)
{
    static const char *const places[] = {"", "/../lib"};
    char folder[PATH_MAX], path[PATH_MAX + 64];

    own_folder(folder);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s/%s", folder, places[i], name);
        if (folder[0] != '\0' && file_exists(path)) {
            return load(path, library, err);
        }
    }
    return load(name, library, err);
}

enum vov_status plugin_load(const char *name, const struct backend_plugin **plugin, struct err *err)
{
    void *library;

    TRY(find(name, &library, err));
    const struct backend_plugin *p = dlsym(library, "vov_backend_plugin");
    if (p == NULL || p->version != BACKEND_PLUGIN_VERSION || p->real_bytes != sizeof(real) ||
        p->ops_bytes != sizeof(struct backend_ops)) {
        dlclose(library);
        return err_set(err, VOV_EDEVICE, "%s was built for another version of this program", name);
    }
    *plugin = p;
    return VOV_OK;
}

enum vov_status plugin_report(struct gpu_report *r, struct err *err)
{
    const struct backend_plugin *plugin;

    *r = (struct gpu_report){0};
    TRY(plugin_load(PLUGIN_CUDA, &plugin, err));
    return plugin->report(r, err);
}
