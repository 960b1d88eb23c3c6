/*
 * backend.c - the list of devices, and how a failure leaves one. The only place that knows which
 * devices this program was built with.
 */
#include "backend.h"

#include "cpu/cpu.h"
#include "plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether it is worth looking for a device: opening CUDA's libraries takes half a second. */
static bool has_gpu(void)
{
    if (access("/dev/nvidia0", F_OK) == 0) {
        return true;
    }
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver != NULL) {
        dlclose(driver);
    }
    return driver != NULL;
}

static enum vov_status open_cuda(int device, struct backend **be, struct err *err)
{
    const struct backend_plugin *plugin;
    struct err why = {0};
    enum vov_status status = plugin_load(PLUGIN_CUDA, &plugin, &why);

    if (status == VOV_OK) {
        status = plugin->open(device, be, &why);
    }
    return status == VOV_OK ? VOV_OK : err_set(err, status, "CUDA: %s", why.msg);
}

/* The GPU, and where there is none the CPU, with the reason where one may be expected. */
static enum vov_status open_best(bool asked, int threads, struct backend **be, struct err *err)
{
    struct err why = {0};

    if (!has_gpu()) {
        err_set(&why, VOV_EDEVICE, "CUDA: no NVIDIA driver is installed");
    } else {
        asked = true;
        if (open_cuda(0, be, &why) == VOV_OK) {
            return VOV_OK;
        }
    }
    TRY(cpu_open(threads, be, err));
    if (asked) {
        err_set(&(*be)->passed_over, why.code, "%s", why.msg);
    }
    return VOV_OK;
}

/* N of "cuda:N"; 0 of "cuda"; -1: it is neither. */
static int cuda_number(const char *name)
{
    char *end;

    if (strcmp(name, "cuda") == 0) {
        return 0;
    }
    if (strncmp(name, "cuda:", 5) != 0 || name[5] < '0' || name[5] > '9') {
        return -1;
    }
    errno = 0;
    const long n = strtol(name + 5, &end, 10);
    return errno == 0 && *end == '\0' && n < 1024 ? (int)n : -1;
}

enum vov_status backend_open(const char *name, int threads, struct backend **be, struct err *err)
{
    *be = NULL;
    if (name == NULL || strcmp(name, "auto") == 0) {
        return open_best(name != NULL, threads, be, err);
    }
    if (strcmp(name, "cpu") == 0) {
        return cpu_open(threads, be, err);
    }
    if (strcmp(name, "plain") == 0) {
        return cpu_open_plain(be, err);
    }
    if (cuda_number(name) >= 0) {
        struct err why = {0};
        const enum vov_status status = open_cuda(cuda_number(name), be, &why);
        return status == VOV_OK ? VOV_OK
                                : err_set(err, status, "%s; device cpu needs no GPU", why.msg);
    }
    return err_set(err, VOV_EARG,
                   "there is no device \"%.40s\"; use cpu, cuda, cuda:N (from 0) or auto", name);
}

enum vov_status backend_check(struct backend *be, struct err *err)
{
    be->ops->sync(be);

    const struct err failed = be->failed;
    be->failed = (struct err){0};
    if (failed.code == VOV_OK) {
        return VOV_OK;
    }
    return be->doing ? err_set(err, failed.code, "%s: %s", be->doing, failed.msg)
                     : err_set(err, failed.code, "%s", failed.msg);
}

void backend_close(struct backend *be)
{
    if (be) {
        be->ops->close(be);
    }
}
