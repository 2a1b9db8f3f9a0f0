/* coded.h - some places with their codes, and with their vectors where those are wanted. */
#ifndef STAGE4_WORKER_TASKS_CODED_H
#define STAGE4_WORKER_TASKS_CODED_H

#include "worker/tasks/codes_view.h"

typedef struct {
    size_t capacity;
    size_t count;
    size_t dimension;
    size_t width;
    uint32_t *place; /* rising */
    uint32_t *slot;
    int8_t *codes;   /* count x width */
    int32_t *sum;    /* of the head's codes */
    int32_t *square; /* of the head's codes, summed */
    int32_t *whole;  /* of all codes */
    float *residual_head;
    float *residual;
    const float **vector; /* NULL when not wanted */
    float *room;          /* for those that are not kept elsewhere */
    uint32_t *rows;
} coded_t;

int coded_init(coded_t *self, size_t capacity, const codes_view_t *view, int with_vectors,
               error_t *error);
void coded_clear(coded_t *self);

/* Fills in what belongs to place[0 .. count), which the caller has set, but for the sums. */
int coded_read(coded_t *self, const codes_view_t *view, const task_state_t *state, error_t *error);
/* Fills in `sum` too, which the rows of a sweep need. */
void coded_sum(coded_t *self, const codes_view_t *view);

#endif
