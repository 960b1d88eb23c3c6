/*
 * graph.c - stream capture and graphs.
 */
#include "stream_impl.h"

#include "handle.h"
#include "sim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum node_kind { NODE_WORK, NODE_RECORD, NODE_WAIT };

struct node {
    enum node_kind kind;
    size_t branch;
    size_t record; /* NODE_WAIT: the node waited for */
    stream_work *work;
    void *data; /* owned */
    size_t bytes;
    sim_site site;
};

struct graph {
    struct node *nodes; /* in the order of the calls, so a node comes after all that it needs */
    size_t count, branches;
    enum cudaStreamCaptureMode mode;
    pthread_t owner; /* began the capture */
    bool ended;
};

struct graph_exec {
    struct graph graph;
    struct stream *branches; /* the first is unused: that branch runs on the stream of the launch */
};

static struct node *add(struct stream *s, enum node_kind kind)
{
    struct graph *g = s->capture;
    g->nodes = sim_grow(g->nodes, g->count, sizeof *g->nodes);
    struct node *n = &g->nodes[g->count++];
    *n = (struct node){.kind = kind, .branch = s->branch, .site = sim_current_site()};
    return n;
}

void graph_add_work(struct stream *s, stream_work *work, const void *data, size_t bytes)
{
    struct node *n = add(s, NODE_WORK);
    n->work = work;
    n->data = sim_alloc(bytes);
    n->bytes = bytes;
    if (bytes > 0) {
        memcpy(n->data, data, bytes);
    }
}

void graph_add_record(struct stream *s, struct stream_mark *mark)
{
    add(s, NODE_RECORD);
    *mark = (struct stream_mark){.graph = s->capture, .node = s->capture->count - 1};
}

cudaError_t graph_add_wait(struct stream *s, const struct stream_mark *mark)
{
    if (!mark->graph || mark->graph->ended || (s->capture && s->capture != mark->graph)) {
        sim_report("a stream waits for an event of which only one side is captured");
        return cudaErrorStreamCaptureIsolation;
    }
    if (!s->capture) {
        s->capture = mark->graph;
        s->branch = s->capture->branches++;
    }
    add(s, NODE_WAIT)->record = mark->node;
    return cudaSuccess;
}

static bool is_mine(const struct graph *g)
{
    return pthread_equal(g->owner, pthread_self());
}

cudaError_t graph_begin(struct stream *s, enum cudaStreamCaptureMode mode)
{
    if (s->capture) {
        sim_report("cudaStreamBeginCapture: the stream is captured already");
        return cudaErrorIllegalState;
    }
    struct graph *g = handle_new("graph", sizeof *g);
    g->branches = 1;
    g->mode = mode;
    g->owner = pthread_self();
    s->capture = g;
    s->branch = 0;
    return cudaSuccess;
}

/* Every branch must end in something that the first one waits for: walks from the end to the start
 * and keeps, for each branch, the last node that is waited for.
 */
static bool is_joined(const struct graph *g)
{
    size_t *joined = sim_alloc(g->branches * sizeof *joined); /* one past that node */
    bool all = true;
    joined[0] = g->count;
    for (size_t i = g->count; i-- > 0 && all;) {
        const struct node *n = &g->nodes[i];
        all = i < joined[n->branch];
        if (all && n->kind == NODE_WAIT) {
            const size_t branch = g->nodes[n->record].branch;
            joined[branch] = joined[branch] > n->record ? joined[branch] : n->record + 1;
        }
    }
    free(joined);
    return all;
}

static void leave(struct stream *s)
{
    s->capture = NULL;
}

cudaError_t graph_end(struct stream *s, cudaGraph_t *graph)
{
    struct graph *g = s->capture;
    if (!g || s->branch != 0) {
        sim_report("cudaStreamEndCapture: the stream did not begin a capture");
        return cudaErrorStreamCaptureUnmatched;
    }
    if (g->mode != cudaStreamCaptureModeRelaxed && !is_mine(g)) {
        sim_report("cudaStreamEndCapture: another thread began the capture");
        return cudaErrorStreamCaptureWrongThread;
    }
    stream_each_captured(g, leave);
    g->ended = true;
    if (!is_joined(g)) {
        sim_report("cudaStreamEndCapture: a stream that joined the capture was not waited for");
        graph_free((cudaGraph_t)g);
        *graph = NULL;
        return cudaErrorStreamCaptureUnjoined;
    }
    *graph = (cudaGraph_t)g;
    return cudaSuccess;
}

/* A capture that is not relaxed binds its own thread; a global one, all of them. */
static void note_strict(void *object, void *found)
{
    const struct graph *g = object;
    if (!g->ended && (g->mode == cudaStreamCaptureModeGlobal ||
                      (g->mode == cudaStreamCaptureModeThreadLocal && is_mine(g)))) {
        *(bool *)found = true;
    }
}

