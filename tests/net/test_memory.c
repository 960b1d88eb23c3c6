/*
 * test_memory.c - a plan that does not fit into the memory there is gets refused before anything is
 * taken, and what the message says would fit does fit. The memory there is: a number that the test
 * gives to the backend.
 */
#include "nets.h"

#include "unit/run.h"

static size_t there;

static size_t given_bytes(struct backend *be)
{
    (void)be;
    return there;
}

/* The cpu backend, with `there` for its memory. */
static struct backend *small_backend(struct backend_ops *ops)
{
    struct backend *be;
    struct err err = {0};
    ck_assert(backend_open(NULL, 1, &be, &err) == VOV_OK);
    *ops = *be->ops;
    ops->free_bytes = given_bytes;
    be->ops = ops;
    return be;
}

static const char sections[] =
    "[stem]\nchannels=4,8\nstrides=2,1\n[osa]\nlayers=3\nwidth=8\nout=16\n"
    "[global_avgpool]\n[connected]\noutput=3\nactivation=linear\n[softmax]\n";
static const struct recipe osa = {"osa", NULL, sections, 0};

/* Opens the net for training; the bytes that it takes go to *need. */
static enum vov_status open_net(struct backend *be, int batch, size_t *need, struct err *err)
{
    const struct model_options how = {.training = true, .width = 64, .height = 64};
    const struct plan_options opt = {.again = true, .reuse = true};
    struct net net;
    net_build(&osa, batch, &how, &net);
    const enum vov_status status = exec_open(&net.m.graph, be, &opt, &net.m.exec, err);
    if (status == VOV_OK) {
        const struct plan *p = &net.m.exec.plan;
        *need = p->arena_bytes + p->scratch_bytes + p->pack_bytes + params_bytes(&net.m.graph);
        net.m.started = true;
    }
    model_close(&net.m);
    return status;
}

static size_t need_of(struct backend *be, int batch)
{
    struct err err = {0};
    size_t need = 0;
    there = SIZE_MAX;
    ck_assert_msg(open_net(be, batch, &need, &err) == VOV_OK, "%s", err.msg);
    return need;
}

START_TEST(to_the_byte)
{
    struct backend_ops ops;
    struct backend *be = small_backend(&ops);
    struct err err = {0};
    const size_t need = need_of(be, 8);
    size_t taken;
    there = need;
    ck_assert_msg(open_net(be, 8, &taken, &err) == VOV_OK, "%s", err.msg);
    there = need - 1;
    ck_assert(open_net(be, 8, &taken, &err) == VOV_ENOMEM);
    ck_assert_msg(strstr(err.msg, "a batch of 8 needs") != NULL, "%s", err.msg);
    there = 0; /* unknown: no reason to refuse */
    err = (struct err){0};
    ck_assert_msg(open_net(be, 8, &taken, &err) == VOV_OK, "%s", err.msg);
    backend_close(be);
}
END_TEST

/* Whatever memory there is: the batch that the message names fits. */
START_TEST(what_would_fit_fits)
{
    struct backend_ops ops;
    struct backend *be = small_backend(&ops);
    const size_t one = need_of(be, 1), all = need_of(be, 32);
    int named = 0;
    for (size_t bytes = one; bytes < all; bytes += (all - one) / 40 + 1) {
        struct err err = {0}, second = {0};
        size_t taken;
        int fits = 0;
        there = bytes;
        ck_assert(open_net(be, 32, &taken, &err) == VOV_ENOMEM);
        const char *text = strstr(err.msg, " at a time would fit");
        if (text != NULL) {
            while (text > err.msg && text[-1] != ' ') {
                text--;
            }
            fits = (int)strtol(text, NULL, 10);
            ck_assert_msg(open_net(be, fits, &taken, &second) == VOV_OK, "%s; but %s", err.msg,
                          second.msg);
            named += fits;
        } else {
            ck_assert_msg(strstr(err.msg, "one at a time or a smaller input") != NULL, "%s",
                          err.msg);
            ck_assert_msg(bytes < all / 4, "with %zu bytes of %zu: %s", bytes, all, err.msg);
        }
    }
    ck_assert_int_gt(named, 40 * 8);
    backend_close(be);
}
END_TEST

START_TEST(not_even_one)
{
    struct backend_ops ops;
    struct backend *be = small_backend(&ops);
    struct err err = {0};
    const size_t need = need_of(be, 1);
    size_t taken;
    for (there = 1; there < need; there += need / 10) {
        err = (struct err){0};
        ck_assert(open_net(be, 1, &taken, &err) == VOV_ENOMEM);
        ck_assert_msg(strstr(err.msg, "a smaller input would fit") != NULL, "%s", err.msg);
    }
    backend_close(be);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {to_the_byte, what_would_fit_fits, not_even_one, NULL};
    return run_tests("memory", tests);
}
