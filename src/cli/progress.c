/*
 * progress.c - epoch, losses, speed, time to go, memory.
 */
#include "progress.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/usage.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const double live_seconds = 0.2, plain_seconds = 10;

static void put_time(struct buf *b, double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600) {
        buf_printf(b, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    } else {
        buf_printf(b, "%ld:%02ld", s / 60, s % 60);
    }
}

static void put_line(struct progress *p, const struct trainer *t, struct buf *b)
{
    const long per_epoch = t->schedule.per_epoch, at = t->state.iteration;
    const long done = at - p->session_first;
    const double n = p->n > 0 ? (double)p->n : 1;
    const double speed = done > 0 && p->busy > 0 ? (double)done / p->busy : 0;
    const double epochs = round(100 * (double)t->schedule.total / (double)per_epoch) / 100;
    buf_printf(b, "epoch %.2f/%.9g  iteration %ld/%ld  loss %.3f", (double)at / (double)per_epoch,
               epochs, at, t->schedule.total, p->loss / n);
    for (int i = 0; i < t->n_parts; i++) {
        buf_printf(b, "%s%s %.3f", i == 0 ? " (" : ", ", t->part_name[i], p->part[i] / n);
    }
    buf_printf(b, "%s  rate %.3g  %.1f img/s  to go ", t->n_parts > 0 ? ")" : "", t->rate,
               speed * t->model->net.batch);
    if (speed > 0) {
        put_time(b, (double)(t->schedule.total - at) / speed);
    } else {
        buf_puts(b, "?");
    }
    buf_printf(b, "  %.0f MB", (double)usage_peak_bytes() / 1e6);
}

static void print(struct progress *p, const struct trainer *t)
{
    struct buf b = {0};
    put_line(p, t, &b);
    if (b.p != NULL) {
        printf(p->live ? "\r%s\033[K" : "%s\n", b.p);
        fflush(stdout);
    }
    buf_free(&b);
    p->printed = clock_now();
}

static void forget(struct progress *p)
{
    p->n = 0;
    p->loss = 0;
    memset(p->part, 0, sizeof p->part);
}

static enum vov_status start(void *user, struct trainer *t, struct err *err)
{
    struct progress *p = user;
    (void)err;
    p->session_first = t->state.iteration;
    p->printed = p->step_began = clock_now();
    return VOV_OK;
}

static enum vov_status step(void *user, struct trainer *t, struct err *err)
{
    struct progress *p = user;
    const double now = clock_now();
    (void)err;
    p->busy += now - p->step_began;
    p->step_began = now;
    p->n++;
    p->loss += t->loss;
    for (int i = 0; i < t->n_parts; i++) {
        p->part[i] += t->part[i];
    }
    const bool first = t->state.iteration == p->session_first + 1;
    if (p->quiet || (!first && now - p->printed < (p->live ? live_seconds : plain_seconds))) {
        return VOV_OK;
    }
    print(p, t);
    if (!p->live) {
        forget(p);
    }
    return VOV_OK;
}

static enum vov_status epoch(void *user, struct trainer *t, struct err *err)
{
    struct progress *p = user;
    (void)err;
    if (!p->quiet && p->n > 0) {
        print(p, t);
        progress_pause(p);
    }
    forget(p);
    return VOV_OK;
}

void progress_hook(struct progress *p, bool quiet, struct hook *h)
{
    *p = (struct progress){.quiet = quiet, .live = isatty(STDOUT_FILENO) != 0};
    *h = (struct hook){.start = start, .step = step, .epoch = epoch, .user = p};
}

void progress_pause(struct progress *p)
{
    if (p->live && !p->quiet) {
        printf("\n");
        fflush(stdout);
    }
}

void progress_go_on(struct progress *p)
{
    p->step_began = clock_now();
}
