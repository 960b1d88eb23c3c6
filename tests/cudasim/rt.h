/*
 * rt.h - what the files of the runtime API share.
 */
#ifndef VOV_TESTS_CUDASIM_RT_H
#define VOV_TESTS_CUDASIM_RT_H

#include "sim.h"

#include <cuda_runtime_api.h>

/* Opens a call that does nothing but give `error` if it was chosen to fail. */
#define RT_CALL(error)                                                                             \
    SIM_CALL();                                                                                    \
    if (sim_fails) {                                                                               \
        return rt_result(error);                                                                   \
    }

/* Keeps an error for cudaGetLastError, and gives it back. */
cudaError_t rt_result(cudaError_t error);

/* Copies of any kind. The kind must fit the two pointers. */
struct rt_copy {
    void *to;
    const void *from;
    size_t to_pitch, from_pitch, width, height;
};
cudaError_t rt_copy(const char *who, struct rt_copy c, enum cudaMemcpyKind kind,
                    cudaStream_t stream, bool async);

#endif
