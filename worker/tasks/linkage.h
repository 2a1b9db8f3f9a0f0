/* linkage.h - what linkage.c and linkage_sparse.c share. Inside those only. */
#ifndef STAGE4_WORKER_TASKS_LINKAGE_H
#define STAGE4_WORKER_TASKS_LINKAGE_H

#include "proto/pair_weight.h"
#include "worker/tasks/nn_chain.h"
#include "worker/tasks/task_state.h"

typedef struct {
    task_state_t *state;
    metric_t metric;
    linkage_method_t method;
    uint32_t count; /* of the partition that is worked on */
    const band_t *bands;
    uint32_t first; /* its first slot */
    float *values;
    double *matrix;
    /* results, over all partitions of the task */
    merge_t *merges;
    size_t merge_count;
    uint32_t *merge_begin;
    /* of a sparse matrix */
    columns_t *pairs; /* NULL: all distances count */
    columns_t *weights;
    pair_weight_t weight;
    size_t pair_count;
    const uint32_t *a;
    const uint32_t *b;
    const float *dist2;
} linkage_t;

/* The inputs "pairs" and "weight", checked. */
int linkage_open_pairs(linkage_t *self, error_t *error);
/* The tree of the partition's pairs, added to `merges`. */
int linkage_sparse(linkage_t *self, uint32_t partition, error_t *error);

#endif
