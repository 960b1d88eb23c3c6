/*
 * race.c - the records of accesses, and what makes two of them a race.
 */
#include "race.h"

#include "mem.h"
#include "sim.h"

#include <stdio.h>
#include <sys/mman.h>

/* How far the readers since the last write are spread. */
enum spread { SPREAD_NONE, SPREAD_THREAD, SPREAD_WARP, SPREAD_BLOCK, SPREAD_GRID };

/* The last access of a kind. The readers are summed up: the newest of them and their spread. */
struct touch {
    uint32_t block, epoch, synced;
    uint16_t thread;
    uint8_t spread; /* SPREAD_NONE: there was none */
    bool atomic;
};

struct record {
    uint32_t stamp;  /* of the launch or the block; another one: nothing was touched yet */
    uint32_t pieces; /* 0, or 1 + where the four records of its bytes begin */
    struct touch written, read;
};

/* A memory's records, one a word, and the pool of those of single bytes. */
struct shadow {
    struct record *words;
    struct record *pieces;
    size_t piece_count;
    uint32_t stamp;
};

static struct record shared_words[PTX_WINDOW / 64]; /* 1 MiB of shared memory */
static struct shadow shared = {.words = shared_words};
static struct shadow global;

void race_new_block(void)
{
    shared.stamp++;
    shared.piece_count = 0;
}

void race_new_launch(void)
{
    if (!global.words) {
        const size_t bytes = MEM_BYTES / 4 * sizeof *global.words;
        global.words = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (global.words == MAP_FAILED) {
            sim_unfit("cannot reserve %zu bytes of addresses", bytes);
        }
    }
    global.stamp++;
    global.piece_count = 0;
}

void race_forget(uint64_t at, size_t bytes)
{
    if (global.words) {
        mem_clear(&global.words[at / 4], bytes / 4 * sizeof *global.words);
    }
}

/* Whether nothing orders the old access before the new one. */
static bool unordered(const struct touch *old, const struct touch *new)
{
    if (old->spread == SPREAD_NONE || (old->atomic && new->atomic)) {
        return false;
    }
    if (old->block != new->block || old->spread == SPREAD_GRID) {
        return true;
    }
    if (old->epoch != new->epoch) {
        return false;
    }
    if (old->spread == SPREAD_BLOCK || old->thread / 32 != new->thread / 32) {
        return true;
    }
    return old->synced == new->synced && (old->spread == SPREAD_WARP || old->thread != new->thread);
}

/* Adds a reader to those that there were since the last barrier. */
static void add_reader(struct touch *readers, const struct touch *new)
{
    struct touch sum = *new;
    if (readers->spread == SPREAD_GRID || (readers->spread && readers->block != new->block)) {
        sum.spread = SPREAD_GRID;
    } else if (readers->spread && readers->epoch == new->epoch) {
        if (readers->spread == SPREAD_BLOCK || readers->thread / 32 != new->thread / 32) {
            sum.spread = SPREAD_BLOCK;
        } else if (readers->synced == new->synced &&
                   (readers->spread == SPREAD_WARP || readers->thread != new->thread)) {
            sum.spread = SPREAD_WARP;
        }
    }
    sum.atomic = new->atomic && (!readers->spread || readers->atomic);
    *readers = sum;
}

/* An older access that races with a new one. */
struct clash {
    struct touch old;
    const char *how; /* NULL: there is none */
};

/* The access `new` to what the record stands for. */
static void look(struct record *r, const struct touch *new, enum race_kind kind,
                 struct clash *clash)
{
    if (unordered(&r->written, new)) {
        *clash = (struct clash){r->written,
                                kind == RACE_READ ? "it was written" : "it was also written"};
    } else if (kind != RACE_READ && unordered(&r->read, new)) {
        *clash = (struct clash){r->read, "it was read"};
    }
    if (kind == RACE_READ) {
        add_reader(&r->read, new);
    } else {
        r->written = *new;
    }
}

/* The four records of the bytes of a word; they begin as the word's own. */
static struct record *split(struct shadow *s, struct record *word)
{
    if (word->pieces == 0) {
        for (int i = 0; i < 4; i++) {
            s->pieces = sim_grow(s->pieces, s->piece_count, sizeof *s->pieces);
            s->pieces[s->piece_count++] = *word;
        }
        word->pieces = (uint32_t)s->piece_count - 3;
    }
    return &s->pieces[word->pieces - 1];
}

/* The record of a word, as of this launch or block. */
static struct record *record_of(struct shadow *s, uint64_t word)
{
    struct record *r = &s->words[word];
    if (r->stamp != s->stamp) {
        *r = (struct record){.stamp = s->stamp};
    }
    return r;
}

/* An access to whole words, or to a part of one, whose bytes are then looked at one by one. */
static struct clash look_at_all(struct shadow *s, const struct race_access *a)
{
    struct clash clash = {.how = NULL};
    const struct touch new = {.block = a->warp->block->number,
                              .epoch = a->warp->block->epoch,
                              .synced = a->warp->synced,
                              .thread = (uint16_t)(a->warp->index * 32 + a->lane),
                              .spread = SPREAD_THREAD,
                              .atomic = a->kind == RACE_ATOMIC || a->in->strong};
    for (uint64_t at = a->at & ~(uint64_t)3; at < a->at + a->bytes; at += 4) {
        struct record *r = record_of(s, at / 4);
        if (a->bytes >= 4 && r->pieces == 0) {
            look(r, &new, a->kind, &clash);
            continue;
        }
        struct record *pieces = split(s, r);
        const unsigned first = (unsigned)(a->bytes < 4 ? a->at - at : 0);
        for (unsigned i = first; i < first + (a->bytes < 4 ? a->bytes : 4); i++) {
            look(&pieces[i], &new, a->kind, &clash);
        }
    }
    return clash;
}

static void report(const struct race_access *a, const struct clash *clash, const char *place)
{
    exec_report(a->warp, a->in, a->lane, EXEC_RACE,
                "race on %s: %s by thread %u of %s with no barrier between", place, clash->how,
                (unsigned)clash->old.thread,
                clash->old.block == a->warp->block->number ? "this block" : "another block");
}

void race_shared(const struct race_access *a)
{
    const struct clash clash = look_at_all(&shared, a);
    if (clash.how) {
        char place[48];
        snprintf(place, sizeof place, "byte %u of shared memory", (unsigned)a->at);
        report(a, &clash, place);
    }
}

void race_global(const struct race_access *a)
{
    const struct clash clash = look_at_all(&global, a);
    if (clash.how) {
        char place[128];
        report(a, &clash, mem_describe(MEM_BASE + a->at, place, sizeof place));
    }
}
