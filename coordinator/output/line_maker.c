#include "coordinator/output/line_maker.h"

#include "common/net/actor.h"
#include "coordinator/output/cluster_build.h"
#include "coordinator/output/cluster_line.h"

#include <stdlib.h>
#include <unistd.h>

#define THREADS_MOST 4
#define PIECE_CLUSTERS 16u
#define PIECE_MEMBERS 500u /* a piece ends with the cluster that passes it */
#define PIECES_AHEAD 2u    /* of each thread */
#define LINE_KEPT                                                                                  \
    ((size_t)1 << 20) /* a longer one gives its memory back when it has been written */

/* Clusters [begin, end). */
typedef struct {
    uint32_t begin;
    uint32_t end;
    made_line_t lines[PIECE_CLUSTERS];
    int code;
    error_t error;
} piece_t;

typedef struct {
    cluster_source_t source; /* with an outcome of its own: summaries come by one at a time */
    net_actor_t *actor;
} maker_t;

struct line_maker {
    const cluster_source_t *source;
    maker_t makers[THREADS_MOST];
    uint32_t maker_count;
    piece_t *pieces; /* piece n of all is in place n % piece_count */
    uint32_t piece_count;
    uint64_t asked; /* pieces handed to the makers, in turn */
    uint64_t taken;
    uint32_t planned; /* clusters that are in a piece */
    piece_t *open;    /* the one that is handed out */
    uint32_t next;    /* cluster */
};

/* ---- the threads ---- */

static void make_piece(const cluster_source_t *source, piece_t *piece)
{
    piece->code = OK;
    for (uint32_t i = piece->begin; i < piece->end && piece->code == OK; i++) {
        made_line_t *made = &piece->lines[i - piece->begin];
        piece->code = cluster_build(&made->cluster, source, i, &piece->error);
        if (piece->code == OK)
            piece->code = cluster_line(&made->cluster, source, &made->line, &piece->error);
        made->cluster.from.slots = made->cluster.from.typical = NULL; /* what is open changes */
        made->cluster.from.centroid = made->cluster.from.similarity = NULL;
    }
}

static void run(net_pipe_t *pipe, void *argument)
{
    const maker_t *self = argument;
    void *piece;
    while (net_pipe_take(pipe, -1, &piece) > 0) {
        make_piece(&self->source, piece);
        net_pipe_put(pipe, piece);
    }
}

/* Pieces belong to the line maker, wherever they are. */
static void discard(void *piece) { (void)piece; }

/* ---- pieces ---- */

static uint32_t piece_end(const line_maker_t *self, uint32_t begin)
{
    uint32_t end = begin, members = 0, clusters = outcome_clusters(self->source->outcome);
    while (end < clusters && end - begin < PIECE_CLUSTERS && members < PIECE_MEMBERS)
        members += outcome_cluster_size(self->source->outcome, end++);
    return end;
}

/* As many as may be ahead. */
static int ask(line_maker_t *self, error_t *error)
{
    while (self->asked < self->taken + self->piece_count &&
           self->planned < outcome_clusters(self->source->outcome)) {
        piece_t *piece = &self->pieces[self->asked % self->piece_count];
        net_actor_t *actor = self->makers[self->asked % self->maker_count].actor;
        piece->begin = self->planned;
        piece->end = self->planned = piece_end(self, self->planned);
        if (net_pipe_put(net_actor_pipe(actor), piece) != OK)
            return error_set(error, ERR_INTERNAL, "a thread that makes lines is gone");
        self->asked++;
    }
    return OK;
}

static void forget_long_lines(piece_t *piece)
{
    for (uint32_t i = 0; i < piece->end - piece->begin; i++) {
        if (piece->lines[i].line.capacity <= LINE_KEPT)
            continue;
        json_text_clear(&piece->lines[i].line);
        cluster_clear(&piece->lines[i].cluster);
    }
}

static int take(line_maker_t *self, error_t *error)
{
    net_actor_t *actor = self->makers[self->taken % self->maker_count].actor;
    void *piece;
    if (net_pipe_take(net_actor_pipe(actor), -1, &piece) <= 0)
        return error_set(error, ERR_INTERNAL, "a thread that makes lines is gone");
    self->open = piece;
    if (self->open->code != OK && error)
        *error = self->open->error;
    return self->open->code;
}

int line_maker_next(line_maker_t *self, const made_line_t **out, error_t *error)
{
    int code = OK;
    *out = NULL;
    if (self->open && self->next == self->open->end) {
        forget_long_lines(self->open);
        self->open = NULL;
        self->taken++;
        code = ask(self, error);
    }
    if (code == OK && !self->open && self->taken < self->asked)
        code = take(self, error);
    if (code == OK && self->open) {
        *out = &self->open->lines[self->next - self->open->begin];
        self->next++;
    }
    return code;
}

/* ---- the whole ---- */

static uint32_t threads_for(uint32_t clusters)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = processors < 1              ? 1
                       : processors > THREADS_MOST ? THREADS_MOST
                                                   : (uint32_t)processors;
    return clusters <= PIECE_CLUSTERS ? 1 : threads;
}

static int start_makers(line_maker_t *self, error_t *error)
{
    uint32_t count = threads_for(outcome_clusters(self->source->outcome));
    int code = OK;
    for (uint32_t i = 0; i < count && code == OK; i++) {
        maker_t *maker = &self->makers[i];
        maker->source = *self->source;
        maker->source.outcome = NULL;
        self->maker_count++;
        code = outcome_view_sibling(self->source->outcome, &maker->source.outcome, error);
        if (code == OK)
            code = net_actor_new(run, maker, discard, &maker->actor, error);
    }
    return code;
}

int line_maker_new(const cluster_source_t *source, line_maker_t **out, error_t *error)
{
    line_maker_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to make lines");
    self->source = source;
    int code = start_makers(self, error);
    self->piece_count = PIECES_AHEAD * self->maker_count;
    self->pieces = calloc(self->piece_count, sizeof *self->pieces);
    if (code == OK && !self->pieces)
        code = error_set(error, ERR_MEMORY, "no memory to make lines");
    if (code == OK)
        code = ask(self, error);
    if (code != OK)
        line_maker_destroy(&self);
    *out = self;
    return code;
}

void line_maker_destroy(line_maker_t **self_pointer)
{
    line_maker_t *self = *self_pointer;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->maker_count; i++) {
        net_actor_destroy(&self->makers[i].actor);
        outcome_view_close(&self->makers[i].source.outcome);
    }
    for (uint32_t p = 0; self->pieces && p < self->piece_count; p++)
        for (uint32_t i = 0; i < PIECE_CLUSTERS; i++) {
            cluster_clear(&self->pieces[p].lines[i].cluster);
            json_text_clear(&self->pieces[p].lines[i].line);
        }
    free(self->pieces);
    free(self);
    *self_pointer = NULL;
}
