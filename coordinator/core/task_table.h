/* task_table.h - the tasks of one stage: which are free, held, being saved, done.
 *
 * The lowest free task is found by a bitmap with a hint, so handing out a stage of n tasks costs
 * O(n) in all. Statuses change by the functions below only; they keep the counts right. */
#ifndef STAGE4_COORDINATOR_CORE_TASK_TABLE_H
#define STAGE4_COORDINATOR_CORE_TASK_TABLE_H

#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

#define TASK_TABLE_LIMIT (1u << 24) /* tasks in one stage */
#define TASK_NONE UINT32_MAX

typedef enum {
    TASK_FREE,   /* nobody has it */
    TASK_HELD,   /* at least one worker has it */
    TASK_SAVING, /* a result was accepted and is on its way to the ledger */
    TASK_DONE    /* its result is durable */
} task_status_t;

typedef struct {
    uint8_t status;
    uint8_t holders;   /* workers that have it and have not brought a result */
    uint32_t faults;   /* times that a worker died on it or failed it, or its payload was lost */
    uint32_t attempts; /* handed out so far; the newest attempt's number */
    sha256_t result;
} task_entry_t;

typedef struct {
    task_entry_t *entries;
    uint64_t *free_bits;
    size_t first_word; /* no free bit lies before it */
    uint32_t count;
    uint32_t free;
    uint32_t done;
    uint32_t timed; /* results that say how long a task takes */
    int64_t timed_ms;
} task_table_t;

void task_table_init(task_table_t *self, uint32_t count); /* count <= TASK_TABLE_LIMIT, all free */
void task_table_clear(task_table_t *self);

uint32_t task_table_in_flight(const task_table_t *self); /* held or being saved */
uint32_t task_table_first_free(task_table_t *self);      /* TASK_NONE when there is none */
void task_table_set(task_table_t *self, uint32_t task, task_status_t status);

/* What is not done is free again, and nobody is blamed for anything. */
void task_table_start_over(task_table_t *self);

void task_table_add_time(task_table_t *self, int64_t ms);
int64_t task_table_mean_ms(const task_table_t *self); /* -1 while nothing is known */

#endif
