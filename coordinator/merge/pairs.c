/* pairs.c - the steps that find all pairs over a floor: codes where they pay, a count over a sample
 * of rows that foretells how many there will be, then the pairs themselves.
 *
 * They are the end of the algorithm `pairs` (clusters: what is connected) and the base of average
 * linkage over a sparse matrix. */
#include "coordinator/merge/coding.h"
#include "common/graph/disjoint_set.h"
#include "coordinator/merge/pair_table.h"
#include "coordinator/merge/steps.h"

#include "proto/pair_weight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_A_TASK 50000000u
#define CODED_PAIRS_A_TASK 340000000u
#define SLOTS_A_SEGMENT 256u
#define CODED_SLOTS_A_SEGMENT 4096u
#define SAMPLE_ROWS 1024u
#define SAMPLE_TASKS 4u /* each reads all columns */
/* A sample errs: only what is clearly too much is refused by it, the rest when it is counted. */
#define CLEARLY 1.25

typedef struct {
    uint32_t a;
    uint32_t b;
    float dist2;
} pair_t;

/* All pairs, by (a, b). */
typedef struct {
    step_t *step;
    pair_t *pair;
    size_t count;
    size_t capacity;
    double *factor;
    pair_weight_t weight;
} gather_t;

/* ---- asking ---- */

int pairs_save_weight(const step_t *self, sha256_t *out, error_t *error)
{
    const job_spec_t *spec = self->input->spec;
    double *factor = NULL;
    pair_weight_t weight;
    int code = pair_table_make(spec, &weight, &factor, error);
    if (code != OK)
        return code;
    const uint32_t shape[] = {weight.steps, weight.period};
    columns_writer_t *writer = columns_writer_new("weight");
    columns_put(writer, "floor", COLUMN_F64, &weight.floor, 1);
    columns_put(writer, "factor", COLUMN_F64, factor, weight.count * (weight.steps + 1));
    if (weight.steps > 0)
        columns_put(writer, "shape", COLUMN_U32, shape, 2);
    code = payload_save(self->input, &writer, out, error);
    free(factor);
    return code;
}

/* Rows evenly over all slots, one segment each: neighbours in the order look alike. */
static void cut_sample(const plan_t *plan, task_cutter_t *cutter)
{
    uint32_t p = 0;
    for (uint32_t i = 0; i < SAMPLE_ROWS; i++) {
        uint32_t slot = (uint32_t)((uint64_t)plan->count * i / SAMPLE_ROWS);
        if (i > 0 && slot == (uint32_t)((uint64_t)plan->count * (i - 1) / SAMPLE_ROWS))
            continue;
        while (slot >= plan->partition_begin[p + 1])
            p++;
        task_cutter_add(cutter, p, slot, slot + 1,
                        plan_pairs(plan, p) / plan_partition_size(plan, p) + 1);
    }
}

static void cut_all(const plan_t *plan, task_cutter_t *cutter)
{
    for (uint32_t p = 0; p < plan->partition_count; p++)
        if (plan_partition_size(plan, p) > 1)
            task_cutter_add(cutter, p, plan->partition_begin[p], plan->partition_begin[p + 1],
                            plan_pairs(plan, p) / 2 + 1);
}

static int leave_pairs(step_t *self, const coding_t *coding, int counting, advance_output_t *out,
                       error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    uint32_t quantum = coding != NULL ? CODED_PAIRS_A_TASK : PAIRS_A_TASK;
    uint64_t sample = (uint64_t)plan_largest_partition(plan) * SAMPLE_ROWS / SAMPLE_TASKS;
    task_cutter_t cutter;
    sha256_t weight;
    int code = pairs_save_weight(self, &weight, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_PAIRS, counting && sample > quantum ? sample : quantum,
                     coding != NULL ? CODED_SLOTS_A_SEGMENT : SLOTS_A_SEGMENT);
    if (counting)
        cut_sample(plan, &cutter);
    else
        cut_all(plan, &cutter);
    task_cutter_input(&cutter, "plan", &self->checkpoint.plan_sha);
    task_cutter_input(&cutter, "weight", &weight);
    if (coding != NULL)
        coding_put(coding, &cutter);
    task_cutter_param(&cutter, "counting", counting);
    task_cutter_param(&cutter, "limit", self->input->spec->max_pairs);
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    snprintf(out->phase, sizeof out->phase, counting ? "pairs, estimate" : "pairs");
    return checkpoint_leave(self->input, &cutter, &writer, out, error);
}

/* Where all pairs together are few there is nothing to foretell. */
static int ask(step_t *self, const coding_t *coding, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    uint64_t pairs = 0;
    for (uint32_t p = 0; p < plan->partition_count; p++)
        pairs += plan_pairs(plan, p) / 2;
    return leave_pairs(self, coding, pairs > self->input->spec->max_pairs, out, error);
}

static int finish(gather_t *self, advance_output_t *out, error_t *error);

