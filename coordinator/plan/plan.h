/* plan.h - which rows take part in a job, and in what order (payload kind "plan").
 *
 * A slot is a position in that order; slots of a partition are successive. proto/payload.h. */
#ifndef STAGE4_COORDINATOR_PLAN_PLAN_H
#define STAGE4_COORDINATOR_PLAN_PLAN_H

#include "common/error.h"
#include "proto/job_spec.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t count;
    uint32_t *rows;
    int32_t *day; /* NULL without a window */
    uint32_t partition_count;
    uint32_t *partition_begin; /* partition_count + 1 */
    int32_t *partition_window; /* days either way, -1 none */
    char **partition_name;
    uint32_t dimension;
} plan_t;

/* Arrays for `count` slots and `partitions` partitions, uninitialised. ERR_MEMORY. */
int plan_init(plan_t *self, uint32_t count, uint32_t partitions, int with_days, error_t *error);
void plan_clear(plan_t *self);

int plan_encode(const plan_t *self, uint8_t **bytes, size_t *length, error_t *error);
/* Checked: begins ascend from 0 to count. ERR_PROTOCOL. */
int plan_decode(const void *bytes, size_t length, plan_t *out, error_t *error);

uint32_t plan_partition_size(const plan_t *self, uint32_t partition);
uint32_t plan_largest_partition(const plan_t *self);

/* How many pairs (row, other row) the partition has in all: its size squared, or what lies in the
 * window's band. */
uint64_t plan_pairs(const plan_t *self, uint32_t partition);

/* How many neighbours of each row hdbscan lists, in partitions of up to `largest` rows. */
uint32_t plan_list_length(const job_spec_t *spec, uint32_t largest);

#endif
