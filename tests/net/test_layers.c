/*
 * test_layers.c - the time of each layer of a small net: the steps of a run make up the run, the
 * border between backbone and head, medians, and that nobody watches afterwards.
 */
#include "base/clock.h"
#include "meter/layers.h"
#include "model/model.h"
#include "unit/run.h"

#include <math.h>
#include <string.h>

static const char text[] = "[net]\nwidth=32\nheight=32\nclasses=3\nbatch=2\n"
                           "[convolutional]\nname=stem\nfilters=4\nsize=1\nactivation=relu\n"
                           "[osa]\nname=body\nlayers=2\nwidth=8\nout=16\n"
                           "[global_avgpool]\n[connected]\nactivation=linear\n[softmax]\n";

static struct backend *be;
static struct model m;

static void open_net(bool training)
{
    const struct model_options opt = {.training = training, .batch = 2};
    struct err_list errs = {0};
    struct err err = {0};
    ck_assert_int_eq(backend_open("cpu", 1, &be, &err), VOV_OK);
    ck_assert_int_eq(model_build_text("net", text, strlen(text), &opt, &m, &errs), VOV_OK);
    ck_assert_msg(model_start(&m, be, 1, &err) == VOV_OK, "%s", err.msg);
}

static void close_net(void)
{
    model_close(&m);
    backend_close(be);
}

START_TEST(steps_make_up_a_run)
{
    struct layers l;
    real in[2 * 3 * 32 * 32] = {0};
    open_net(false);
    ck_assert_int_eq(layers_open(&l, &m.exec, 0, 3, NULL), VOV_OK);
    for (int run = 0; run < 5; run++) {
        exec_set(&m.exec, m.input, in);
        const double start = clock_now();
        layers_begin(&l);
        ck_assert_int_eq(exec_forward(&m.exec, 0, NULL), VOV_OK);
        const double whole = clock_now() - start;
        const double sum = layers_forward_seconds(&l, 0, m.graph.n_nodes);
        ck_assert_msg(sum > 0 && sum <= whole, "%g of %g", sum, whole);
        layers_keep(&l);
    }
    ck_assert_int_eq(l.n_kept, 3);

    const int border = model_head_node(&m);
    ck_assert_str_eq(m.graph.nodes[border]->type->name, "connected");
    ck_assert_str_eq(m.graph.nodes[border - 1]->type->name, "global_avgpool");
    const double body = layers_forward_seconds(&l, 0, border);
    const double head = layers_forward_seconds(&l, border, m.graph.n_nodes);
    ck_assert(body > 0 && head > 0);
    ck_assert_double_eq_tol(body + head, layers_forward_seconds(&l, 0, m.graph.n_nodes), 1e-12);

    struct layer_time times[64];
    ck_assert_int_lt(m.graph.n_nodes, 64);
    ck_assert_int_eq(layers_medians(&l, times, NULL), VOV_OK);
    for (int i = 0; i < m.graph.n_nodes; i++) {
        double least = HUGE_VAL, most = 0;
        for (int run = 0; run < 3; run++) { /* inference: step i runs node i */
            least = fmin(least, (double)l.kept[run * m.exec.plan.n_steps + i]);
            most = fmax(most, (double)l.kept[run * m.exec.plan.n_steps + i]);
        }
        ck_assert(times[i].forward >= least && times[i].forward <= most);
        ck_assert(times[i].backward == 0);
    }
    layers_close(&l);
    ck_assert(m.exec.watch.fn == NULL);
    ck_assert_int_eq(exec_forward(&m.exec, 0, NULL), VOV_OK);
    close_net();
}
END_TEST

START_TEST(both_ways)
{
    struct layers l;
    real in[2 * 3 * 32 * 32] = {0}, label[2] = {0, 1};
    struct layer_time times[64];
    open_net(true);
    ck_assert_int_eq(layers_open(&l, &m.exec, 0, 1, NULL), VOV_OK);
    exec_set(&m.exec, m.input, in);
    exec_set(&m.exec, m.head.truth, label);
    layers_begin(&l);
    ck_assert_int_eq(exec_forward(&m.exec, 0, NULL), VOV_OK);
    layers_begin(&l);
    ck_assert_int_eq(exec_backward(&m.exec, 0, NULL), VOV_OK);
    layers_keep(&l);
    ck_assert_int_eq(layers_medians(&l, times, NULL), VOV_OK);
    int n_conv = 0;
    for (int i = 0; i < m.graph.n_nodes; i++) {
        if (strcmp(m.graph.nodes[i]->type->name, "convolutional") == 0) {
            ck_assert(times[i].forward > 0 && times[i].backward > 0);
            n_conv++;
        }
    }
    ck_assert_int_eq(n_conv, 4);
    layers_close(&l);
    close_net();
}
END_TEST

START_TEST(bytes)
{
    open_net(false);
    for (int i = 0; i < m.graph.n_nodes; i++) {
        const struct node *n = m.graph.nodes[i];
        if (strcmp(n->type->name, "concat") == 0) {
            ck_assert_uint_eq(layer_bytes(n), 0); /* its inputs lie in their places */
        } else if (strcmp(n->name, "body/conv1") == 0) {
            const size_t numbers = 2 * 4 * 1024 + 2 * 8 * 1024 + 8 * 4 * 9 + 8;
            ck_assert_uint_eq(layer_bytes(n), numbers * sizeof(real));
        }
    }
    ck_assert_ptr_nonnull(graph_find(&m.graph, "body/conv1"));
    ck_assert_ptr_nonnull(graph_find(&m.graph, "body/concat"));
    close_net();
}
END_TEST

/* Algorithms have a word on every backend. */
START_TEST(algorithms)
{
    open_net(false);
    const struct node *n = graph_find(&m.graph, "body/conv1");
    const char *word = n->type->algorithm(n, be);
    ck_assert(word != NULL && word[0] != '\0');
    close_net();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {steps_make_up_a_run, both_ways, bytes, algorithms, NULL};
    return run_tests("layers", tests);
}
