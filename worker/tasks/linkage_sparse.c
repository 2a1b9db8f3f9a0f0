/* linkage_sparse.c - the tree of a partition from its pairs over a floor: all others weigh 0. */
#include "worker/tasks/linkage.h"
#include "worker/tasks/weight_view.h"
#include "worker/tasks/sparse_chain.h"

#include <math.h>
#include <stdlib.h>

static int check_pairs(const linkage_t *self, error_t *error)
{
    for (size_t i = 0; i < self->pair_count; i++) {
        int sorted = i == 0 || self->a[i - 1] < self->a[i] ||
                     (self->a[i - 1] == self->a[i] && self->b[i - 1] < self->b[i]);
        if (!sorted || self->a[i] >= self->b[i] || self->b[i] >= self->state->plan.slots ||
            !(self->dist2[i] >= 0))
            return error_set(error, ERR_PROTOCOL, "pair %zu is none, or out of order", i);
    }
    return OK;
}

int linkage_open_pairs(linkage_t *self, error_t *error)
{
    const void *a, *b, *dist2;
    if (self->method != LINKAGE_AVERAGE)
        return error_set(error, ERR_PROTOCOL, "pairs are for average linkage");
    int code = task_state_input(self->state, "pairs", &self->pairs, error);
    if (!code)
        code = columns_get(self->pairs, "a", COLUMN_U32, SIZE_MAX, &a, &self->pair_count, error);
    if (!code)
        code = columns_get(self->pairs, "b", COLUMN_U32, self->pair_count, &b, NULL, error);
    if (!code)
        code = columns_get(self->pairs, "d2", COLUMN_F32, self->pair_count, &dist2, NULL, error);
    if (code)
        return code;
    self->a = a;
    self->b = b;
    self->dist2 = dist2;
    code = check_pairs(self, error);
    return code ? code : weight_view_open(self->state, &self->weights, &self->weight, error);
}

/* The first pair whose smaller slot is not below `slot`. */
static size_t pairs_from(const linkage_t *self, uint32_t slot)
{
    size_t low = 0, high = self->pair_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->a[middle] < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t whole_weight(const linkage_t *self, uint32_t partition, size_t i)
{
    const plan_view_t *plan = &self->state->plan;
    int dated = plan->day && plan->partition_window[partition] >= 0;
    int64_t days = dated ? (int64_t)plan->day[self->b[i]] - plan->day[self->a[i]] : 0;
    double weight = pair_weight(&self->weight, self->dist2[i], days);
    return weight > 0 ? (uint64_t)(weight * (double)SPARSE_ONE + 0.5) : 0;
}

int linkage_sparse(linkage_t *self, uint32_t partition, error_t *error)
{
    size_t begin = pairs_from(self, self->first);
    size_t end = pairs_from(self, self->first + self->count);
    size_t room = end > begin ? end - begin : 1;
    merge_t *out = self->merges + self->merge_count;
    uint32_t merges = 0;
    sparse_pair_t *pairs = malloc(room * sizeof *pairs);
    if (!pairs)
        return error_set(error, ERR_MEMORY, "no memory for %zu pairs", end - begin);
    int code = OK;
    for (size_t i = begin; i < end && !code; i++) {
        pairs[i - begin] = (sparse_pair_t){self->a[i] - self->first, self->b[i] - self->first,
                                           whole_weight(self, partition, i)};
        if (pairs[i - begin].b >= self->count)
            code = error_set(error, ERR_PROTOCOL, "pair %zu leaves its partition", i);
    }
    if (!code)
        code = sparse_chain(pairs, end - begin, self->count, self->state->context->stop, out,
                            &merges, error);
    for (uint32_t m = 0; m < merges && !code; m++) {
        out[m].a += self->first;
        out[m].b += self->first;
    }
    self->merge_count += merges;
    free(pairs);
    return code;
}
