/*
 * gpus.h - GPUs as cuDNN wants them described to plan for them where there is none: figures of
 * NVIDIA's data sheets and programming guide. The names of the members are cuDNN 9's own, learned
 * from its error texts; a machine with the GPU can print the true ones
 * (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION).
 */
#ifndef VOV_TEST_CUDA_GPUS_H
#define VOV_TEST_CUDA_GPUS_H

#include <stdio.h>

struct gpu_sheet {
    const char *name, *full_name;
    int architecture; /* 750 is 7.5 */
    int multiprocessors, shared_optin, shared_reserved;
    int blocks, threads; /* of a multiprocessor */
    long long memory;
    int clock_khz, memory_khz, l2;
};

static const struct gpu_sheet gpu_sheets[] = {
    {"t4", "Tesla T4", 750, 40, 65536, 0, 16, 1024, 15843721216, 1590000, 5001000, 4 << 20},
    {"a100", "NVIDIA A100-SXM4-80GB", 800, 108, 166912, 1024, 32, 2048, 85000000000, 1410000,
     1593000, 40 << 20},
    {"rtx3090", "NVIDIA GeForce RTX 3090", 860, 82, 101376, 1024, 16, 1536, 25000000000, 1695000,
     9751000, 6 << 20},
    {"rtx4090", "NVIDIA GeForce RTX 4090", 890, 128, 101376, 1024, 24, 1536, 25000000000, 2520000,
     10501000, 72 << 20},
    {"h100", "NVIDIA H100 80GB HBM3", 900, 132, 232448, 1024, 32, 2048, 85000000000, 1980000,
     2619000, 50 << 20},
    {"b200", "NVIDIA B200", 1000, 148, 232448, 1024, 32, 2048, 190000000000, 1965000, 3996000,
     126 << 20},
    {"rtx5090", "NVIDIA GeForce RTX 5090", 1200, 170, 101376, 1024, 24, 1536, 34000000000, 2407000,
     14001000, 96 << 20},
};
enum { GPU_SHEETS = sizeof gpu_sheets / sizeof *gpu_sheets };

static inline void gpu_json(const struct gpu_sheet *g, char *text, size_t size)
{
    snprintf(
        text, size,
        "{\"maxGridSize\": [2147483647, 65535, 65535], \"maxBlockSize\": [1024, 1024, 64], "
        "\"regsPerBlock\": 65536, \"multiProcessorCount\": %d, \"warpSize\": 32, "
        "\"maxSharedMemoryPerBlock\": 49152, \"maxSharedMemoryPerBlockOptin\": %d, "
        "\"reservedSharedMemoryPerBlock\": %d, \"maxRegistersPerSM\": 65536, "
        "\"maxCtasPerSM\": %d, \"maxThreadsPerBlock\": 1024, \"maxThreadsPerSM\": %d, "
        "\"pciDeviceId\": 0, \"isTccDriver\": 0, \"supportCoopLaunch\": 1, "
        "\"totalGlobalMem\": %lld, \"smClockRateKHz\": %d, \"memClockRateKHz\": %d, "
        "\"l2CacheSize\": %d, \"deviceName\": \"%s\", \"deviceVer\": %d, \"driverVer\": 13000, "
        "\"cudaDeviceId\": 0}",
        g->multiprocessors, g->shared_optin, g->shared_reserved, g->blocks, g->threads, g->memory,
        g->clock_khz, g->memory_khz, g->l2, g->full_name, g->architecture);
}

#endif
