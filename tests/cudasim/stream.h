/*
 * stream.h - the queues of the simulated GPU.
 *
 * Work that is put on a stream does not run: it runs when somebody waits for it, and then only that
 * stream's, and what it waits for by events. That is the latest that CUDA allows, so a program that
 * reads a result without waiting, or forgets an event between two streams, sees old data every
 * time. A captured stream writes its work into a graph instead; a launch of the graph puts it on
 * queues again, one for each branch, with the same waits between them.
 */
#ifndef VOV_TESTS_CUDASIM_STREAM_H
#define VOV_TESTS_CUDASIM_STREAM_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void stream_work(void *data);

struct stream;
struct graph;

/* A place in a stream: its work up to and with number `last`. */
struct stream_mark {
    uint64_t stream, last;
    struct graph *graph; /* where it was recorded, if that was a capture */
    size_t node;
};

/* The stream of a handle; NULL and a report if there is none. 0 and the two special handles are the
 * legacy stream.
 */
struct stream *stream_get(cudaStream_t handle);
cudaStream_t stream_new(bool blocking); /* of the thread's device */
void stream_free(struct stream *s);

/* Whose stream it is; the legacy one is the thread's device's. */
int stream_device(const struct stream *s);

/* Puts work(data) on the stream; the `bytes` of data are copied. */
cudaError_t stream_push(cudaStream_t handle, stream_work *work, const void *data, size_t bytes);

/* Runs what the stream holds; what all hold; what those of a device do. */
void stream_drive(struct stream *s);
void stream_drive_all(void);
void stream_drive_device(int device);
bool stream_is_idle(const struct stream *s);

/* The mark of what the stream holds now; work that ends once `work` of the mark is done; and the
 * waiting of a stream and of the host for it.
 */
cudaError_t stream_record(struct stream *s, stream_work *work, const void *data, size_t bytes,
                          struct stream_mark *mark);
cudaError_t stream_wait(struct stream *s, const struct stream_mark *mark);
void stream_drive_mark(const struct stream_mark *mark);
bool stream_mark_is_done(const struct stream_mark *mark);

/* True, with a report in the name of the call: a capture is going on that forbids it to this
 * thread. */
bool stream_capture_forbids(const char *who);
bool stream_is_captured(const struct stream *s);

/* Captures, and what became of them. */
cudaError_t graph_begin(struct stream *s, enum cudaStreamCaptureMode mode);
cudaError_t graph_end(struct stream *s, cudaGraph_t *graph);
cudaError_t graph_instantiate(cudaGraphExec_t *exec, cudaGraph_t graph);
cudaError_t graph_update(cudaGraphExec_t exec, cudaGraph_t graph);
cudaError_t graph_launch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t graph_count(cudaGraph_t graph, size_t *nodes);
cudaError_t graph_free(cudaGraph_t graph);
cudaError_t graph_free_exec(cudaGraphExec_t exec);

void stream_report_pending(void);

#endif
