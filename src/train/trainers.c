/*
 * trainers.c - trainers that share batches, a thread for each.
 */
#include "trainer.h"

#include "base/mem.h"

#include <pthread.h>

struct runner {
    struct trainer *trainer;
    struct err err;
};

static void run(struct runner *r)
{
    const struct trainer *t = r->trainer;
    trainer_run(r->trainer, &r->err);
    t->opt->dist->leave(t->opt->dist, &r->err);
}

static void *run_other(void *arg)
{
    run(arg);
    return NULL;
}

/* Rank 0 is the caller's own thread. Where a thread cannot be had all ranks leave at once. */
static void run_all(struct runner *r, pthread_t *thread, int n)
{
    int started = 1;
    while (started < n && pthread_create(&thread[started], NULL, run_other, &r[started]) == 0) {
        started++;
    }
    if (started == n) {
        run(&r[0]);
    } else {
        struct dist *d = r[0].trainer->opt->dist;
        err_set(&r[0].err, VOV_ENOMEM, "the system gives no thread for device %d", started);
        d->leave(d, &r[0].err);
    }
    for (int i = 1; i < started; i++) {
        pthread_join(thread[i], NULL);
    }
}

enum vov_status trainers_run(struct trainer *const t[], int n, struct err *err)
{
    struct runner *r = mem_alloc((size_t)n, sizeof *r);
    pthread_t *thread = mem_alloc((size_t)n, sizeof *thread);
    enum vov_status status = VOV_ENOMEM;
    if (r == NULL || thread == NULL) {
        err_nomem(err, (size_t)n * sizeof *r);
        goto done;
    }
    for (int i = 0; i < n; i++) {
        r[i].trainer = t[i];
    }
    run_all(r, thread, n);
    status = r[0].err.code; /* what ended another has ended rank 0 too */
    if (status != VOV_OK) {
        *err = r[0].err;
    }

done:
    mem_free(thread);
    mem_free(r);
    return status;
}
