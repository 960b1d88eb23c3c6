/*
 * inspect_draw.h - connections of blocks as a heat map, for `vov inspect --connections`.
 */
#ifndef VOV_CLI_INSPECT_DRAW_H
#define VOV_CLI_INSPECT_DRAW_H

#include "model/connections.h"

/* A name of the block's without the block's own in front. */
const char *inspect_short(const struct connection_block *b, const char *name);

/* path: .svg or .png, else both beside each other. VOV_EIO, VOV_ENOMEM. */
enum vov_status inspect_draw(const struct connections *c, const char *title, const char *path,
                             struct err *err);

#endif
