/* hdbscan.c - the steps of HDBSCAN*: neighbours, rounds of the spanning tree, hierarchy.
 *
 * State columns after the knn stage: knn_stage u8[32], knn_result u8[32*T] (the lists stay in the
 * spool), round u32[1], searched u64[1], certified u64[1] (edges that needed no search), and the
 * spanning forest so far (boruvka.h): forest_*, found_*, bound_* as columns a, b, weight. The same
 * in memory is kept between two rounds (kept.h). */
#include "coordinator/merge/coding.h"
#include "coordinator/merge/decay.h"
#include "coordinator/merge/neighbours.h"
#include "coordinator/merge/pairing.h"
#include "coordinator/merge/probing.h"
#include "coordinator/merge/steps.h"
#include "coordinator/merge/verifying.h"

#include "proto/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A screened pair costs 1,536 floating point operations: 1 to 3 s of one core at 25 to 75 GF/s. */
#define PAIRS_A_TASK 50000000u
/* By codes a pair costs a tenth of that. */
#define CODED_QUERY_PAIRS_A_TASK 80000000u
#define SLOTS_A_SEGMENT 256u
#define QUERIES_A_SEGMENT 128u
/* With codes a list is as long as the bound of so many neighbours makes it: what is near by codes
 * finds a quarter of the true neighbours, so that is four times as many, which is as much as helps
 * the tree. Core distances need min_samples - 1. */
#define NEAR_LEAST 10u

typedef struct {
    step_t *step;
    neighbours_t neighbours;
    boruvka_t *boruvka; /* over the neighbours */
    stage_t knn_stage;
    sha256_t knn_stage_sha;
    const sha256_t *knn_results; /* borrowed from the input or the checkpoint */
    uint32_t round;
    uint64_t searched;
    uint64_t certified;
} tree_t;

/* What is kept of it: the rest is small, and read from the state. */
typedef struct {
    neighbours_t neighbours;
    boruvka_t *boruvka; /* with the queries of the round under way */
} kept_tree_t;

static uint32_t neighbour_count(const job_spec_t *spec, const plan_t *plan)
{
    return plan_list_length(spec, plan_largest_partition(plan));
}

static int all_noise(step_t *self, advance_output_t *out, error_t *error)
{
    clustering_t clustering;
    int code = clustering_init(&clustering, self->checkpoint.plan.count, error);
    if (code == OK)
        code = summarise_begin(self, &clustering, out, error);
    clustering_clear(&clustering);
    return code;
}

static int find_neighbours(step_t *self, advance_output_t *out, error_t *error);

static void report_cells(step_t *self)
{
    const char *refused = probing_refused(self->input->spec, &self->checkpoint.plan);
    step_report(self, "search", json_string(refused != NULL ? refused : "approximate: in cells"));
}

int hdbscan_begin(step_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    const job_spec_t *spec = self->input->spec;
    if (plan_largest_partition(plan) < spec->min_cluster_size)
        return all_noise(self, out, error);
    if (job_spec_in_cells(spec))
        report_cells(self);
    /* k-means makes the cells, and begins with codes as well */
    if (probing_wanted(spec, plan) || coding_pays(spec, plan, neighbour_count(spec, plan)))
        return coding_begin(self, out, error);
    return find_neighbours(self, out, error);
}

static int find_neighbours(step_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    const job_spec_t *spec = self->input->spec;
    task_cutter_t cutter;
    sha256_t decay;
    int decays;
    int code = decay_save(self, &decays, &decay, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_KNN, PAIRS_A_TASK, SLOTS_A_SEGMENT);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (plan_partition_size(plan, p) >= spec->min_cluster_size)
            task_cutter_add(&cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                            plan_pairs(plan, p));
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    if (decays)
        task_cutter_input(&cutter, "decay", &decay);
    task_cutter_param(&cutter, "k", neighbour_count(spec, plan));
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, "neighbours");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

int hdbscan_after_encode(step_t *self, advance_output_t *out, error_t *error)
{
    coding_t coding;
    int code = coding_after_encode(self, &coding, error);
    uint32_t k = neighbour_count(self->input->spec, &self->checkpoint.plan);
    uint32_t least = job_spec_min_samples(self->input->spec) - 1;
    if (least < NEAR_LEAST)
        least = NEAR_LEAST;
    return code == OK ? pairing_begin(self, &coding, least < k ? least : k, out, error) : code;
}

