/* State columns: margin f32[1] (-1 while the sample searches; INFINITY: everywhere), and then sample
 * u32[s], true u32[s*k]: the slots of the sample and their true neighbours. The stages carry
 * "centres" and "assigned", which make the cells. */
#include "coordinator/merge/probing.h"

#include "coordinator/merge/boruvka.h"
#include "coordinator/merge/cells.h"
#include "coordinator/merge/coding.h"
#include "proto/payload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE 1000u
#define GROUP_ROWS 256u /* of the sample, which searches everywhere: a task for each */
#define CELLS_LEAST 16u
#define CELLS_MOST 4096u
#define ROWS_A_TASK_LEAST 8192u
#define ROWS_A_TASK_MOST 65536u
#define TASKS 16u
#define SHARE_SEARCHED 16u /* a guess, for progress: one in so many of a partition's slots */
#define SAMPLING (-1.0f)
/* Up to 45,000 rows all neighbours by codes take no more time than cells. */
#define PAIRS_LEAST 2000000000u

typedef struct {
    step_t *step;
    uint32_t k;
    centres_t centres;
    cells_t cells;
    payload_t assigned;
} probing_t;

/* A payload "probes" on its way. */
typedef struct {
    uint32_t *group_begin;
    uint32_t *row;
    uint64_t *work;
    uint32_t groups;
} groups_t;

uint32_t probing_cells(const job_spec_t *spec, const plan_t *plan)
{
    if (spec->algorithm == ALGORITHM_TWO_STAGE && spec->cells > 0)
        return spec->cells;
    double root = sqrt((double)plan_largest_partition(plan));
    return root < CELLS_LEAST ? CELLS_LEAST : root > CELLS_MOST ? CELLS_MOST : (uint32_t)root;
}

const char *probing_refused(const job_spec_t *spec, const plan_t *plan)
{
    uint32_t k = plan_list_length(spec, plan_largest_partition(plan));
    if (k > coding_neighbours_limit())
        return "exact: cells do not help lists of more than 256 neighbours (min_samples)";
    if (plan->dimension < coding_dimension_least())
        return "exact: vectors of fewer than 64 dimensions have no codes";
    uint64_t pairs = 0;
    for (uint32_t p = 0; p < plan->partition_count && pairs < PAIRS_LEAST; p++)
        pairs += plan_pairs(plan, p);
    if (spec->algorithm != ALGORITHM_TWO_STAGE &&
        (pairs < PAIRS_LEAST || !coding_pays(spec, plan, k)))
        return "exact: the job is so small that all neighbours take less time than cells";
    return NULL;
}

int probing_wanted(const job_spec_t *spec, const plan_t *plan)
{
    return job_spec_in_cells(spec) && probing_refused(spec, plan) == NULL;
}

static void groups_clear(groups_t *self)
{
    free(self->group_begin);
    free(self->row);
    free(self->work);
    *self = (groups_t){0};
}

static int groups_init(groups_t *self, size_t groups, size_t rows, error_t *error)
{
    *self = (groups_t){0};
    self->group_begin = calloc(groups + 1, sizeof *self->group_begin);
    self->row = malloc((rows + 1) * sizeof *self->row);
    self->work = malloc((groups + 1) * sizeof *self->work);
    if (self->group_begin && self->row && self->work)
        return OK;
    return error_set(error, ERR_MEMORY, "out of memory for %zu groups of rows", groups);
}

/* The rows from the last group's end to `end`, each of which searches among so many slots. */
static void add_group(groups_t *self, uint32_t end, uint32_t slots)
{
    uint64_t rows = end - self->group_begin[self->groups];
    self->work[self->groups] = rows * slots;
    self->groups++;
    self->group_begin[self->groups] = end;
}

