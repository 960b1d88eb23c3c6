/*
 * test_detector_cost.c - the detectors of cfg/detect cost what the paper's tables say: parameters
 * to the last one, multiply-adds and batch norm elements to the digits printed; and have as many
 * priors as the published nets.
 */
#include "model/model.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* priors: that the heads predict for. millions: of parameters. giga and giga_bn: thousands of
 * millions of multiply-adds, without and with batch norm elements; 0: not known. All as published;
 * costs.h has every figure to the last digit. */
static const struct row {
    const char *cfg;
    long long params;
    double millions, giga, giga_bn;
    int priors;
} rows[] = {
    {"cfg/detect/refinedet320-resnet50.cfg", 63459460, 63.459, 25.399, 25.434, 6375},
    {"cfg/detect/refinedet320-resnet101.cfg", 82451588, 82.452, 32.975, 33.020, 6375},
    {"cfg/detect/refinedet320-vovnet39.cfg", 56283844, 56.284, 32.626, 32.655, 6375},
    {"cfg/detect/refinedet320-vovnet57.cfg", 70323844, 70.324, 36.418, 36.449, 6375},
    {"cfg/detect/refinedet320-densenet201.cfg", 56127428, 56.127, 24.585, 24.648, 6375},
    {"cfg/detect/refinedet320-densenet161.cfg", 66755204, 66.755, 32.668, 32.742, 6375},
    {"cfg/detect/refinedet512-vovnet39.cfg", 56283844, 56.284, 83.523, 0, 16320},
    {"cfg/detect/refinedet512-vovnet57.cfg", 70323844, 70.324, 93.230, 0, 16320},
    {"cfg/detect/refinedet512-resnet50.cfg", 63459460, 63.459, 65.022, 0, 16320},
    {"cfg/detect/refinedet512-resnet101.cfg", 82451588, 82.452, 84.416, 0, 16320},
    {"cfg/detect/refinedet512-densenet201.cfg", 56127428, 56.127, 0, 0, 16320},
    {"cfg/detect/refinedet512-densenet161.cfg", 66755204, 66.755, 0, 0, 16320},
    {"cfg/detect/refinedet320-vovnet27s.cfg", 33264836, 33.265, 20.426, 0, 6375},
    {"cfg/detect/dsod300-ds64-192-48-1.cfg", 14715804, 14.716, 15.080, 15.123, 8744},
    {"cfg/detect/dsod300-densenet67.cfg", 5833372, 5.833, 5.298, 5.321, 8744},
    {"cfg/detect/dsod300-vovnet27s.cfg", 5971932, 5.972, 5.663, 5.673, 8108},
    {"cfg/detect/dsod300-vovnet27s-bottleneck.cfg", 4871612, 4.872, 4.644, 4.655, 8108},
    {"cfg/detect/ssd300-mobilenet.cfg", 5796089, 5.796, 1.148, 1.158, 1917},
    {"cfg/detect/pelee304.cfg", 5425892, 5.426, 1.205, 1.211, 5142},
};

/* With an override of the cfg, or NULL. */
static void check_costs(const struct row *row, const char *set)
{
    const struct model_options opt = {.keep_norms = true, .set = &set, .n_set = set != NULL};
    struct err_list errs = {0};
    struct model m;

    const enum vov_status status = model_build(row->cfg, &opt, &m, &errs);
    ck_assert_msg(status == VOV_OK, "%s: %s", row->cfg, errs.item[0].msg);
    const struct op_cost cost = graph_cost(&m.graph);
    const long long params = (long long)params_learnable(&m.graph);
    ck_assert_int_eq(params, row->params);
    ck_assert_msg(fabs((double)params / 1e6 - row->millions) < 0.00051, "%s: %lld parameters",
                  row->cfg, params);
    if (row->giga > 0) {
        ck_assert_msg(fabs((double)cost.madds / 1e9 - row->giga) < 0.00051,
                      "%s: %lld multiply-adds", row->cfg, (long long)cost.madds);
    }
    if (row->giga_bn > 0) {
        ck_assert_msg(fabs((double)(cost.madds + cost.bn) / 1e9 - row->giga_bn) < 0.00051,
                      "%s: %lld with batch norms", row->cfg, (long long)(cost.madds + cost.bn));
    }
    ck_assert_int_eq(m.head.out[0]->shape.c, row->priors);
    model_close(&m);
}

START_TEST(test_costs)
{
    check_costs(&rows[_i], NULL);
}
END_TEST

/* Of Pascal VOC's classes. */
START_TEST(test_voc_costs)
{
    const struct row row = {
        "cfg/detect/refinedet320-vovnet27s.cfg", 26628596, 26.629, 16.901, 0, 6375};

    check_costs(&row, "net.classes=20");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("detector costs");
    TCase *c = tcase_create("cfg/detect");

    tcase_add_loop_test(c, test_costs, 0, (int)(sizeof rows / sizeof rows[0]));
    tcase_add_test(c, test_voc_costs);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
