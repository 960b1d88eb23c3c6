/*
 * peers.c - see peers.h.
 */
#include "peers.h"

#include <string.h>

static size_t kind_length(const char *name)
{
    return strcspn(name, ":");
}

static enum vov_status check_kinds(const struct peers *p, struct err *err)
{
    const size_t n = kind_length(p->name[0]);
    for (int i = 1; i < p->n; i++) {
        if (kind_length(p->name[i]) != n || strncmp(p->name[i], p->name[0], n) != 0) {
            return err_set(err, VOV_EARG,
                           "--device %s with %s: devices that share a training run must be of one "
                           "kind",
                           p->name[0], p->name[i]);
        }
    }
    return VOV_OK;
}

enum vov_status peers_list(struct peers *p, const char *devices, struct err *err)
{
    *p = (struct peers){.n = 1};
    if (devices == NULL || strchr(devices, ',') == NULL) {
        p->name[0] = devices;
        return VOV_OK;
    }
    p->list = mem_strdup(devices);
    if (p->list == NULL) {
        return err_nomem(err, strlen(devices));
    }
    p->n = 0;
    for (char *at = p->list; at != NULL;) {
        char *comma = strchr(at, ',');
        if (p->n == PEERS_MOST) {
            return err_set(err, VOV_EARG, "--device: more than %d devices", PEERS_MOST);
        }
        p->name[p->n++] = at;
        if (comma != NULL) {
            *comma++ = '\0';
        }
        at = comma;
    }
    TRY(check_kinds(p, err));
    return dist_group_open(p->n, &p->group, err);
}

struct dist *peers_first(const struct peers *p)
{
    return p->group != NULL ? dist_group_rank(p->group, 0) : NULL;
}

static void say_nothing(void *user, int level, const char *text)
{
    (void)user, (void)level, (void)text; /* the first device says it */
}

static const struct log quiet = {say_nothing, NULL};

static enum vov_status open_one(struct peers *p, int rank, const char *cfg,
                                const struct model_options *how, int threads,
                                const struct trainer *first, struct err *err)
{
    struct peer *q = &p->peer[rank - 1];
    struct err_list errs = {0};
    struct model_options silent = *how;
    silent.log = NULL;
    *q = (struct peer){.opt = *first->opt};
    p->n_open = rank;
    q->opt.hooks = NULL;
    q->opt.n_hooks = 0;
    q->opt.stop = NULL;
    q->opt.log = &quiet;
    q->opt.dist = dist_group_rank(p->group, rank);
    q->opt.first = first;
    TRY(backend_open(p->name[rank], threads, &q->be, err));
    if (model_build(cfg, &silent, &q->model, &errs) != VOV_OK) {
        *err = errs.item[0]; /* another device's has been built of it */
        return err->code;
    }
    TRY(model_start(&q->model, q->be, first->state.seed, err));
    return trainer_open(&q->trainer, &q->model, &q->opt, err);
}

enum vov_status peers_open(struct peers *p, const struct cli *cli, const char *cfg,
                           const struct model_options *how, int threads,
                           const struct trainer *first, struct err *err)
{
    for (int rank = 1; rank < p->n; rank++) {
        TRY(open_one(p, rank, cfg, how, threads, first, err));
    }
    if (p->n > 1 && !cli->quiet) {
        printf("devices: %d, each takes %d of the %d parts of a batch\n", p->n,
               first->model->net.subdivisions / p->n, first->model->net.subdivisions);
    }
    return VOV_OK;
}

enum vov_status peers_run(struct peers *p, struct trainer *first, struct err *err)
{
    struct trainer *all[PEERS_MOST] = {first};
    if (p->n == 1) {
        return trainer_run(first, err);
    }
    for (int i = 1; i < p->n; i++) {
        all[i] = &p->peer[i - 1].trainer;
    }
    return trainers_run(all, p->n, err);
}

void peers_close(struct peers *p)
{
    for (int i = 0; i < p->n_open; i++) {
        struct peer *q = &p->peer[i];
        trainer_close(&q->trainer);
        model_close(&q->model);
        backend_close(q->be);
    }
    dist_group_close(p->group);
    mem_free(p->list);
    *p = (struct peers){0};
}