static int save_groups(const probing_t *self, const groups_t *groups, sha256_t *out, error_t *error)
{
    const cells_t *cells = &self->cells;
    columns_writer_t *writer = columns_writer_new("probes");
    columns_put(writer, "cell_begin", COLUMN_U32, cells->begin, (size_t)cells->count + 1);
    columns_put(writer, "member", COLUMN_U32, cells->member, cells->plan->count);
    columns_put(writer, "group_begin", COLUMN_U32, groups->group_begin, (size_t)groups->groups + 1);
    columns_put(writer, "row", COLUMN_U32, groups->row, groups->group_begin[groups->groups]);
    return payload_save(self->step->input, &writer, out, error);
}

/* A `margin` that is not finite: everywhere. */
static int leave(probing_t *self, const groups_t *groups, uint64_t quantum, float margin,
                 const sha256_t *centres, const sha256_t *assigned, columns_writer_t **writer,
                 advance_output_t *out, error_t *error)
{
    sha256_t probes;
    coding_t coding;
    task_cutter_t cutter;
    int code = coding_of(self->step, &coding)
                   ? save_groups(self, groups, &probes, error)
                   : error_set(error, ERR_INTERNAL, "an approximate job without codes");
    if (code != OK) {
        columns_writer_destroy(writer);
        return code;
    }
    task_cutter_init(&cutter, TASK_PROBE, quantum, 1);
    for (uint32_t g = 0; g < groups->groups; g++)
        task_cutter_add(&cutter, 0, g, g + 1, groups->work[g]);
    task_cutter_input(&cutter, "plan", &self->step->checkpoint.plan_sha);
    coding_put(&coding, &cutter);
    task_cutter_input(&cutter, "probes", &probes);
    task_cutter_input(&cutter, "centres", centres);
    task_cutter_input(&cutter, "assigned", assigned);
    task_cutter_param(&cutter, "k", self->k);
    if (isfinite(margin))
        task_cutter_param(&cutter, "margin", margin);
    return checkpoint_leave(self->step->input, &cutter, writer, out, error);
}

static void probing_clear(probing_t *self)
{
    cells_clear(&self->cells);
    centres_clear(&self->centres);
    payload_close(&self->assigned);
}

static int prepare(probing_t *self, const centres_t *centres, const uint32_t *label, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    self->k = plan_list_length(self->step->input->spec, plan_largest_partition(plan));
    return cells_init(&self->cells, plan, centres, label, error);
}

/* ---- the sample ---- */

/* Evenly spaced slots of each partition, which search all its cells. */
static int sample_groups(probing_t *self, groups_t *groups, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    size_t rows = SAMPLE + (size_t)plan->partition_count;
    uint32_t row = 0;
    int code = groups_init(groups, rows / GROUP_ROWS + plan->partition_count, rows, error);
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++) {
        uint32_t size = plan_partition_size(plan, p), begin = plan->partition_begin[p];
        uint32_t wanted = (uint32_t)((uint64_t)SAMPLE * size / plan->count);
        wanted = wanted < 1 ? 1 : wanted > size ? size : wanted;
        for (uint32_t i = 0; i < wanted; i++) {
            groups->row[row++] = begin + (uint32_t)((uint64_t)size * i / wanted);
            if ((i + 1) % GROUP_ROWS == 0 || i + 1 == wanted)
                add_group(groups, row, size);
        }
    }
    return code;
}

int probing_begin(step_t *self, const uint32_t *label, const centres_t *centres,
                  advance_output_t *out, error_t *error)
{
    probing_t probing = {.step = self};
    groups_t groups = {0};
    sha256_t centres_sha, assigned_sha;
    const float margin = SAMPLING;
    int code = prepare(&probing, centres, label, error);
    if (code == OK)
        code = sample_groups(&probing, &groups, error);
    if (code == OK)
        code = centres_save(centres, self->input, &centres_sha, error);
    if (code == OK) {
        columns_writer_t *writer = columns_writer_new("assigned");
        columns_put(writer, "label", COLUMN_U32, label, self->checkpoint.plan.count);
        code = payload_save(self->input, &writer, &assigned_sha, error);
    }
    if (code == OK) {
        columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
        columns_put(writer, "margin", COLUMN_F32, &margin, 1);
        snprintf(out->phase, sizeof out->phase, "neighbours of a sample");
        code =
            leave(&probing, &groups, 1, INFINITY, &centres_sha, &assigned_sha, &writer, out, error);
    }
    groups_clear(&groups);
    probing_clear(&probing);
    return code;
}

