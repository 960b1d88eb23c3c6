/*
 * bench_run.c - see bench_run.h. A turn is a quarter of a config's measuring time. Turns of several
 * configs go 1 2 3, 3 2 1, 1 2 3, 3 2 1, so that what changes slowly (heat, other programs) falls
 * on all of them alike.
 */
#include "bench_run.h"

#include "base/clock.h"

#include <math.h>
#include <time.h>

enum { REFILL_RUNS = 2, COOL_SECONDS = 20, COOL_DEGREES = 3 };

static enum vov_status check_stop(const struct bench_run *b, struct err *err)
{
    return *b->stop == 0 ? VOV_OK
                         : err_set(err, VOV_EINTERRUPTED, "interrupted; nothing is reported");
}

static void sleep_briefly(void)
{
    const struct timespec t = {.tv_nsec = 100000000};
    nanosleep(&t, NULL);
}

enum vov_status bench_idle(struct bench_run *b, struct err *err)
{
    const double until = clock_now() + b->how->idle;
    log_put(b->log, LOG_INFO, "idle for %.0f s, to measure the power of the resting machine",
            b->how->idle);
    TRY(energy_begin(b->energy, err));
    while (clock_now() < until && *b->stop == 0) {
        sleep_briefly();
    }
    energy_end(b->energy, &b->idle);
    return check_stop(b, err);
}

enum vov_status bench_warm(struct bench_run *b, int which, struct err *err)
{
    struct bench_turns *t = &b->turns[which];
    const double begin = clock_now();
    do {
        TRY(check_stop(b, err));
        TRY(bench_case_run(t->c, err));
        t->warm_seconds = clock_now() - begin;
        t->warm_settled = t->warm_seconds >= b->how->warm_least &&
                          stats_settled(t->c->seconds[BENCH_TOTAL], t->c->n_runs);
    } while (!t->warm_settled && t->warm_seconds < b->how->warm_most);
    t->warm_runs = t->c->n_runs;
    bench_case_forget(t->c);
    log_put(b->log, LOG_INFO, "%s: %d runs of warm-up in %.1f s", t->c->costs.cfg.path,
            t->warm_runs, t->warm_seconds);
    return VOV_OK;
}

/* Whether a turn that began with run `first`, `passed` seconds ago, has what is its share. */
static bool turn_is_over(const struct bench_protocol *how, int n_runs, double passed)
{
    const bool enough = n_runs >= (how->runs + BENCH_ROUNDS - 1) / BENCH_ROUNDS;
    return n_runs > 0 && passed >= how->least / BENCH_ROUNDS &&
           (enough || passed >= how->most / BENCH_ROUNDS);
}

/* Another config has run in between: caches are filled again, and those runs do not count. */
static enum vov_status refill(struct bench_case *c, struct err *err)
{
    const int n = c->n_runs, kept = c->layers.n_kept;
    for (int i = 0; i < REFILL_RUNS; i++) {
        TRY(bench_case_run(c, err));
    }
    c->n_runs = n;
    c->layers.n_kept = kept;
    return VOV_OK;
}

static void cool_down(const struct bench_run *b, double celsius)
{
    const double until = clock_now() + COOL_SECONDS;
    while (b->how->cool && machine_temperature() > celsius + COOL_DEGREES && clock_now() < until &&
           *b->stop == 0) {
        sleep_briefly();
    }
}

static enum vov_status run_turn(struct bench_run *b, struct bench_turns *t, struct err *err)
{
    const int first = t->c->n_runs;
    const double begin = clock_now();
    do {
        TRY(check_stop(b, err));
        TRY(bench_case_run(t->c, err));
    } while (!turn_is_over(b->how, t->c->n_runs - first, clock_now() - begin));
    return VOV_OK;
}

static enum vov_status take_turn(struct bench_run *b, int which, struct err *err)
{
    struct bench_turns *t = &b->turns[which];
    const int first = t->c->n_runs, w = t->n_windows;
    cool_down(b, b->turns[0].celsius_begin);
    TRY(b->n > 1 ? refill(t->c, err) : VOV_OK);
    const struct moment before = moment_now();
    if (b->energy != NULL) {
        TRY(energy_begin(b->energy, err));
    }
    const enum vov_status status = run_turn(b, t, err);
    if (b->energy != NULL) { /* in any case: its thread has to end */
        energy_end(b->energy, &t->window[w]);
        t->runs[w] = t->c->n_runs - first;
        t->n_windows++;
    }
    const struct moment after = moment_now();
    disturbance_add(&t->disturbance, &before, &after);
    t->celsius_end = machine_temperature();
    return status;
}

enum vov_status bench_measure(struct bench_run *b, struct err *err)
{
    const double celsius = machine_temperature();
    for (int i = 0; i < b->n; i++) {
        b->turns[i].celsius_begin = celsius;
    }
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        log_put(b->log, LOG_INFO, "round %d of %d", round + 1, BENCH_ROUNDS);
        for (int i = 0; i < b->n; i++) {
            TRY(take_turn(b, round % 2 == 0 ? i : b->n - 1 - i, err));
        }
    }
    return VOV_OK;
}
