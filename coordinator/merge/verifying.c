#include "coordinator/merge/verifying.h"

#include "common/graph/bottleneck.h"
#include "common/graph/lightest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Work is weighed a piece at a time, of so many positions or a share of all. */
#define PIECE_LEAST 256u
#define PIECES_MOST 256u
#define ROWS_A_SEGMENT 64u
/* A task prepares all its columns, so many rows must share them; and there must be some tasks for
 * every worker. Most pairs are ruled out by crowds: 0.5 ns of a core each. */
#define TASKS_WANTED 12u
#define PAIRS_LEAST 40000000u
#define PAIRS_MOST 4000000000u

typedef struct {
    const step_t *step;
    const presumed_t *tree;
    edge_t *edges; /* sorted */
    bottleneck_t *ways;
    uint32_t *begin;
    float *heaviest;
    float *bound; /* by slot */
} verifying_t;

static int prepare(verifying_t *self, error_t *error)
{
    size_t count = self->tree->count;
    uint32_t n = self->tree->lists->count;
    self->edges = malloc((count + 1) * sizeof *self->edges);
    self->begin = malloc(((size_t)n + 1) * sizeof *self->begin);
    self->heaviest = malloc(((size_t)n + 1) * sizeof *self->heaviest);
    self->bound = malloc(((size_t)n + 1) * sizeof *self->bound);
    if (self->edges == NULL || self->begin == NULL || self->heaviest == NULL || self->bound == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for a tree of %u rows", n);
    memcpy(self->edges, self->tree->edges, count * sizeof *self->edges);
    edge_sort(self->edges, count);
    boruvka_list_bounds(self->tree->lists, self->bound);
    int code = bottleneck_new(n, self->edges, count, &self->ways, error);
    if (code == OK)
        bottleneck_before(self->ways, self->begin, self->heaviest);
    return code;
}

static void clear(verifying_t *self)
{
    bottleneck_destroy(&self->ways);
    free(self->edges);
    free(self->begin);
    free(self->heaviest);
    free(self->bound);
}

/* ---- tasks ---- */

/* Unlisted edges of the slot at that position weigh no less. */
static float least_at(const verifying_t *self, uint32_t position)
{
    uint32_t slot = bottleneck_order(self->ways)[position];
    float core = self->tree->lists->core[slot], bound = self->bound[slot];
    return core > bound ? core : bound;
}

/* How many of [begin, end) search, and how many columns they may meet, of every eighth. */
static uint64_t weigh_piece(const verifying_t *self, uint32_t begin, uint32_t end, size_t *rows)
{
    uint32_t first = UINT32_MAX, columns = 0;
    uint64_t searching = 0;
    float most = 0;
    for (uint32_t at = begin; at < end; at++) {
        if (!(least_at(self, at) <= self->heaviest[at]))
            continue;
        searching++;
        most = self->heaviest[at] > most ? self->heaviest[at] : most;
        first = self->begin[at] < first ? self->begin[at] : first;
    }
    for (uint32_t at = first; at < end; at += 8)
        columns += least_at(self, at) <= most;
    *rows += searching;
    return searching * (8 * (uint64_t)columns + 1);
}

static void cut_partition(const verifying_t *self, uint32_t partition, task_cutter_t *cutter,
                          size_t *rows)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    uint32_t begin = plan->partition_begin[partition], end = plan->partition_begin[partition + 1];
    uint32_t size = end - begin, piece = size / PIECES_MOST;
    double pairs_a_row = (double)plan_pairs(plan, partition) / (size > 0 ? size : 1);
    piece = piece > PIECE_LEAST ? piece : PIECE_LEAST;
    for (uint32_t from = begin; from < end; from += piece) {
        uint32_t to = end - from > piece ? from + piece : end;
        size_t before = *rows;
        uint64_t work = weigh_piece(self, from, to, rows);
        double most = (double)(*rows - before) * pairs_a_row;
        if (*rows > before)
            task_cutter_add(cutter, partition, from, to, work < most ? work : (uint64_t)most + 1);
    }
}

/* As many tasks as make pieces of work of a good size: the sum is known only when all are weighed. */
static void cut_all(const verifying_t *self, task_cutter_t *cutter, size_t *rows)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    *rows = 0;
    for (uint32_t p = 0; p < plan->partition_count; p++)
        cut_partition(self, p, cutter, rows);
}

