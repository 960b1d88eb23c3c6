/*
 * backend.c - the list of devices, and how a failure leaves one. The only place that knows which
 * devices this program was built with.
 */
#include "backend.h"

#include "cpu/cpu.h"

#include <string.h>

enum vov_status backend_open(const char *name, int threads, struct backend **be, struct err *err)
{
    *be = NULL;
    if (!name || strcmp(name, "cpu") == 0) {
        return cpu_open(threads, be, err);
    }
    if (strcmp(name, "plain") == 0) {
        return cpu_open_plain(be, err);
    }
    if (strcmp(name, "cuda") == 0) {
        return err_set(err, VOV_EUNSUPPORTED,
                       "device cuda is not built into this program; use cpu");
    }
    return err_set(err, VOV_EARG, "there is no device \"%s\"; use cpu or plain", name);
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