int hdbscan_after_near(step_t *self, advance_output_t *out, error_t *error)
{
    uint32_t k = neighbour_count(self->input->spec, &self->checkpoint.plan);
    return pairing_after_near(self, k, out, error);
}

/* ---- the state between two rounds ---- */

static int put_edges(columns_writer_t *writer, const char *name, const edge_t *edges, size_t count)
{
    uint32_t *slots = malloc((count + 1) * 2 * sizeof *slots);
    float *weight = malloc((count + 1) * sizeof *weight);
    char column[32];
    if (slots != NULL && weight != NULL) {
        for (size_t i = 0; i < count; i++) {
            slots[2 * i] = edges[i].a;
            slots[2 * i + 1] = edges[i].b;
            weight[i] = edges[i].weight;
        }
        snprintf(column, sizeof column, "%s_slots", name);
        columns_put(writer, column, COLUMN_U32, slots, 2 * count);
        snprintf(column, sizeof column, "%s_weight", name);
        columns_put(writer, column, COLUMN_F32, weight, count);
    }
    int complete = slots != NULL && weight != NULL;
    free(slots);
    free(weight);
    return complete;
}

static int get_edges(const payload_t *payload, const char *name, size_t expected, edge_t **out,
                     size_t *count, error_t *error)
{
    const uint32_t *slots;
    const float *weight;
    char column[32];
    snprintf(column, sizeof column, "%s_slots", name);
    int code = payload_list(payload, column, &slots, count, error);
    if (code != OK)
        return code;
    *count /= 2;
    if (expected != SIZE_MAX && *count != expected)
        return error_set(error, ERR_PROTOCOL, "state: %zu edges in %s, not %zu", *count, name,
                         expected);
    snprintf(column, sizeof column, "%s_weight", name);
    code = payload_f32(payload, column, *count, &weight, error);
    if (code != OK)
        return code;
    *out = malloc((*count + 1) * sizeof **out);
    if (*out == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for %zu edges", *count);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (edge_t){weight[i], slots[2 * i], slots[2 * i + 1]};
    return OK;
}

static int restore_boruvka(tree_t *self, error_t *error)
{
    const payload_t *payload = &self->step->checkpoint.payload;
    edge_t *forest = NULL, *found = NULL, *bound = NULL;
    size_t forest_count = 0, found_count = 0, bound_count = 0;
    int code = get_edges(payload, "forest", SIZE_MAX, &forest, &forest_count, error);
    if (code == OK)
        code = get_edges(payload, "found", SIZE_MAX, &found, &found_count, error);
    if (code == OK)
        code = get_edges(payload, "bound", self->step->checkpoint.plan.count, &bound, &bound_count,
                         error);
    if (code == OK) {
        boruvka_state_t state = {forest, forest_count, found, found_count, bound};
        code = boruvka_new(&self->neighbours.lists, &state, &self->boruvka, error);
    }
    free(forest);
    free(found);
    free(bound);
    return code;
}

static columns_writer_t *write_state(const tree_t *self)
{
    boruvka_state_t state = boruvka_state(self->boruvka);
    columns_writer_t *writer = checkpoint_writer(&self->step->checkpoint, "state");
    if (writer == NULL)
        return NULL;
    columns_put_sha(writer, "knn_stage", &self->knn_stage_sha);
    columns_put(writer, "knn_result", COLUMN_U8, self->knn_results,
                (size_t)self->knn_stage.task_count * sizeof *self->knn_results);
    columns_put(writer, "round", COLUMN_U32, &self->round, 1);
    columns_put(writer, "searched", COLUMN_U64, &self->searched, 1);
    columns_put(writer, "certified", COLUMN_U64, &self->certified, 1);
    if (!put_edges(writer, "forest", state.forest, state.forest_count) ||
        !put_edges(writer, "found", state.found, state.found_count) ||
        !put_edges(writer, "bound", state.bound, self->neighbours.lists.count))
        columns_writer_destroy(&writer);
    return writer;
}

static int read_state(tree_t *self, error_t *error)
{
    const payload_t *payload = &self->step->checkpoint.payload;
    const void *results, *searched, *certified;
    const uint32_t *round;
    payload_t stage = {0};
    size_t length;
    const advance_input_t *input = self->step->input;
    int code = payload_sha(payload, "knn_stage", &self->knn_stage_sha, error);
    if (code == OK)
        code = payload_u32(payload, "round", 1, &round, error);
    if (code == OK)
        code = columns_get(payload->columns, "searched", COLUMN_U64, 1, &searched, NULL, error);
    if (code == OK)
        code = columns_get(payload->columns, "certified", COLUMN_U64, 1, &certified, NULL, error);
    if (code == OK)
        code = spool_get(input->spool, input->job_id, &self->knn_stage_sha, &stage.bytes, &length,
                         error);
    if (code == OK)
        code = stage_decode(stage.bytes, length, &self->knn_stage, error);
    if (code == OK)
        code = columns_get(payload->columns, "knn_result", COLUMN_U8,
                           (size_t)self->knn_stage.task_count * sizeof(sha256_t), &results, NULL,
                           error);
    payload_close(&stage);
    if (code != OK)
        return code;
    self->knn_results = results;
    self->round = *round;
    memcpy(&self->searched, searched, sizeof self->searched);
    memcpy(&self->certified, certified, sizeof self->certified);
    return OK;
}

/* ---- rounds ---- */

/* Queries of one partition stand together, slots ascending. */
static void cut_queries(const plan_t *plan, const boruvka_queries_t *queries, task_cutter_t *cutter)
{
    uint32_t begin = 0;
    for (uint32_t p = 0; p < plan->partition_count && begin < queries->count; p++) {
        uint32_t end = begin;
        while (end < queries->count && queries->slot[end] < plan->partition_begin[p + 1])
            end++;
        if (end > begin) {
            double share = (double)(end - begin) / plan_partition_size(plan, p);
            task_cutter_add(cutter, p, begin, end, (uint64_t)(share * (double)plan_pairs(plan, p)));
        }
        begin = end;
    }
}

static int save_queries(const tree_t *self, const boruvka_queries_t *queries, sha256_t *out,
                        error_t *error)
{
    columns_writer_t *writer = columns_writer_new("reach_in");
    size_t slots = self->neighbours.lists.count;
    columns_put(writer, "query", COLUMN_U32, queries->slot, queries->count);
    columns_put(writer, "core", COLUMN_F32, self->neighbours.core, slots);
    columns_put(writer, "component", COLUMN_U32, boruvka_component(self->boruvka), slots);
    columns_put(writer, "floor", COLUMN_F32, queries->floor, queries->count);
    return payload_save(self->step->input, &writer, out, error);
}

static const sha256_t *stage_input(const stage_t *stage, const char *name)
{
    for (size_t i = 0; i < stage->input_count; i++)
        if (!strcmp(stage->inputs[i].name, name))
            return &stage->inputs[i].sha256;
    return NULL;
}

static void kept_tree_destroy(void *thing)
{
    kept_tree_t *self = thing;
    boruvka_destroy(&self->boruvka);
    neighbours_clear(&self->neighbours);
    free(self);
}

/* Without memory for it the next round reads the state. */
static void keep_tree(tree_t *self, const sha256_t *state)
{
    const advance_input_t *input = self->step->input;
    kept_tree_t *kept = input->kept != NULL ? malloc(sizeof *kept) : NULL;
    if (kept == NULL)
        return;
    *kept = (kept_tree_t){self->neighbours, self->boruvka};
    self->neighbours = (neighbours_t){0};
    self->boruvka = NULL;
    kept_put(input->kept, input->job_id, state, kept, kept_tree_destroy);
}

static int take_kept_tree(tree_t *self)
{
    kept_tree_t *kept = kept_take(self->step->input->kept, &self->step->input->state_sha);
    if (kept == NULL)
        return 0;
    self->neighbours = kept->neighbours;
    self->boruvka = kept->boruvka;
    free(kept);
    return 1;
}

/* Does the tree come from codes? Then it is grown from what is known, and verified. */
static int is_presumed(const tree_t *self)
{
    return stage_input(&self->knn_stage, "codes") != NULL;
}

static void give_inputs(const tree_t *self, task_cutter_t *cutter)
{
    const sha256_t *order = stage_input(&self->knn_stage, "order");
    const sha256_t *codes = stage_input(&self->knn_stage, "codes");
    task_cutter_input(cutter, "plan", &self->step->checkpoint.plan_sha);
    if (order != NULL && codes != NULL) {
        task_cutter_input(cutter, "order", order);
        task_cutter_input(cutter, "codes", codes);
    }
    const sha256_t *decay = stage_input(&self->knn_stage, "decay");
    if (decay != NULL)
        task_cutter_input(cutter, "decay", decay);
}

static int ask(tree_t *self, const boruvka_queries_t *queries, advance_output_t *out,
               error_t *error)
{
    task_cutter_t cutter;
    sha256_t reach_in;
    int code = save_queries(self, queries, &reach_in, error);
    if (code != OK)
        return code;
    self->round++;
    self->searched += queries->count;
    task_cutter_init(&cutter, TASK_REACH,
                     is_presumed(self) ? CODED_QUERY_PAIRS_A_TASK : PAIRS_A_TASK,
                     QUERIES_A_SEGMENT);
    cut_queries(&self->step->checkpoint.plan, queries, &cutter);
    task_cutter_input(&cutter, "reach_in", &reach_in);
    give_inputs(self, &cutter);
    columns_writer_t *writer = write_state(self);
    snprintf(out->phase, sizeof out->phase, "tree, round %u", self->round);
    code = checkpoint_leave(self->step->input, &cutter, &writer, out, error);
    if (code == OK)
        keep_tree(self, &out->state_sha);
    return code;
}

static void report_search(tree_t *self)
{
    step_report(self->step, "mst_edges_certified_by_lists",
                json_integer((json_int_t)self->certified));
    step_report(self->step, "rounds", json_integer(self->round));
    step_report(self->step, "rows_searched", json_integer((json_int_t)self->searched));
    step_report(self->step, "neighbours", json_integer(self->neighbours.lists.k));
}

static int cut_forest(step_t *self, edge_t *forest, size_t count, advance_output_t *out,
                      error_t *error)
{
    if (self->input->spec->algorithm == ALGORITHM_AGGLOMERATIVE) /* single linkage */
        return agglomerative_after_tree(self, forest, count, out, error);
    return tree_cut(self, forest, count, out, error);
}

static int cut_tree(tree_t *self, advance_output_t *out, error_t *error)
{
    boruvka_state_t state = boruvka_state(self->boruvka);
    if (self->step->input->spec->algorithm != ALGORITHM_AGGLOMERATIVE)
        report_search(self);
    return cut_forest(self->step, state.forest, state.forest_count, out, error);
}

/* The tree of what is known goes to those who compare it with what is not. */
static int verify_tree(tree_t *self, advance_output_t *out, error_t *error)
{
    boruvka_state_t state = boruvka_state(self->boruvka);
    const presumed_t presumed = {&self->neighbours.lists, state.forest, state.forest_count};
    task_cutter_t cutter;
    size_t rows;
    int code = verifying_cut(self->step, &presumed, &cutter, &rows, error);
    if (code != OK || rows == 0)
        return code != OK ? code : cut_tree(self, out, error);
    self->searched += rows;
    if (self->step->input->spec->algorithm != ALGORITHM_AGGLOMERATIVE)
        report_search(self);
    give_inputs(self, &cutter);
    columns_writer_t *writer = checkpoint_writer(&self->step->checkpoint, "state");
    if (writer != NULL && !put_edges(writer, "forest", state.forest, state.forest_count))
        columns_writer_destroy(&writer);
    snprintf(out->phase, sizeof out->phase, "tree, all pairs");
    return checkpoint_leave(self->step->input, &cutter, &writer, out, error);
}

static int grow_tree(tree_t *self, advance_output_t *out, error_t *error)
{
    if (is_presumed(self))
        boruvka_presume(self->boruvka);
    int code = boruvka_run(self->boruvka, self->step->input->stop, error);
    if (code != OK)
        return code;
    if (self->round == 0)
        self->certified = boruvka_certified(self->boruvka);
    boruvka_queries_t queries = boruvka_queries(self->boruvka);
    if (queries.count > 0)
        return ask(self, &queries, out, error);
    return is_presumed(self) ? verify_tree(self, out, error) : cut_tree(self, out, error);
}

static void tree_clear(tree_t *self, int owns_stage)
{
    boruvka_destroy(&self->boruvka);
    neighbours_clear(&self->neighbours);
    if (owns_stage)
        stage_clear(&self->knn_stage);
}

int hdbscan_after_knn(step_t *self, advance_output_t *out, error_t *error)
{
    tree_t tree = {.step = self,
                   .knn_stage = self->stage,
                   .knn_stage_sha = self->input->stage_sha,
                   .knn_results = self->input->results};
    int code =
        neighbours_read(&tree.neighbours, self->input, &self->checkpoint.plan, &self->stage,
                        self->input->results, job_spec_min_samples(self->input->spec), error);
    if (code == OK)
        code = boruvka_new(&tree.neighbours.lists, NULL, &tree.boruvka, error);
    if (code == OK)
        code = grow_tree(&tree, out, error);
    tree_clear(&tree, 0);
    return code;
}

/* ---- what a round found ---- */

typedef struct {
    const uint32_t *a;
    const uint32_t *b;
    const float *weight;
    size_t count;
} edge_columns_t;

static int open_edges(payload_t *result, edge_columns_t *edges, error_t *error)
{
    int code = payload_list(result, "a", &edges->a, &edges->count, error);
    if (code == OK)
        code = payload_u32(result, "b", edges->count, &edges->b, error);
    if (code == OK)
        code = payload_f32(result, "weight", edges->count, &edges->weight, error);
    return code;
}

/* Edges come in the order of the queries, at most one each. */
static int learn_edges(tree_t *self, const edge_columns_t *edges, uint32_t task,
                       const uint32_t *query, error_t *error)
{
    const stage_t *stage = &self->step->stage;
    size_t next = 0;
    int code = OK;
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1]; s++)
        for (uint32_t q = stage->segments[s].begin; q < stage->segments[s].end && code == OK; q++) {
            if (next == edges->count || edges->a[next] != query[q]) {
                code = boruvka_learn(self->boruvka, q, NULL, error);
                continue;
            }
            edge_t edge = edge_between(edges->a[next], edges->b[next], edges->weight[next]);
            code = boruvka_learn(self->boruvka, q, &edge, error);
            next++;
        }
    if (code == OK && next != edges->count)
        code = error_set(error, ERR_SHAPE, "edge %zu is of no query of the task", next);
    return code;
}

