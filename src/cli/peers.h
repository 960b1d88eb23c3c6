/*
 * peers.h - `--device cuda:0,cuda:1`: the devices behind the first one, each with its own model and
 * trainer, which share the batches of the first.
 */
#ifndef VOV_CLI_PEERS_H
#define VOV_CLI_PEERS_H

#include "device.h"
#include "train/trainer.h"

enum { PEERS_MOST = 16 };

struct peer {
    struct backend *be;
    struct model model;
    struct trainer_options opt;
    struct trainer trainer;
};

struct peers {
    char *list;                   /* memory of the names */
    const char *name[PEERS_MOST]; /* [n] of all devices, the first one too; NULL: the best */
    int n;
    struct dist_group *group; /* NULL where there is one device */
    struct peer peer[PEERS_MOST - 1];
    int n_open;
};

/* Splits what --device says. VOV_EARG: too many, or of different kinds; VOV_ENOMEM. */
enum vov_status peers_list(struct peers *p, const char *devices, struct err *err);

/* The first trainer's dist; NULL where there is one device. */
struct dist *peers_first(const struct peers *p);

/* Opens the others as `first` is, which was opened with `opt` from this cfg. */
enum vov_status peers_open(struct peers *p, const struct cli *cli, const char *cfg,
                           const struct model_options *how, int threads,
                           const struct trainer *first, struct err *err);

/* first and the others, to the end. */
enum vov_status peers_run(struct peers *p, struct trainer *first, struct err *err);
void peers_close(struct peers *p);

#endif
