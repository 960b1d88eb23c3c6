/*
 * energy.c - see energy.h. Counters are read at both ends of a window and each 100 ms in between,
 * so that none wraps unseen. A GPU without a counter, or in the paper's mode, has its power sampled
 * at the same moments; energy is then the mean of the samples times the duration.
 */
#include "energy.h"

#include "base/clock.h"
#include "base/mem.h"
#include "nvml.h"
#include "rapl.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <time.h>

enum { PERIOD_MS = 100 };

struct energy {
    struct energy_part part[ENERGY_UNITS];
    struct rapl rapl;
    struct nvml nvml;
    bool samples; /* the GPU's power rather than its counter */

    /* Of the window that is open. The thread alone changes them while it runs. */
    double began;
    double joules[ENERGY_UNITS], gpu_before, watts;
    long ticks[ENERGY_UNITS];

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping; /* under the lock */
};

static void open_cpu(struct energy *e, const struct energy_options *opt)
{
    struct energy_part *p = &e->part[ENERGY_CPU];
    p->wanted = true;
    p->source = "rapl";
    p->readable = rapl_open(&e->rapl, opt->powercap != NULL ? opt->powercap : "/sys/class/powercap",
                            p->why, sizeof p->why);
}

static void open_gpu(struct energy *e, const struct energy_options *opt)
{
    struct energy_part *p = &e->part[ENERGY_GPU];
    p->wanted = opt->method == ENERGY_COUNTER || opt->method == ENERGY_SAMPLE100 ||
                (opt->gpu && opt->method == ENERGY_AUTO);
    if (!p->wanted) {
        return;
    }
    p->readable = nvml_open(&e->nvml, opt->nvml, opt->pci, p->why, sizeof p->why);
    e->samples = opt->method == ENERGY_SAMPLE100 || !e->nvml.has_counter;
    p->source = e->samples ? "nvml power, each 100 ms" : "nvml counter";
    if (p->readable && opt->method == ENERGY_COUNTER && !e->nvml.has_counter) {
        p->readable = false;
        snprintf(
            p->why, sizeof p->why,
            "this GPU is older than Volta and counts no energy; --energy-method=sample100 asks "
            "for its power instead");
    }
}

enum vov_status energy_open(const struct energy_options *opt, struct energy **energy,
                            struct err *err)
{
    pthread_condattr_t monotonic;
    struct energy *e = mem_alloc(1, sizeof *e);
    *energy = e;
    if (e == NULL) {
        return err_nomem(err, sizeof *e);
    }
    open_cpu(e, opt);
    open_gpu(e, opt);
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return VOV_OK;
}

void energy_close(struct energy *e)
{
    if (e == NULL) {
        return;
    }
    nvml_close(&e->nvml);
    pthread_cond_destroy(&e->stop);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}

const struct energy_part *energy_part(const struct energy *e, enum energy_unit unit)
{
    return &e->part[unit];
}

bool energy_readable(const struct energy *e)
{
    return e->part[ENERGY_CPU].readable || e->part[ENERGY_GPU].readable;
}

static void look_at_cpu(struct energy *e)
{
    struct energy_part *p = &e->part[ENERGY_CPU];
    double joules;
    if (!p->readable) {
        return;
    }
    p->readable = rapl_read(&e->rapl, &joules, p->why, sizeof p->why);
    if (p->readable) {
        e->joules[ENERGY_CPU] += joules;
        e->ticks[ENERGY_CPU] += joules > 0;
    }
}

static void look_at_gpu(struct energy *e)
{
    struct energy_part *p = &e->part[ENERGY_GPU];
    double value;
    if (!p->readable) {
        return;
    }
    p->readable = e->samples ? nvml_watts(&e->nvml, &value, p->why, sizeof p->why)
                             : nvml_joules(&e->nvml, &value, p->why, sizeof p->why);
    if (!p->readable) {
        return;
    }
    if (e->samples) {
        e->watts += value;
        e->ticks[ENERGY_GPU]++;
    } else {
        e->joules[ENERGY_GPU] += value - e->gpu_before;
        e->ticks[ENERGY_GPU] += value > e->gpu_before;
        e->gpu_before = value;
    }
}

static void look(struct energy *e)
{
    look_at_cpu(e);
    look_at_gpu(e);
}

static void forget(struct energy *e)
{
    for (int i = 0; i < ENERGY_UNITS; i++) {
        e->joules[i] = 0;
        e->ticks[i] = 0;
    }
    e->watts = 0;
}

static struct timespec later(struct timespec t)
{
    t.tv_nsec += PERIOD_MS * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    return t;
}

static void *watch(void *arg)
{
    struct energy *e = arg;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&e->lock);
    while (!e->stopping) {
        next = later(next);
        while (!e->stopping && pthread_cond_timedwait(&e->stop, &e->lock, &next) != ETIMEDOUT) {
        }
        if (!e->stopping) {
            look(e);
        }
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

enum vov_status energy_begin(struct energy *e, struct err *err)
{
    e->stopping = false;
    look(e); /* counters start from here; what they gained until now belongs to no window */
    forget(e);
    if (e->samples) {
        look_at_gpu(e); /* a window shorter than a period has a sample too */
    }
    e->began = clock_now();
    const int failure = pthread_create(&e->thread, NULL, watch, e);
    if (failure != 0) {
        return err_set(err, VOV_ENOMEM, "cannot start the thread that reads energy counters");
    }
    return VOV_OK;
}

static double joules_of(const struct energy *e, enum energy_unit unit, double seconds)
{
    if (!e->part[unit].readable) {
        return (double)NAN;
    }
    return unit == ENERGY_GPU && e->samples ? e->watts / (double)e->ticks[unit] * seconds
                                            : e->joules[unit];
}

void energy_end(struct energy *e, struct energy_window *w)
{
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->stop);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    look_at_cpu(e);
    if (!e->samples) {
        look_at_gpu(e);
    }
    w->seconds = clock_now() - e->began;
    for (int i = 0; i < ENERGY_UNITS; i++) {
        w->joules[i] = joules_of(e, (enum energy_unit)i, w->seconds);
        w->ticks[i] = e->ticks[i];
    }
}
