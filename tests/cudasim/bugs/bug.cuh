/*
 * bug.cuh - programs that plant bugs: `program NAME` runs one, `program NAME fixed` the same
 * without its mistake. A comment "BUG name: text" stands before the line that must be reported:
 * bugs.sh demands a report of that file and line that holds the text, and none of the fixed one.
 */
#ifndef VOV_TESTS_CUDASIM_BUG_CUH
#define VOV_TESTS_CUDASIM_BUG_CUH

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda_runtime.h>

struct bug {
    const char *name;
    void (*run)(int planted); /* 1, or 0 for the fixed one */
};

/* Ends the program if a call failed that should not. */
#define CALL(call)                                                                                 \
    do {                                                                                           \
        const cudaError_t error_ = (call);                                                         \
        if (error_ != cudaSuccess) {                                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(error_));        \
            exit(2);                                                                               \
        }                                                                                          \
    } while (0)

/* n elements of device memory, zeroed. */
template <class T> T *zeros(size_t n)
{
    T *p;
    CALL(cudaMalloc(&p, n * sizeof(T)));
    CALL(cudaMemset(p, 0, n * sizeof(T)));
    return p;
}

/* Waits for all work and frees p. */
inline void finish(void *p)
{
    CALL(cudaGetLastError());
    CALL(cudaDeviceSynchronize());
    CALL(cudaFree(p));
}

inline int run_bug(int argc, char **argv, const bug *bugs, size_t count)
{
    for (size_t i = 0; argc > 1 && i < count; i++) {
        if (strcmp(bugs[i].name, argv[1]) == 0) {
            bugs[i].run(argc < 3 || strcmp(argv[2], "fixed") != 0);
            return 0;
        }
    }
    fprintf(stderr, "no such bug\n");
    return 2;
}

#define BUGS(...)                                                                                  \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        static const bug bugs[] = {__VA_ARGS__};                                                   \
        return run_bug(argc, argv, bugs, sizeof bugs / sizeof *bugs);                              \
    }

#endif
