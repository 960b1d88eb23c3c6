/*
 * device.c - see device.h.
 */
#include "device.h"

enum vov_status device_open(const struct cli *cli, const char *device, int threads,
                            struct backend **be, struct err *err)
{
    TRY(backend_open(device, threads, be, err));
    if ((*be)->passed_over.code != VOV_OK) {
        log_put(&cli->log, LOG_INFO, "going on with the CPU: %s", (*be)->passed_over.msg);
    }
    return VOV_OK;
}
