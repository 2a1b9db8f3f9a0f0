/* plan_view.h - the "plan" payload (proto/payload.h), checked once and then trusted. */
#ifndef STAGE4_WORKER_TASKS_PLAN_VIEW_H
#define STAGE4_WORKER_TASKS_PLAN_VIEW_H

#include "common/error.h"
#include "proto/columns.h"
#include "proto/payload.h"
#include "proto/stage.h"

#include <stddef.h>
#include <stdint.h>

/* Arrays point into the payload's bytes. */
typedef struct {
    columns_t *columns;
    uint32_t slots; /* n */
    uint32_t partitions;
    uint32_t dimension;
    const uint32_t *rows;
    const int32_t *day; /* NULL: no partition has a window */
    const uint32_t *partition_begin;
    const int32_t *partition_window;
} plan_view_t;

/* Slots from `begin` up to, not with, `end`. */
typedef struct {
    uint32_t begin;
    uint32_t end;
} band_t;

/* `index_rows` is what every row must be below. ERR_PROTOCOL says what does not fit. */
int plan_view_open(plan_view_t *self, const void *bytes, size_t length, uint32_t index_rows,
                   error_t *error);
void plan_view_close(plan_view_t *self);

/* The slots of a partition that `slot` of it may be compared with, itself among them: all of them,
 * or those at most the partition's window away in days. */
band_t plan_view_band(const plan_view_t *self, uint32_t partition, uint32_t slot);

/* ERR_PROTOCOL unless the segment is a range of slots of its partition. */
int plan_view_check(const plan_view_t *self, const segment_t *segment, error_t *error);

#endif