/* ---- lists from the results ---- */

/* The rows of the finished stage and their lists, in the order of the groups. */
typedef struct {
    payload_t probes;
    const uint32_t *group_begin;
    const uint32_t *row;
    size_t rows;
    uint32_t *neighbour; /* rows x k */
    float *d2;
    float *excess;      /* of the sample: rows x k */
    uint64_t searched;  /* cells, by all rows */
    uint32_t at_border; /* rows that searched more than their own */
} lists_t;

static void lists_clear(lists_t *self)
{
    payload_close(&self->probes);
    free(self->neighbour);
    free(self->d2);
    free(self->excess);
}

static int entry_good(const lists_t *self, const plan_t *plan, uint32_t partition, size_t row,
                      uint32_t k, uint32_t m)
{
    uint32_t slot = self->neighbour[row * k + m];
    float d2 = self->d2[row * k + m];
    if (slot == SLOT_NONE)
        return isinf(d2) && d2 > 0;
    if (slot == self->row[row] || slot < plan->partition_begin[partition] ||
        slot >= plan->partition_begin[partition + 1] || !(d2 >= 0 && d2 < INFINITY))
        return 0;
    uint32_t before = m > 0 ? self->neighbour[row * k + m - 1] : 0;
    float d2_before = m > 0 ? self->d2[row * k + m - 1] : -1;
    return d2_before < d2 || (d2_before == d2 && before < slot);
}

static int check_rows(const probing_t *self, const lists_t *lists, size_t begin, size_t end,
                      error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    for (size_t row = begin; row < end; row++) {
        uint32_t partition = self->cells.partition[self->cells.cell_of[lists->row[row]]];
        for (uint32_t m = 0; m < self->k; m++)
            if (!entry_good(lists, plan, partition, row, self->k, m))
                return error_set(error, ERR_SHAPE, "entry %u of the neighbours of slot %u is wrong",
                                 m, lists->row[row]);
        for (uint32_t m = 0; m < self->k && lists->excess != NULL; m++)
            if (!(lists->excess[row * self->k + m] >= 0)) /* the own centre is the nearest */
                return error_set(error, ERR_SHAPE, "excess %u of slot %u is negative", m,
                                 lists->row[row]);
    }
    return OK;
}

static void count_searched(lists_t *self, const uint32_t *searched, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        self->searched += searched[i];
        self->at_border += searched[i] > 1;
    }
}

