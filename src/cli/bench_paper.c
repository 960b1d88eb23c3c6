/*
 * bench_paper.c - Lee, Hwang, Lee, Bae, Park 2019: "An Energy and GPU-Computation Efficient
 * Backbone Network for Real-Time Object Detection", arXiv 1904.09730v1: the cost columns of Table 2
 * (lightweight detectors), Table 3 (the 1x1 bottleneck), Table 4 (RefineDet320), Table 5 (Mask
 * R-CNN, milliseconds only) and Table 7 (RefineDet512, frames each second only).
 */
#include "bench_paper.h"

#include <stddef.h>
#include <string.h>

const char paper_title[] = "Lee et al. 2019, arXiv 1904.09730";
const char paper_machine[] = "TITAN X Pascal, CUDA 9.2, cuDNN 7.3, a batch of 1; memory with all "
                             "activations; energy from the card's power, asked each 100 ms";

static const struct paper_row rows[] = {
    {"ssd300-mobilenet", "Table 2", 300, 300, 1.1, 5.7, 766, 37, 42, 2.3},
    {"pelee304", "Table 2", 304, 304, 1.2, 5.4, 1104, 35, 43, 2.4},
    {"dsod300-densenet67", "Table 2", 300, 300, 5.3, 5.9, 1294, 35, 189, 3.7},
    {"dsod300-vovnet27s", "Table 2", 300, 300, 5.6, 5.9, 825, 71, 400, 0.9},
    {"dsod300-vovnet27s-bottleneck", "Table 3", 300, 300, 4.6, 4.8, 895, 1000.0 / 18, 0, 0},
    {"refinedet320-resnet50", "Table 4", 320, 320, 25.43, 63.46, 2229, 23.2, 591.3, 5.3},
    {"refinedet320-densenet201", "Table 4", 320, 320, 24.65, 56.13, 3498, 12.0, 296.9, 9.9},
    {"refinedet320-vovnet39", "Table 4", 320, 320, 32.6, 56.28, 2199, 25.0, 815.0, 4.8},
    {"refinedet320-resnet101", "Table 4", 320, 320, 33.02, 82.45, 3013, 17.5, 579.2, 7.5},
    {"refinedet320-densenet161", "Table 4", 320, 320, 32.74, 66.76, 3628, 12.8, 419.7, 10.0},
    {"refinedet320-vovnet57", "Table 4", 320, 320, 36.45, 70.32, 2511, 21.2, 775.5, 5.9},
    {"refinedet512-resnet50", "Table 7", 512, 512, 0, 0, 0, 15.6, 0, 0},
    {"refinedet512-resnet101", "Table 7", 512, 512, 0, 0, 0, 12.3, 0, 0},
    {"refinedet512-vovnet39", "Table 7", 512, 512, 0, 0, 0, 16.6, 0, 0},
    {"refinedet512-vovnet57", "Table 7", 512, 512, 0, 0, 0, 14.9, 0, 0},
    {"maskrcnn-resnet50-gn", "Table 5", 1344, 800, 0, 0, 0, 1000.0 / 157, 0, 0},
    {"maskrcnn-resnet101-gn", "Table 5", 1344, 800, 0, 0, 0, 1000.0 / 185, 0, 0},
    {"maskrcnn-vovnet39-gn", "Table 5", 1344, 800, 0, 0, 0, 1000.0 / 152, 0, 0},
    {"maskrcnn-vovnet57-gn", "Table 5", 1344, 800, 0, 0, 0, 1000.0 / 159, 0, 0},
};

const struct paper_row *paper_find(const char *config)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].config, config) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}
