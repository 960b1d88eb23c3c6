/*
 * cusim.h - what a test may ask of the simulated GPU. A program that runs with the simulator in the
 * place of the CUDA libraries needs none of it: reports go to stderr and turn the exit code into
 * CUSIM_EXIT. docs/cuda-simulator.md tells about the environment variables.
 */
#ifndef VOV_TESTS_CUDASIM_CUSIM_H
#define VOV_TESTS_CUDASIM_CUSIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The exit code of a program that a checker reported, and of one that cannot be simulated. */
#define CUSIM_EXIT 99
#define CUSIM_EXIT_UNFIT 98

/* In which order the blocks of a grid and the warps of a block run. */
enum cusim_order { CUSIM_FORWARD, CUSIM_REVERSED, CUSIM_RANDOM };
void cusim_set_order(enum cusim_order order, uint64_t seed);

/* 10 times the compute capability that the devices say they have; 80 at first. Kernels run whatever
 * they were compiled for.
 */
void cusim_set_compute(int compute);

/* How many calls of the three libraries were made so far. */
long cusim_calls(void);

/* The name of the i-th call, from 0 on. */
const char *cusim_call_name(long i);

/* Makes the call that comes after `calls` further ones fail, once; a negative number: none. */
void cusim_fail_after(long calls);

/* From how many places of the program calls were made so far; and makes the next call from the i-th
 * of them fail, once. Places are numbered by their first call.
 */
long cusim_places(void);
void cusim_fail_place(long i);

/* The name of the call that was made to fail; NULL if none was yet. */
const char *cusim_failed_call(void);

/* How many reports the checkers made; cusim_forget() takes them back, for tests that plant bugs. */
int cusim_reports(void);
void cusim_forget(void);

/* How many allocations, pinned buffers, streams, events, graphs and descriptors are alive. */
size_t cusim_alive(void);

#ifdef __cplusplus
}
#endif

#endif
