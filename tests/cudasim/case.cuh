/*
 * case.cuh - what the tests that are written in CUDA share: memory on the device, and comparing.
 */
#ifndef VOV_TESTS_CUDASIM_CASE_CUH
#define VOV_TESTS_CUDASIM_CASE_CUH

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>
#include <vector>

/* Ends the program if a call failed. */
#define CALL(call)                                                                                 \
    do {                                                                                           \
        const cudaError_t error_ = (call);                                                         \
        if (error_ != cudaSuccess) {                                                               \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(error_));      \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* An array on the device, and its values on the host. */
template <class T> struct array {
    std::vector<T> host;
    T *device = nullptr;

    explicit array(size_t n, T value = T()) : host(n, value)
    {
        CALL(cudaMalloc(&device, n * sizeof(T)));
    }
    ~array()
    {
        CALL(cudaFree(device));
    }
    array(const array &) = delete;

    T &operator[](size_t i)
    {
        return host[i];
    }
    T *up()
    {
        CALL(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
        return device;
    }
    void down()
    {
        CALL(cudaGetLastError());
        CALL(cudaMemcpy(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost));
    }
};

static int failures;

/* One comparison: |found - wanted| at most tolerance times the larger of 1 and |wanted|. */
static void check(const char *what, size_t i, double found, double wanted, double tolerance)
{
    const double scale = std::fabs(wanted) > 1 ? std::fabs(wanted) : 1;
    if (std::fabs(found - wanted) <= tolerance * scale || found == wanted) {
        return;
    }
    if (failures++ < 20) {
        printf("%s[%zu]: found %.9g, wanted %.9g\n", what, i, found, wanted);
    }
}

#endif
