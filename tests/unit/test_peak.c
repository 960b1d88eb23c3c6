/*
 * test_peak.c - what the machine can do at most: the chains of multiply-adds compute what they say,
 * and the figures are those of a machine.
 */
#include "cpu/cpu.h"
#include "run.h"

#include <math.h>

START_TEST(chains)
{
    struct backend *be;
    real io[64];
    ck_assert_int_eq(backend_open("cpu", 1, &be, NULL), VOV_OK);
    const struct cpu *cpu = be->ctx;
    for (int i = 0; i < 64; i++) {
        io[i] = (real)0.5;
    }
    const double each = cpu->kernels->multiply_adds(1, io);
    double sum = 0; /* chain i begins at 0.5 + i and goes to half of that and 0.5 */
    for (int i = 0; i < 12; i++) {
        sum += (0.5 + i) * 0.5 + 0.5;
    }
    const int lanes = (int)(each / 12);
    ck_assert_int_ge(lanes, 2);
    for (int i = 0; i < 64; i++) {
        ck_assert_double_eq_tol((double)io[i], i < lanes ? sum : 0.5, 1e-5);
    }
    ck_assert(cpu->kernels->multiply_adds(1000, io) == 1000 * each);
    ck_assert(fabs((double)io[0] - 12) < 1e-4); /* every chain has come to 1 */
    backend_close(be);
}
END_TEST

START_TEST(figures)
{
    struct backend *be;
    ck_assert_int_eq(backend_open("cpu", 1, &be, NULL), VOV_OK);
    const struct backend_peak p = be->ops->peak(be);
    ck_assert_msg(p.flops > 1e8 && p.flops < 1e13, "%g", p.flops);
    ck_assert_msg(p.bytes > 1e8 && p.bytes < 1e13, "%g", p.bytes);
    backend_close(be);
    ck_assert_int_eq(backend_open("plain", 1, &be, NULL), VOV_OK);
    ck_assert(be->ops->peak(be).flops == 0); /* not known */
    backend_close(be);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {chains, figures, NULL};
    return run_tests("peak", tests);
}