static int take_task(const probing_t *self, uint32_t task, lists_t *lists, error_t *error)
{
    const stage_t *stage = &self->step->stage;
    payload_t result = {0};
    const uint32_t *neighbour = NULL, *searched = NULL;
    const float *d2 = NULL, *excess = NULL;
    uint32_t from = stage->segment_begin[task], to = stage->segment_begin[task + 1];
    size_t begin = lists->group_begin[stage->segments[from].begin];
    size_t end = lists->group_begin[stage->segments[to - 1].end]; /* groups are cut in order */
    size_t entries = (end - begin) * self->k;
    int code = result_open(&result, self->step->input, task, "probed", error);
    if (code == OK)
        code = payload_u32(&result, "neighbour", entries, &neighbour, error);
    if (code == OK)
        code = payload_f32(&result, "d2", entries, &d2, error);
    if (code == OK)
        code = payload_u32(&result, "searched", end - begin, &searched, error);
    if (code == OK && lists->excess != NULL)
        code = payload_f32(&result, "excess", entries, &excess, error);
    if (code == OK) {
        if (excess != NULL)
            memcpy(lists->excess + begin * self->k, excess, entries * sizeof *excess);
        count_searched(lists, searched, end - begin);
        memcpy(lists->neighbour + begin * self->k, neighbour, entries * sizeof *neighbour);
        memcpy(lists->d2 + begin * self->k, d2, entries * sizeof *d2);
        code = check_rows(self, lists, begin, end, error);
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

static int read_lists(const probing_t *self, int of_sample, lists_t *lists, error_t *error)
{
    const advance_input_t *input = self->step->input;
    const sha256_t *probes = step_input(self->step, "probes");
    size_t groups = 0;
    *lists = (lists_t){0};
    if (probes == NULL) {
        error_set(error, ERR_PROTOCOL, "the stage names no probes");
        return ERR_PROTOCOL;
    }
    int code = payload_open(&lists->probes, input, probes, "probes", error);
    if (code == OK)
        code = payload_list(&lists->probes, "group_begin", &lists->group_begin, &groups, error);
    if (code == OK)
        code = payload_list(&lists->probes, "row", &lists->row, &lists->rows, error);
    if (code != OK)
        return code;
    lists->neighbour = calloc(lists->rows * self->k + 1, sizeof *lists->neighbour);
    lists->d2 = calloc(lists->rows * self->k + 1, sizeof *lists->d2);
    if (of_sample)
        lists->excess = calloc(lists->rows * self->k + 1, sizeof *lists->excess);
    if (lists->neighbour == NULL || lists->d2 == NULL || (of_sample && lists->excess == NULL)) {
        error_set(error, ERR_MEMORY, "out of memory for %u neighbours of %zu rows", self->k,
                  lists->rows);
        return ERR_MEMORY;
    }
    for (uint32_t t = 0; t < self->step->stage.task_count && code == OK; t++) {
        code = advance_stopped(input, error);
        if (code == OK)
            code = take_task(self, t, lists, error);
    }
    return code;
}

/* ---- after the sample ---- */

static int compare_floats(const void *x, const void *y)
{
    float a = *(const float *)x, b = *(const float *)y;
    return a < b ? -1 : a > b;
}

/* The least margin within which the share of the sample's neighbours lies. */
static int choose_margin(const probing_t *self, const lists_t *sample, float *margin,
                         error_t *error)
{
    double target = self->step->input->spec->target_recall;
    size_t total = 0;
    float *excess = malloc((sample->rows * self->k + 1) * sizeof *excess);
    if (excess == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for a sample of %zu", sample->rows);
    for (size_t i = 0; i < sample->rows * self->k; i++)
        if (sample->neighbour[i] != SLOT_NONE)
            excess[total++] = sample->excess[i];
    qsort(excess, total, sizeof *excess, compare_floats);
    size_t rank = (size_t)ceil(target * (double)total);
    *margin = target >= 1 || total == 0 ? INFINITY : excess[rank > 0 ? rank - 1 : 0];
    free(excess);
    return OK;
}

/* The members of each cell are a group; cells that are near each other stand together, so that rows
 * that are searched for together look in the same ones. */
static int all_groups(probing_t *self, groups_t *groups, error_t *error)
{
    const cells_t *cells = &self->cells;
    uint32_t *order = malloc(((size_t)cells->count + 1) * sizeof *order);
    int code = order == NULL
                   ? error_set(error, ERR_MEMORY, "out of memory for %u cells", cells->count)
                   : groups_init(groups, cells->count, cells->plan->count, error);
    if (code == OK)
        code = cells_tour(cells, order, error);
    for (uint32_t i = 0, row = 0; i < cells->count && code == OK; i++) {
        uint32_t c = order[i], size = cells->begin[c + 1] - cells->begin[c];
        memcpy(groups->row + row, cells->member + cells->begin[c], size * sizeof *groups->row);
        row += size;
        add_group(groups, row,
                  plan_partition_size(cells->plan, cells->partition[c]) / SHARE_SEARCHED + 1);
    }
    free(order);
    return code;
}

/* Of work, so that a task has as many rows as it should. */
static uint64_t quantum_of(const plan_t *plan)
{
    uint32_t rows = plan->count / TASKS;
    rows = rows < ROWS_A_TASK_LEAST  ? ROWS_A_TASK_LEAST
           : rows > ROWS_A_TASK_MOST ? ROWS_A_TASK_MOST
                                     : rows;
    return (uint64_t)rows * (plan_largest_partition(plan) / SHARE_SEARCHED + 1);
}

static int after_sample(probing_t *self, const lists_t *sample, advance_output_t *out,
                        error_t *error)
{
    groups_t groups = {0};
    float margin = 0;
    int code = choose_margin(self, sample, &margin, error);
    if (code == OK)
        code = all_groups(self, &groups, error);
    if (code == OK) {
        columns_writer_t *writer = checkpoint_writer(&self->step->checkpoint, "state");
        columns_put(writer, "margin", COLUMN_F32, &margin, 1);
        columns_put(writer, "sample", COLUMN_U32, sample->row, sample->rows);
        columns_put(writer, "true", COLUMN_U32, sample->neighbour, sample->rows * self->k);
        snprintf(out->phase, sizeof out->phase, "neighbours, own cells and borders");
        code = leave(self, &groups, quantum_of(&self->step->checkpoint.plan), margin,
                     step_input(self->step, "centres"), step_input(self->step, "assigned"), &writer,
                     out, error);
    }
    groups_clear(&groups);
    return code;
}

/* ---- after all ---- */

/* Lists by slot: every slot is in one cell, so it is in one group. */
static int sort_lists(const probing_t *self, lists_t *lists, neighbour_lists_t *out, float **core,
                      error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    size_t n = plan->count, k = self->k;
    uint32_t min_samples = job_spec_min_samples(self->step->input->spec);
    uint32_t *neighbour = malloc((n * k + 1) * sizeof *neighbour);
    float *d2 = malloc((n * k + 1) * sizeof *d2);
    *core = malloc((n + 1) * sizeof **core);
    if (neighbour == NULL || d2 == NULL || *core == NULL || lists->rows != n) {
        free(neighbour);
        free(d2);
        error_set(error, ERR_MEMORY, "out of memory for the neighbours of %zu rows", n);
        return ERR_MEMORY;
    }
    for (size_t row = 0; row < n; row++) {
        size_t slot = lists->row[row];
        memcpy(neighbour + slot * k, lists->neighbour + row * k, k * sizeof *neighbour);
        memcpy(d2 + slot * k, lists->d2 + row * k, k * sizeof *d2);
        (*core)[slot] = min_samples <= 1      ? 0
                        : min_samples - 2 < k ? lists->d2[row * k + min_samples - 2]
                                              : INFINITY;
    }
    free(lists->neighbour);
    free(lists->d2);
    lists->neighbour = neighbour;
    lists->d2 = d2;
    *out = (neighbour_lists_t){.count = plan->count,
                               .k = self->k,
                               .neighbour = neighbour,
                               .d2 = d2,
                               .core = *core,
                               .partition_count = plan->partition_count,
                               .partition_begin = plan->partition_begin};
    return OK;
}

static int is_listed(const uint32_t *list, uint32_t k, uint32_t slot)
{
    for (uint32_t m = 0; m < k; m++)
        if (list[m] == slot)
            return 1;
    return 0;
}

/* Of the lists as they are, not of what was foretold. */
static int report_recall(const probing_t *self, const lists_t *searched,
                         const neighbour_lists_t *lists, error_t *error)
{
    const payload_t *state = &self->step->checkpoint.payload;
    const uint32_t *sample = NULL, *truth = NULL;
    size_t count = 0;
    uint64_t found = 0, total = 0;
    int code = payload_list(state, "sample", &sample, &count, error);
    if (code == OK)
        code = payload_u32(state, "true", count * self->k, &truth, error);
    if (code != OK)
        return code;
    for (size_t i = 0; i < count; i++)
        for (uint32_t m = 0; m < self->k; m++) {
            uint32_t slot = truth[i * self->k + m];
            total += slot != SLOT_NONE;
            found += slot != SLOT_NONE &&
                     is_listed(lists->neighbour + (size_t)sample[i] * self->k, self->k, slot);
        }
    step_report(self->step, "recall", json_real(total > 0 ? (double)found / (double)total : 1));
    step_report(self->step, "recall_sample", json_integer((json_int_t)count));
    step_report(self->step, "cells", json_integer(self->cells.count));
    step_report(self->step, "cells_searched",
                json_real((double)searched->searched / (double)(count > 0 ? lists->count : 1)));
    step_report(self->step, "border_rows", json_integer(searched->at_border));
    return OK;
}

/* What is not listed does not count: no edge is unknown. */
static int grow_forest(const probing_t *self, const neighbour_lists_t *lists, boruvka_t **out,
                       error_t *error)
{
    edge_t *bound = malloc(((size_t)lists->count + 1) * sizeof *bound);
    if (bound == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for the bounds of %u rows",
                         lists->count);
    for (uint32_t i = 0; i < lists->count; i++)
        bound[i] = edge_none();
    edge_t nothing;
    const boruvka_state_t state = {&nothing, 0, &nothing, 0, bound};
    int code = boruvka_new(lists, &state, out, error);
    free(bound);
    return code == OK ? boruvka_run(*out, self->step->input->stop, error) : code;
}

static int after_all(probing_t *self, lists_t *lists, advance_output_t *out, error_t *error)
{
    neighbour_lists_t sorted = {0};
    boruvka_t *boruvka = NULL;
    float *core = NULL;
    int code = sort_lists(self, lists, &sorted, &core, error);
    if (code == OK)
        code = report_recall(self, lists, &sorted, error);
    if (code == OK)
        code = grow_forest(self, &sorted, &boruvka, error);
    if (code == OK) {
        boruvka_state_t state = boruvka_state(boruvka);
        code = tree_cut(self->step, state.forest, state.forest_count, out, error);
    }
    boruvka_destroy(&boruvka);
    free(core);
    return code;
}

static int open_cells(probing_t *self, error_t *error)
{
    step_t *step = self->step;
    const plan_t *plan = &step->checkpoint.plan;
    const sha256_t *centres = step_input(step, "centres"), *assigned = step_input(step, "assigned");
    const uint32_t *label = NULL;
    if (centres == NULL || assigned == NULL) {
        error_set(error, ERR_PROTOCOL, "the stage names no cells");
        return ERR_PROTOCOL;
    }
    int code = centres_load(&self->centres, plan, step->input, centres, error);
    if (code == OK)
        code = payload_open(&self->assigned, step->input, assigned, "assigned", error);
    if (code == OK)
        code = payload_u32(&self->assigned, "label", plan->count, &label, error);
    return code == OK ? prepare(self, &self->centres, label, error) : code;
}

int probing_after_probe(step_t *self, advance_output_t *out, error_t *error)
{
    probing_t probing = {.step = self};
    lists_t lists = {0};
    const float *margin = NULL;
    int code = open_cells(&probing, error);
    if (code == OK)
        code = payload_f32(&self->checkpoint.payload, "margin", 1, &margin, error);
    if (code == OK)
        code = read_lists(&probing, *margin < 0, &lists, error);
    if (code == OK)
        code = *margin < 0 ? after_sample(&probing, &lists, out, error)
                           : after_all(&probing, &lists, out, error);
    lists_clear(&lists);
    probing_clear(&probing);
    return code;
}