static int save_tree(const verifying_t *self, sha256_t *out, error_t *error)
{
    size_t count = self->tree->count, n = self->tree->lists->count;
    columns_writer_t *writer = columns_writer_new("tree");
    uint32_t *a = columns_make(writer, "a", COLUMN_U32, count);
    for (size_t i = 0; a != NULL && i < count; i++)
        a[i] = self->edges[i].a;
    uint32_t *b = columns_make(writer, "b", COLUMN_U32, count);
    for (size_t i = 0; b != NULL && i < count; i++)
        b[i] = self->edges[i].b;
    float *weight = columns_make(writer, "weight", COLUMN_F32, count);
    for (size_t i = 0; weight != NULL && i < count; i++)
        weight[i] = self->edges[i].weight;
    columns_put(writer, "core", COLUMN_F32, self->tree->lists->core, n);
    columns_put(writer, "bound", COLUMN_F32, self->bound, n);
    return payload_save(self->step->input, &writer, out, error);
}

static uint64_t total_work(const task_cutter_t *cutter)
{
    uint64_t work = 0;
    for (uint32_t t = 0; t < cutter->stage.task_count; t++)
        work += cutter->stage.work[t];
    return work;
}

static uint64_t quantum_of(uint64_t pairs)
{
    uint64_t quantum = pairs / TASKS_WANTED;
    return quantum < PAIRS_LEAST ? PAIRS_LEAST : quantum > PAIRS_MOST ? PAIRS_MOST : quantum;
}

int verifying_cut(const step_t *self, const presumed_t *tree, task_cutter_t *cutter, size_t *rows,
                  error_t *error)
{
    verifying_t verifying = {.step = self, .tree = tree};
    task_cutter_t whole;
    sha256_t sha256;
    int code = prepare(&verifying, error);
    if (code != OK)
        goto done;
    task_cutter_init(&whole, TASK_VERIFY, UINT64_MAX / 2, 1);
    cut_all(&verifying, &whole, rows);
    task_cutter_init(cutter, TASK_VERIFY, quantum_of(total_work(&whole)), ROWS_A_SEGMENT);
    task_cutter_clear(&whole);
    cut_all(&verifying, cutter, rows);
    if (*rows > 0)
        code = save_tree(&verifying, &sha256, error);
    if (*rows > 0 && code == OK)
        task_cutter_input(cutter, "tree", &sha256);
done:
    clear(&verifying);
    return code;
}

/* ---- what they found ---- */

static uint32_t partition_of(const plan_t *plan, uint32_t slot)
{
    uint32_t low = 0, high = plan->partition_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (plan->partition_begin[middle] <= slot)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int check_edge(const plan_t *plan, const edge_t *edge, uint32_t *partition, error_t *error)
{
    if (!(edge->a < edge->b && edge->b < plan->count && edge->weight >= 0 &&
          edge->weight < INFINITY))
        return error_set(error, ERR_SHAPE, "the edge (%u, %u) weighs %g", edge->a, edge->b,
                         (double)edge->weight);
    if (*partition >= plan->partition_count || edge->a < plan->partition_begin[*partition] ||
        edge->a >= plan->partition_begin[*partition + 1])
        *partition = partition_of(plan, edge->a);
    return edge->b < plan->partition_begin[*partition + 1]
               ? OK
               : error_set(error, ERR_SHAPE, "the edge (%u, %u) leaves its partition", edge->a,
                           edge->b);
}

static int take_edges(const payload_t *result, const plan_t *plan, edge_pile_t *pile,
                      error_t *error)
{
    const uint32_t *a = NULL, *b = NULL;
    const float *weight = NULL;
    size_t count = 0;
    uint32_t partition = UINT32_MAX;
    int code = payload_list(result, "a", &a, &count, error);
    if (code == OK)
        code = payload_u32(result, "b", count, &b, error);
    if (code == OK)
        code = payload_f32(result, "weight", count, &weight, error);
    for (size_t i = 0; code == OK && i < count; i++) {
        edge_t edge = {weight[i], a[i], b[i]};
        code = check_edge(plan, &edge, &partition, error);
        if (code == OK)
            code = edge_pile_add(pile, &edge, error);
    }
    return code;
}

static int take_task(const step_t *self, uint32_t task, edge_pile_t *pile, error_t *error)
{
    payload_t result = {0};
    int code = result_open(&result, self->input, task, "edges", error);
    if (code == OK) {
        code = take_edges(&result, &self->checkpoint.plan, pile, error);
        if (code != OK)
            code = result_blame(task, code, error);
    }
    payload_close(&result);
    return code;
}

int verifying_fold(const step_t *self, edge_t **edges, size_t *count, error_t *error)
{
    edge_pile_t pile;
    edge_pile_init(&pile, self->checkpoint.plan.count);
    int code = OK;
    for (size_t i = 0; i < *count && code == OK; i++)
        code = edge_pile_add(&pile, &(*edges)[i], error);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_task(self, t, &pile, error);
    if (code == OK)
        code = edge_pile_reduce(&pile, error);
    if (code == OK) {
        free(*edges);
        *edges = pile.edges;
        *count = pile.count;
        pile.edges = NULL;
    }
    edge_pile_clear(&pile);
    return code;
}