bool stream_capture_forbids(const char *who)
{
    bool strict = false;
    handle_each("graph", note_strict, &strict);
    if (strict) {
        sim_report("%s while a stream is captured", who);
    }
    return strict;
}

static void clear(struct graph *g)
{
    for (size_t i = 0; i < g->count; i++) {
        free(g->nodes[i].data);
    }
    free(g->nodes);
    g->nodes = NULL;
    g->count = 0;
}

static void copy(struct graph *to, const struct graph *from)
{
    *to = (struct graph){.branches = from->branches, .count = from->count, .ended = true};
    size_t room = 1;
    while (room < from->count) {
        room *= 2;
    }
    to->nodes = sim_alloc(room * sizeof *to->nodes);
    for (size_t i = 0; i < from->count; i++) {
        struct node *n = &to->nodes[i];
        *n = from->nodes[i];
        n->data = sim_alloc(n->bytes);
        if (n->bytes > 0) {
            memcpy(n->data, from->nodes[i].data, n->bytes);
        }
    }
}

cudaError_t graph_instantiate(cudaGraphExec_t *exec, cudaGraph_t graph)
{
    const struct graph *g = handle_get("graph", graph);
    if (!g) {
        return cudaErrorInvalidValue;
    }
    struct graph_exec *e = handle_new("graph exec", sizeof *e);
    copy(&e->graph, g);
    e->branches = sim_alloc(g->branches * sizeof *e->branches);
    for (size_t i = 1; i < g->branches; i++) {
        stream_open(&e->branches[i], false);
    }
    *exec = (cudaGraphExec_t)e;
    return cudaSuccess;
}

/* The new graph must have the shape of the old one. */
cudaError_t graph_update(cudaGraphExec_t exec, cudaGraph_t graph)
{
    struct graph_exec *e = handle_get("graph exec", exec);
    const struct graph *g = handle_get("graph", graph);
    if (!e || !g) {
        return cudaErrorInvalidValue;
    }
    bool same = e->graph.count == g->count && e->graph.branches == g->branches;
    for (size_t i = 0; same && i < g->count; i++) {
        const struct node *a = &e->graph.nodes[i], *b = &g->nodes[i];
        same = a->kind == b->kind && a->work == b->work && a->branch == b->branch &&
               a->record == b->record;
    }
    if (!same) {
        return cudaErrorGraphExecUpdateFailure;
    }
    clear(&e->graph);
    copy(&e->graph, g);
    return cudaSuccess;
}

static void work_nothing(void *unused)
{
    (void)unused;
}

/* Puts the nodes on their branches' streams. */
static void replay(struct graph_exec *e, cudaStream_t origin, struct stream *first)
{
    const struct graph *g = &e->graph;
    struct stream_mark *marks = sim_alloc(g->count * sizeof *marks);
    const sim_site here = sim_current_site();
    for (size_t i = 0; i < g->count; i++) {
        const struct node *n = &g->nodes[i];
        sim_set_site(n->site);
        struct stream *s = n->branch == 0 ? first : &e->branches[n->branch];
        if (n->kind == NODE_RECORD) {
            stream_queue(s, work_nothing, NULL, 0);
            marks[i] = (struct stream_mark){s->id, s->last, NULL, 0};
        } else if (n->kind == NODE_WAIT) {
            stream_queue_wait(s, &marks[n->record]);
        } else if (n->branch == 0) {
            stream_push(origin, n->work, n->data, n->bytes);
        } else {
            stream_queue(s, n->work, n->data, n->bytes);
        }
    }
    sim_set_site(here);
    free(marks);
}

cudaError_t graph_launch(cudaGraphExec_t exec, cudaStream_t stream)
{
    struct graph_exec *e = handle_get("graph exec", exec);
    struct stream *s = stream_get(stream);
    if (!e || !s) {
        return cudaErrorInvalidValue;
    }
    if (s->capture) {
        sim_report("cudaGraphLaunch on a captured stream is not simulated");
        return cudaErrorNotSupported;
    }
    replay(e, stream, s);
    return cudaSuccess;
}

cudaError_t graph_count(cudaGraph_t graph, size_t *nodes)
{
    const struct graph *g = handle_get("graph", graph);
    *nodes = 0;
    for (size_t i = 0; g && i < g->count; i++) {
        *nodes += g->nodes[i].kind == NODE_WORK;
    }
    return g ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t graph_free(cudaGraph_t graph)
{
    struct graph *g = handle_get("graph", graph);
    if (!g) {
        return cudaErrorInvalidValue;
    }
    clear(g);
    handle_free("graph", g);
    return cudaSuccess;
}

cudaError_t graph_free_exec(cudaGraphExec_t exec)
{
    struct graph_exec *e = handle_get("graph exec", exec);
    if (!e) {
        return cudaErrorInvalidValue;
    }
    for (size_t i = 1; i < e->graph.branches; i++) {
        stream_close(&e->branches[i]);
    }
    free(e->branches);
    clear(&e->graph);
    handle_free("graph exec", e);
    return cudaSuccess;
}
