/*
 * stream_impl.h - the inside of streams, for stream.c and graph.c.
 */
#ifndef VOV_TESTS_CUDASIM_STREAM_IMPL_H
#define VOV_TESTS_CUDASIM_STREAM_IMPL_H

#include "sim.h"
#include "stream.h"

struct stream_item {
    struct stream_item *next;
    uint64_t number;
    stream_work *work;
    sim_site site; /* where it was put here */
    max_align_t data[];
};

struct stream {
    uint64_t id;
    int device;
    struct stream *next; /* of all streams */
    struct stream_item *first, **end;
    uint64_t last; /* number of the newest item ever put here */
    bool blocking; /* waits for the legacy stream, and it for this one */
    struct graph *capture;
    size_t branch; /* of the capture */
};

/* A stream that no handle names: the branches of a graph run on such. */
void stream_open(struct stream *s, bool blocking);
void stream_close(struct stream *s);

/* Puts work on the queue itself, even while the stream is captured. */
void stream_queue(struct stream *s, stream_work *work, const void *data, size_t bytes);
void stream_queue_wait(struct stream *s, const struct stream_mark *mark);

/* Calls f with each stream of a capture. */
void stream_each_captured(const struct graph *graph, void (*f)(struct stream *s));

/* Adds to the stream's capture. */
void graph_add_work(struct stream *s, stream_work *work, const void *data, size_t bytes);
void graph_add_record(struct stream *s, struct stream_mark *mark);
cudaError_t graph_add_wait(struct stream *s, const struct stream_mark *mark);

#endif
