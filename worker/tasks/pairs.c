/* pairs.c - all pairs over a floor of the pair weight: of blocks of rows, or counted for a sample.
 *
 * A pair is ruled out by a screen with one fixed threshold, and what is left is measured by the
 * canonical distance and weighed; so the pairs are exact. */
#include "worker/tasks/pairs.h"

#include "worker/tasks/weight_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MOST ((uint64_t)1 << 32)

int pairs_over(const pairs_t *self)
{
    return atomic_load(&self->failed) || atomic_load(&self->total) > self->limit;
}

static void keep(pairs_t *self, size_t row, found_t found)
{
    row_pairs_t *list = &self->row[row];
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        found_t *grown = realloc(list->found, capacity * sizeof *grown);
        if (!grown) {
            atomic_store(&self->failed, 1);
            return;
        }
        list->found = grown;
        list->capacity = capacity;
    }
    list->found[list->count++] = found;
}

void pairs_offer(pairs_t *self, size_t row, uint32_t slot, uint32_t other, const float *vector,
                 const float *other_vector)
{
    const plan_view_t *plan = &self->state->plan;
    dist2_fn one = compute_dist2(self->state->context->compute)->one;
    float dist2 = one(vector, other_vector, self->state->dimension);
    int dated = plan->day && plan->partition_window[self->partition] >= 0;
    int64_t days = dated ? (int64_t)plan->day[slot] - plan->day[other] : 0;
    double weight = pair_weight(&self->weight, dist2, days);
    if (!(weight >= self->weight.floor))
        return;
    if (self->counting) {
        self->bins[row][pair_bin(self->weight.floor, weight)]++;
        return;
    }
    atomic_fetch_add(&self->total, 1);
    keep(self, row, (found_t){slot < other ? slot : other, slot < other ? other : slot, dist2});
}

int pairs_prepare(pairs_t *self, size_t block_rows, error_t *error)
{
    self->row_capacity = block_rows;
    self->row = calloc(block_rows + 1, sizeof *self->row);
    if (self->counting)
        self->bins = calloc(block_rows + 1, sizeof *self->bins);
    if (!self->row || (self->counting && !self->bins))
        return error_set(error, ERR_MEMORY, "no memory for the pairs of %zu rows", block_rows);
    return OK;
}

size_t pairs_next_rows(pairs_t *self, size_t block_rows, uint32_t *segment, uint32_t *at,
                       uint32_t *out)
{
    const task_t *task = self->state->task;
    size_t count = 0;
    while (*segment < task->segment_count && count < block_rows) {
        const segment_t *from = &task->segments[*segment];
        if (count > 0 && from->partition != self->partition)
            break;
        self->partition = from->partition;
        while (count < block_rows && from->begin + *at < from->end)
            out[count++] = from->begin + (*at)++;
        if (from->begin + *at < from->end)
            break;
        ++*segment;
        *at = 0;
    }
    self->rows = count;
    return count;
}

static int take(pairs_t *self, const row_pairs_t *list)
{
    if (self->found_count + list->count > self->found_capacity) {
        size_t capacity = (self->found_count + list->count) * 2 + 64;
        found_t *grown = realloc(self->found, capacity * sizeof *grown);
        if (!grown)
            return 0;
        self->found = grown;
        self->found_capacity = capacity;
    }
    if (list->count)
        memcpy(self->found + self->found_count, list->found, list->count * sizeof *list->found);
    self->found_count += list->count;
    return 1;
}

int pairs_end_block(pairs_t *self, error_t *error)
{
    int whole = !atomic_load(&self->failed);
    if (atomic_load(&self->total) > self->limit)
        return error_field(error, ERR_USAGE, "params.max_pairs",
                           "more than %llu pairs weigh min_weight, %g, or more; raise "
                           "min_weight or max_pairs",
                           (unsigned long long)self->limit, self->weight.floor);
    for (size_t row = 0; row < self->rows && whole; row++) {
        whole = self->counting || take(self, &self->row[row]);
        self->row[row].count = 0;
        for (size_t b = 0; b < PAIR_BINS && self->counting; b++) {
            self->sum[b] += self->bins[row][b];
            self->bins[row][b] = 0;
        }
    }
    self->counted += self->rows;
    return whole ? OK : error_set(error, ERR_MEMORY, "no memory for the pairs of a task");
}

/* ---- the task ---- */

static int read_weight(pairs_t *self, error_t *error)
{
    int code = weight_view_open(self->state, &self->columns, &self->weight, error);
    if (!code)
        self->threshold = weight_view_threshold(&self->weight);
    return code;
}

static int read_params(pairs_t *self, error_t *error)
{
    uint64_t counting = 0;
    size_t slots = 0;
    int code = task_state_whole(self->state, "counting", 0, 1, &counting, error);
    if (!code)
        code = task_state_whole(self->state, "limit", 1, LIMIT_MOST, &self->limit, error);
    if (!code)
        code = task_state_slots(self->state, &slots, error);
    self->counting = (int)counting;
    return code ? code : read_weight(self, error);
}

static int by_slots(const void *x, const void *y)
{
    const found_t *p = x, *q = y;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static int write_pairs(pairs_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    size_t count = self->found_count;
    uint32_t *a = malloc((count + 1) * sizeof *a), *b = malloc((count + 1) * sizeof *b);
    float *dist2 = malloc((count + 1) * sizeof *dist2);
    int code = OK;
    if (!a || !b || !dist2) {
        code = error_set(error, ERR_MEMORY, "no memory for %zu pairs", count);
        goto done;
    }
    if (count)
        qsort(self->found, count, sizeof *self->found, by_slots);
    for (size_t i = 0; i < count; i++) {
        a[i] = self->found[i].a;
        b[i] = self->found[i].b;
        dist2[i] = self->found[i].dist2;
    }
    columns_writer_t *writer = columns_writer_new("pairs");
    columns_put(writer, "a", COLUMN_U32, a, count);
    columns_put(writer, "b", COLUMN_U32, b, count);
    columns_put(writer, "d2", COLUMN_F32, dist2, count);
    code = columns_writer_finish(&writer, payload, length, error);
done:
    free(a);
    free(b);
    free(dist2);
    return code;
}

static int write_counts(const pairs_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    columns_writer_t *writer = columns_writer_new("pair_counts");
    columns_put(writer, "rows", COLUMN_U64, &self->counted, 1);
    columns_put(writer, "bin", COLUMN_U64, self->sum, PAIR_BINS);
    return columns_writer_finish(&writer, payload, length, error);
}

static void clear(pairs_t *self)
{
    for (size_t i = 0; self->row && i < self->row_capacity; i++)
        free(self->row[i].found);
    free(self->row);
    free(self->bins);
    free(self->found);
    columns_close(&self->columns);
}

int task_pairs(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    pairs_t self = {.state = state};
    int code = read_params(&self, error);
    if (!code)
        code = codes_view_given(state) ? pairs_coded(&self, error) : pairs_plain(&self, error);
    if (!code)
        code = self.counting ? write_counts(&self, payload, length, error)
                             : write_pairs(&self, payload, length, error);
    clear(&self);
    return code;
}
