#include "coordinator/plan/task_cutter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A task reads its rows and columns, so many pairs must share them; and there must be enough tasks
 * for many workers to come to an end together. A pair takes 1 to 3 ns of a core. */
#define PATCHES_WANTED 20
#define PATCH_PAIRS_MIN 20000000u
#define PATCH_PAIRS_MAX 1000000000u
#define EVEN_TASKS 12         /* 2, 3, 4 or 6 workers do as many each */
#define PATCH_ROWS_MAX 12288u /* whose vectors a task may hold in memory: 38 MB */

void task_cutter_init(task_cutter_t *self, task_kind_t kind, uint64_t quantum, uint32_t units_min)
{
    *self = (task_cutter_t){.stage = {.kind = kind}, .quantum = quantum, .units_min = units_min};
}

void task_cutter_clear(task_cutter_t *self)
{
    stage_clear(&self->stage);
    *self = (task_cutter_t){0};
}

static int grow_tasks(task_cutter_t *self)
{
    stage_t *stage = &self->stage;
    if ((size_t)stage->task_count + 2 <= self->task_capacity)
        return 1;
    size_t capacity = self->task_capacity ? self->task_capacity * 2 : 64;
    uint32_t *begin = realloc(stage->segment_begin, capacity * sizeof *begin);
    if (begin != NULL)
        stage->segment_begin = begin;
    uint64_t *work = realloc(stage->work, capacity * sizeof *work);
    if (work != NULL)
        stage->work = work;
    if (begin == NULL || work == NULL)
        return 0;
    self->task_capacity = capacity;
    return 1;
}

static int grow_segments(task_cutter_t *self)
{
    if (self->segment_count < self->segment_capacity)
        return 1;
    size_t capacity = self->segment_capacity ? self->segment_capacity * 2 : 64;
    segment_t *segments = realloc(self->stage.segments, capacity * sizeof *segments);
    if (segments == NULL)
        return 0;
    self->stage.segments = segments;
    self->segment_capacity = capacity;
    return 1;
}

static void add_segment(task_cutter_t *self, segment_t segment)
{
    stage_t *stage = &self->stage;
    if (self->failed || !grow_segments(self)) {
        self->failed = 1;
        return;
    }
    stage->segments[self->segment_count++] = segment;
    stage->segment_begin[stage->task_count] = (uint32_t)self->segment_count;
}

/* Into the task under way while it stays within the quantum, else into a new one. */
static void add_piece(task_cutter_t *self, segment_t segment, uint64_t work)
{
    stage_t *stage = &self->stage;
    if (self->failed || !grow_tasks(self)) {
        self->failed = 1;
        return;
    }
    int fits = stage->task_count > 0 && stage->work[stage->task_count - 1] + work <= self->quantum;
    if (!fits) {
        stage->segment_begin[stage->task_count] = (uint32_t)self->segment_count;
        stage->work[stage->task_count++] = 0;
    }
    stage->work[stage->task_count - 1] += work;
    add_segment(self, segment);
}

uint64_t task_cutter_even(uint64_t units, uint64_t most, uint64_t least)
{
    uint64_t tasks = EVEN_TASKS * (units / (EVEN_TASKS * most + 1) + 1);
    if (units / tasks < least)
        tasks = units / least > 0 ? units / least : 1;
    return units / tasks + 1; /* task_cutter_add makes a piece of each whole quantum and one more */
}

uint64_t task_cutter_quantum(double pairs)
{
    double quantum = pairs / PATCHES_WANTED;
    return quantum < PATCH_PAIRS_MIN   ? PATCH_PAIRS_MIN
           : quantum > PATCH_PAIRS_MAX ? PATCH_PAIRS_MAX
                                       : (uint64_t)quantum;
}

uint32_t task_cutter_rows(uint64_t quantum)
{
    uint32_t rows = (uint32_t)sqrt((double)quantum);
    return rows < PATCH_ROWS_MAX ? rows : PATCH_ROWS_MAX;
}

void task_cutter_patch(task_cutter_t *self, segment_t rows, segment_t columns, uint64_t work)
{
    add_piece(self, rows, work);
    add_segment(self, columns);
}

void task_cutter_add(task_cutter_t *self, uint32_t partition, uint32_t begin, uint32_t end,
                     uint64_t work)
{
    if (begin >= end)
        return;
    uint64_t units = end - begin;
    uint64_t pieces = work / self->quantum + 1;
    if (pieces > units / self->units_min)
        pieces = units / self->units_min;
    if (pieces == 0)
        pieces = 1;
    for (uint64_t i = 0; i < pieces; i++) {
        uint64_t from = units * i / pieces, to = units * (i + 1) / pieces;
        /* In floating point: units times work may pass 64 bits. */
        uint64_t share = (uint64_t)((double)work * (double)(to - from) / (double)units);
        add_piece(self, (segment_t){partition, begin + (uint32_t)from, begin + (uint32_t)to},
                  share > 0 ? share : 1);
    }
}

void task_cutter_input(task_cutter_t *self, const char *name, const sha256_t *sha256)
{
    if (self->stage.input_count >= STAGE_INPUT_LIMIT) {
        self->failed = 1;
        return;
    }
    stage_input_t *input = &self->stage.inputs[self->stage.input_count++];
    snprintf(input->name, sizeof input->name, "%s", name);
    input->sha256 = *sha256;
}

void task_cutter_param(task_cutter_t *self, const char *name, double value)
{
    if (self->stage.param_count >= STAGE_PARAM_LIMIT) {
        self->failed = 1;
        return;
    }
    stage_param_t *param = &self->stage.params[self->stage.param_count++];
    snprintf(param->name, sizeof param->name, "%s", name);
    param->value = value;
}

int task_cutter_finish(task_cutter_t *self, uint8_t **bytes, size_t *length, uint32_t *task_count,
                       uint64_t *work, error_t *error)
{
    int code;
    *task_count = self->stage.task_count;
    *work = 0;
    if (self->failed || self->stage.task_count == 0) {
        code = error_set(error, self->failed ? ERR_MEMORY : ERR_INTERNAL, "%s",
                         self->failed ? "out of memory for tasks" : "a stage without tasks");
    } else {
        for (uint32_t t = 0; t < self->stage.task_count; t++)
            *work += self->stage.work[t];
        code = stage_encode(&self->stage, bytes, length, error);
    }
    task_cutter_clear(self);
    return code;
}
