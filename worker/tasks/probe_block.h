/* probe_block.h - some rows of one partition that search together, and their lists so far.
 *
 * A thread's own: nothing is shared, so neither threads nor SIMD width can show. A list holds the k
 * nearest of what its row has met, in the order (d2, slot). */
#ifndef STAGE4_WORKER_TASKS_PROBE_BLOCK_H
#define STAGE4_WORKER_TASKS_PROBE_BLOCK_H

#include "worker/tasks/cell_centres.h"
#include "worker/tasks/probes.h"

#define PROBE_ROWS 2048 /* at once */
#define PROBE_PAIRS 64  /* measured together */
#define ROW_NONE UINT32_MAX

/* What all threads of a task read. */
typedef struct {
    const task_state_t *state;
    const probes_t *probes;
    const codes_view_t *view;
    const cell_centres_t *cells;
    const int8_kernel_t *kernel;
    const uint32_t *column_of; /* by slot: which member of its cell it is */
    const int32_t *square;     /* by place: of the head's codes */
    const int32_t *whole;      /* by place: of all codes */
    float usual;               /* the largest residual that is finite */
    size_t k;
    size_t largest;       /* members of a cell */
    size_t cells_at_most; /* of a partition */
    float margin;         /* INFINITY: all cells */
} probe_setting_t;

/* Pairs on their way: a row, and a column that may be another row of the block. */
typedef struct {
    size_t count;
    uint32_t row[PROBE_PAIRS];
    uint32_t other[PROBE_PAIRS]; /* ROW_NONE: the column wants nothing */
    uint32_t slot[PROBE_PAIRS];  /* of the column */
    const float *a[PROBE_PAIRS];
    const float *b[PROBE_PAIRS];
} probe_pairs_t;

typedef struct {
    const probe_setting_t *setting;
    size_t count;
    uint32_t *slot;
    uint32_t *row; /* of the index */
    uint32_t *place;
    uint32_t *cell; /* its own */
    int8_t *code;   /* whole codes, one row after another */
    int32_t *head_sum;
    int32_t *sum;
    int32_t *square;
    int32_t *whole;
    int32_t *limit;
    uint8_t *stale; /* the list has become nearer since the limit was set */
    float *own;     /* d2 of the own cell's centre */
    float *room;
    const float **vector;
    uint32_t *neighbour; /* the caller's, count x k */
    float *d2;
    probe_pairs_t pairs;
} probe_block_t;

/* `setting` is borrowed. Clear in any case. ERR_MEMORY. */
int probe_block_init(probe_block_t *self, const probe_setting_t *setting, error_t *error);
void probe_block_clear(probe_block_t *self);

/* At most PROBE_ROWS slots of the partition; their lists are emptied. */
int probe_block_read(probe_block_t *self, uint32_t partition, const uint32_t *slots, size_t count,
                     uint32_t *neighbour, float *d2, error_t *error);

/* Measures the pairs that are on their way. */
void probe_block_flush(probe_block_t *self);

/* A pair that neither list holds (probe_block_holds) and one of them may take; `column` stays where
 * it is until the pair is measured. */
static inline void probe_block_meet(probe_block_t *self, uint32_t row, uint32_t other,
                                    uint32_t slot, const float *column)
{
    probe_pairs_t *pairs = &self->pairs;
    size_t i = pairs->count++;
    pairs->row[i] = row;
    pairs->other[i] = other;
    pairs->slot[i] = slot;
    pairs->a[i] = self->vector[row];
    pairs->b[i] = column;
    if (pairs->count == PROBE_PAIRS)
        probe_block_flush(self);
}

/* Nothing is nearer than 0: a list of duplicates takes smaller slots only. */
static inline int probe_block_may_take(const probe_block_t *self, uint32_t row, uint32_t slot)
{
    size_t last = row * self->setting->k + self->setting->k - 1;
    return self->d2[last] > 0 || slot < self->neighbour[last];
}

/* Whether the slot is in the row's list already. */
static inline int probe_block_holds(const probe_block_t *self, uint32_t row, uint32_t slot)
{
    const uint32_t *list = self->neighbour + row * self->setting->k;
    int found = 0;
    for (size_t m = 0; m < self->setting->k; m++)
        found |= list[m] == slot;
    return found;
}

/* What whole codes must reach for the row to want a column (codes.h). */
int32_t probe_block_settle(probe_block_t *self, uint32_t row);
static inline int32_t probe_block_limit(probe_block_t *self, uint32_t row)
{
    return self->stale[row] ? probe_block_settle(self, row) : self->limit[row];
}

#endif