static int learn_task(tree_t *self, uint32_t task, const uint32_t *query, error_t *error)
{
    payload_t result = {0};
    edge_columns_t edges = {0};
    int code = result_open(&result, self->step->input, task, "edges", error);
    if (code != OK)
        goto done;
    code = open_edges(&result, &edges, error);
    if (code == OK)
        code = learn_edges(self, &edges, task, query, error);
    if (code != OK)
        code = result_blame(task, code, error);
done:
    payload_close(&result);
    return code;
}

/* boruvka_run is repeated to find the queries that the stage was made of: it changes nothing else,
 * for it had come to its end when the state was written. */
static int read_tree(tree_t *self, error_t *error)
{
    const step_t *step = self->step;
    int code =
        neighbours_read(&self->neighbours, step->input, &step->checkpoint.plan, &self->knn_stage,
                        self->knn_results, job_spec_min_samples(step->input->spec), error);
    if (code == OK)
        code = restore_boruvka(self, error);
    if (code == OK && is_presumed(self))
        boruvka_presume(self->boruvka);
    return code == OK ? boruvka_run(self->boruvka, step->input->stop, error) : code;
}

static int learn_all(tree_t *self, error_t *error)
{
    int code = OK;
    boruvka_queries_t queries = boruvka_queries(self->boruvka);
    for (uint32_t t = 0; t < self->step->stage.task_count && code == OK; t++)
        code = learn_task(self, t, queries.slot, error);
    return code;
}

int hdbscan_after_reach(step_t *self, advance_output_t *out, error_t *error)
{
    tree_t tree = {.step = self};
    int code = read_state(&tree, error);
    if (code == OK && !take_kept_tree(&tree))
        code = read_tree(&tree, error);
    if (code == OK)
        code = learn_all(&tree, error);
    if (code == OK)
        code = grow_tree(&tree, out, error);
    tree_clear(&tree, 1);
    return code;
}

int hdbscan_after_verify(step_t *self, advance_output_t *out, error_t *error)
{
    edge_t *forest = NULL;
    size_t count = 0;
    int code = get_edges(&self->checkpoint.payload, "forest", SIZE_MAX, &forest, &count, error);
    if (code == OK)
        code = verifying_fold(self, &forest, &count, error);
    if (code == OK)
        code = cut_forest(self, forest, count, out, error);
    free(forest);
    return code;
}
