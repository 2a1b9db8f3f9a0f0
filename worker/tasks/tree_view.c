#include "worker/tasks/tree_view.h"

#include <stdlib.h>

static int read_edges(tree_view_t *self, error_t *error)
{
    const void *a, *b, *weight;
    int code = columns_get(self->columns, "a", COLUMN_U32, SIZE_MAX, &a, &self->edge_count, error);
    size_t count = self->edge_count;
    if (!code)
        code = columns_get(self->columns, "b", COLUMN_U32, count, &b, NULL, error);
    if (!code)
        code = columns_get(self->columns, "weight", COLUMN_F32, count, &weight, NULL, error);
    if (code)
        return code;
    self->edges = malloc((count + 1) * sizeof *self->edges);
    if (!self->edges)
        return error_set(error, ERR_MEMORY, "no memory for %zu edges", count);
    for (size_t i = 0; i < count; i++)
        self->edges[i] = (edge_t){((const float *)weight)[i], ((const uint32_t *)a)[i],
                                  ((const uint32_t *)b)[i]};
    return OK;
}

/* Ends in one partition, and a forest; the order of its parts is then one of partitions too. */
static int check_edges(tree_view_t *self, const plan_view_t *plan, error_t *error)
{
    uint32_t slots = plan->slots;
    int code = bottleneck_new(slots, self->edges, self->edge_count, &self->ways, error);
    if (code)
        return code == ERR_MEMORY ? code : error_set(error, ERR_PROTOCOL, "tree: not a forest");
    const uint32_t *order = bottleneck_order(self->ways);
    for (uint32_t p = 0; p < plan->partitions; p++)
        for (uint32_t at = plan->partition_begin[p]; at < plan->partition_begin[p + 1]; at++)
            if (order[at] < plan->partition_begin[p] || order[at] >= plan->partition_begin[p + 1])
                return error_set(error, ERR_PROTOCOL, "tree: slot %u is joined beyond partition %u",
                                 order[at], p);
    self->begin = malloc(((size_t)slots + 1) * sizeof *self->begin);
    self->heaviest = malloc(((size_t)slots + 1) * sizeof *self->heaviest);
    if (!self->begin || !self->heaviest)
        return error_set(error, ERR_MEMORY, "no memory for a tree of %u slots", slots);
    bottleneck_before(self->ways, self->begin, self->heaviest);
    return OK;
}

int tree_view_open(tree_view_t *self, const task_state_t *state, error_t *error)
{
    const void *core, *bound;
    size_t slots = state->plan.slots;
    *self = (tree_view_t){0};
    int code = task_state_input(state, "tree", &self->columns, error);
    if (!code)
        code = columns_get(self->columns, "core", COLUMN_F32, slots, &core, NULL, error);
    if (!code)
        code = columns_get(self->columns, "bound", COLUMN_F32, slots, &bound, NULL, error);
    if (!code) {
        self->core = core;
        self->bound = bound;
        code = read_edges(self, error);
    }
    if (!code)
        code = check_edges(self, &state->plan, error);
    if (code)
        tree_view_close(self);
    return code;
}

void tree_view_close(tree_view_t *self)
{
    columns_close(&self->columns);
    bottleneck_destroy(&self->ways);
    free(self->edges);
    free(self->begin);
    free(self->heaviest);
    *self = (tree_view_t){0};
}
