/*
 * record.c - passes as CUDA graphs: what is called on the stream between record and recorded is
 * captured, and one launch repeats all of it. Nothing in between may wait, allocate or read on the
 * host; plans and workspaces were made the time before.
 */
#include "cuda.h"

static bool cuda_record(struct backend *be)
{
    struct cuda *cu = cuda_of(be);

    return be->failed.code == VOV_OK && cuda_here(cu) &&
           cuda_ok(cu, cudaStreamBeginCapture(cu->stream, cudaStreamCaptureModeThreadLocal),
                   "cudaStreamBeginCapture");
}

/* Ends the capture in any case: a stream that captures can do nothing else. */
static void *cuda_recorded(struct backend *be)
{
    struct cuda *cu = cuda_of(be);
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;

    if (cuda_ok(cu, cudaStreamEndCapture(cu->stream, &graph), "cudaStreamEndCapture") &&
        be->failed.code == VOV_OK) {
        cuda_ok(cu, cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
    }
    if (graph != NULL) {
        cuda_ok(cu, cudaGraphDestroy(graph), "cudaGraphDestroy");
    }
    return exec;
}

static void cuda_replay(struct backend *be, void *recording)
{
    struct cuda *cu = cuda_of(be);

    if (be->failed.code == VOV_OK && cuda_here(cu)) {
        cuda_ok(cu, cudaGraphLaunch(recording, cu->stream), "cudaGraphLaunch");
    }
}

/* It may still run. */
static void cuda_forget(struct backend *be, void *recording)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaStreamSynchronize(cu->stream), "cudaStreamSynchronize");
    cuda_ok(cu, cudaGraphExecDestroy(recording), "cudaGraphExecDestroy");
}

void cuda_record_entries(struct backend_ops *ops)
{
    ops->record = cuda_record;
    ops->recorded = cuda_recorded;
    ops->replay = cuda_replay;
    ops->forget = cuda_forget;
}
