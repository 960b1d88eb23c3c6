/*
 * device.h - the option --device of the commands that run networks.
 */
#ifndef VOV_CLI_DEVICE_H
#define VOV_CLI_DEVICE_H

#include "backend/backend.h"
#include "cli.h"

#define DEVICE_OPTION(at)                                                                          \
    {                                                                                              \
        "device", 0, OPT_TEXT, (at), "DEVICE", 0, 0,                                               \
            "cpu, cuda, cuda:N (from 0), or auto: the first GPU, else the CPU; auto unless given"  \
    }

/* Where several may share the work. */
#define DEVICES_OPTION(at)                                                                         \
    {                                                                                              \
        "device", 0, OPT_TEXT, (at), "DEVICE", 0, 0,                                               \
            "cpu, cuda, cuda:N (from 0), or auto: the first GPU, else the CPU; auto unless "       \
            "given. "                                                                              \
            "Several, as cuda:0,cuda:1, share each batch"                                          \
    }

/* device as the user gave it, NULL for none. Where a GPU may have been expected and the CPU is
 * taken a remark says why. */
enum vov_status device_open(const struct cli *cli, const char *device, int threads,
                            struct backend **be, struct err *err);

#endif