int pairs_begin(step_t *self, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    gather_t none = {.step = self};
    if (plan_largest_partition(plan) < 2)
        return finish(&none, out, error);
    if (coding_pays(self->input->spec, plan, 1))
        return coding_begin(self, out, error);
    return ask(self, NULL, out, error);
}

int pairs_after_encode(step_t *self, advance_output_t *out, error_t *error)
{
    coding_t coding;
    int code = coding_after_encode(self, &coding, error);
    return code == OK ? ask(self, &coding, out, error) : code;
}

/* ---- the estimate ---- */

static int add_counts(const step_t *self, uint32_t task, uint64_t *rows, double *bins,
                      error_t *error)
{
    payload_t result = {0};
    const void *counted = NULL, *bin = NULL;
    int code = result_open(&result, self->input, task, "pair_counts", error);
    if (code == OK)
        code = columns_get(result.columns, "rows", COLUMN_U64, 1, &counted, NULL, error);
    if (code == OK)
        code = columns_get(result.columns, "bin", COLUMN_U64, PAIR_BINS, &bin, NULL, error);
    if (code == OK) {
        *rows += *(const uint64_t *)counted;
        for (size_t b = 0; b < PAIR_BINS; b++)
            bins[b] += (double)((const uint64_t *)bin)[b];
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

/* ERR_TOO_LARGE, with the floor that would do. */
static int refuse(const step_t *self, const double *bins, double scale, uint64_t rows,
                  error_t *error)
{
    const job_spec_t *spec = self->input->spec;
    double more = 0, expected = 0;
    size_t bin = PAIR_BINS;
    for (size_t b = 0; b < PAIR_BINS; b++)
        expected += bins[b] * scale;
    while (bin > 0 && (more + bins[bin - 1]) * scale <= spec->max_pairs)
        more += bins[--bin];
    double floor = spec->min_weight + (1 - spec->min_weight) * (double)bin / PAIR_BINS;
    char hint[96] = "";
    if (bin < PAIR_BINS)
        snprintf(hint, sizeof hint, "; with min_weight %.3f there would be about %.0f", floor,
                 more * scale);
    return error_field(error, ERR_TOO_LARGE, "params.max_pairs",
                       "about %.0f pairs weigh min_weight, %g, or more (by %llu of %u items), and "
                       "max_pairs is %u%s",
                       expected, spec->min_weight, (unsigned long long)rows,
                       self->checkpoint.plan.count, spec->max_pairs, hint);
}

static int after_estimate(step_t *self, advance_output_t *out, error_t *error)
{
    double bins[PAIR_BINS] = {0}, expected = 0;
    uint64_t rows = 0;
    coding_t coding;
    int code = OK;
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = add_counts(self, t, &rows, bins, error);
    if (code != OK)
        return code;
    double scale = rows > 0 ? (double)self->checkpoint.plan.count / (double)rows / 2 : 0;
    for (size_t b = 0; b < PAIR_BINS; b++)
        expected += bins[b] * scale;
    if (expected > CLEARLY * self->input->spec->max_pairs)
        return refuse(self, bins, scale, rows, error);
    step_report(self, "pairs_expected", json_integer((json_int_t)expected));
    return leave_pairs(self, coding_of(self, &coding) ? &coding : NULL, 0, out, error);
}

/* ---- the pairs ---- */

static int reserve(gather_t *self, size_t more, error_t *error)
{
    if (self->count + more > self->step->input->spec->max_pairs)
        return error_field(
            error, ERR_TOO_LARGE, "params.max_pairs",
            "more than max_pairs, %u, pairs weigh min_weight, %g, or more; raise one "
            "of them",
            self->step->input->spec->max_pairs, self->step->input->spec->min_weight);
    if (self->count + more <= self->capacity)
        return OK;
    size_t capacity = (self->count + more) * 2;
    pair_t *grown = realloc(self->pair, capacity * sizeof *grown);
    if (grown == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for %zu pairs", capacity);
    self->pair = grown;
    self->capacity = capacity;
    return OK;
}

/* Slots of one partition, and no distance that is none. */
static int check_pair(const plan_t *plan, pair_t pair, error_t *error)
{
    if (pair.a < pair.b && pair.b < plan->count && pair.dist2 >= 0 && pair.dist2 <= 8)
        return OK;
    return error_set(error, ERR_SHAPE, "the pair (%u, %u) at %g is none", pair.a, pair.b,
                     (double)pair.dist2);
}

static int take_task(gather_t *self, uint32_t task, error_t *error)
{
    payload_t result = {0};
    const uint32_t *a = NULL, *b = NULL;
    const float *dist2 = NULL;
    size_t count = 0;
    int code = result_open(&result, self->step->input, task, "pairs", error);
    if (code == OK)
        code = payload_list(&result, "a", &a, &count, error);
    if (code == OK)
        code = payload_u32(&result, "b", count, &b, error);
    if (code == OK)
        code = payload_f32(&result, "d2", count, &dist2, error);
    if (code == OK)
        code = reserve(self, count, error);
    for (size_t i = 0; i < count && code == OK; i++) {
        self->pair[self->count] = (pair_t){a[i], b[i], dist2[i]};
        code = check_pair(&self->step->checkpoint.plan, self->pair[self->count++], error);
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

static int by_slots(const void *x, const void *y)
{
    const pair_t *p = x, *q = y;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static int save_pairs(const gather_t *self, sha256_t *out, error_t *error)
{
    uint32_t *a = malloc((self->count + 1) * sizeof *a), *b = malloc((self->count + 1) * sizeof *b);
    float *dist2 = malloc((self->count + 1) * sizeof *dist2);
    int code = OK;
    if (!a || !b || !dist2)
        code = error_set(error, ERR_MEMORY, "out of memory for %zu pairs", self->count);
    for (size_t i = 0; i < self->count && code == OK; i++) {
        a[i] = self->pair[i].a;
        b[i] = self->pair[i].b;
        dist2[i] = self->pair[i].dist2;
    }
    if (code == OK) {
        columns_writer_t *writer = columns_writer_new("pairs");
        columns_put(writer, "a", COLUMN_U32, a, self->count);
        columns_put(writer, "b", COLUMN_U32, b, self->count);
        columns_put(writer, "d2", COLUMN_F32, dist2, self->count);
        code = payload_save(self->step->input, &writer, out, error);
    }
    free(a);
    free(b);
    free(dist2);
    return code;
}

/* ---- what is connected ---- */

static double weight_of(const gather_t *self, const pair_t *pair)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    int64_t days = plan->day != NULL ? (int64_t)plan->day[pair->b] - plan->day[pair->a] : 0;
    /* Undated ones stand in partitions of their own: both are DAY_NONE, none apart. */
    return pair_weight(&self->weight, pair->dist2, days);
}

/* Groups of slots that pairs connect; a member's strength is its heaviest pair. */
static int connect(gather_t *self, clustering_t *out, error_t *error)
{
    const plan_t *plan = &self->step->checkpoint.plan;
    uint32_t *set = malloc(((size_t)plan->count + 1) * sizeof *set);
    if (set == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for %u rows", plan->count);
    disjoint_set_init(set, plan->count);
    for (size_t i = 0; i < self->count; i++) {
        const pair_t *pair = &self->pair[i];
        float weight = (float)weight_of(self, pair);
        disjoint_set_join(set, pair->a, pair->b);
        out->strength[pair->a] = weight > out->strength[pair->a] ? weight : out->strength[pair->a];
        out->strength[pair->b] = weight > out->strength[pair->b] ? weight : out->strength[pair->b];
    }
    int code = OK;
    for (uint32_t p = 0; p < plan->partition_count && code == OK; p++) {
        uint32_t begin = plan->partition_begin[p], end = plan->partition_begin[p + 1];
        for (uint32_t i = begin; i < end; i++)
            out->label[i] =
                out->strength[i] > 0 ? (int32_t)(disjoint_set_find(set, i) - begin) : -1;
        code = clustering_append(out, p, begin, end, end - begin, NULL, error);
    }
    free(set);
    return code;
}

static int finish(gather_t *self, advance_output_t *out, error_t *error)
{
    step_t *step = self->step;
    clustering_t clustering = {0};
    sha256_t side;
    int code = save_pairs(self, &side, error);
    if (code != OK)
        return code;
    step_report(step, "pairs_found", json_integer((json_int_t)self->count));
    if (job_spec_sparse(step->input->spec))
        return agglomerative_after_pairs(step, &side, self->count, out, error);
    code = clustering_init(&clustering, step->checkpoint.plan.count, error);
    if (code == OK)
        code = connect(self, &clustering, error);
    if (code == OK) {
        step->side = &side;
        step->side_count = 1;
        code = summarise_begin(step, &clustering, out, error);
        step->side = NULL;
    }
    clustering_clear(&clustering);
    return code;
}

static int gather(gather_t *self, error_t *error)
{
    const job_spec_t *spec = self->step->input->spec;
    int code = pair_table_make(spec, &self->weight, &self->factor, error);
    for (uint32_t t = 0; t < self->step->stage.task_count && code == OK; t++) {
        code = advance_stopped(self->step->input, error);
        if (code == OK)
            code = take_task(self, t, error);
    }
    if (code == OK && self->count > 0)
        qsort(self->pair, self->count, sizeof *self->pair, by_slots);
    return code;
}

static int is_estimate(const stage_t *stage)
{
    for (size_t i = 0; i < stage->param_count; i++)
        if (!strcmp(stage->params[i].name, "counting"))
            return stage->params[i].value > 0;
    return 0;
}

int pairs_after_pairs(step_t *self, advance_output_t *out, error_t *error)
{
    gather_t all = {.step = self};
    if (is_estimate(&self->stage))
        return after_estimate(self, out, error);
    int code = gather(&all, error);
    if (code == OK)
        code = finish(&all, out, error);
    free(all.pair);
    free(all.factor);
    return code;
}
