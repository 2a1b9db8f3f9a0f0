/* coded_sample.h - some slots with their codes, each with a distance that only less of matters.
 *
 * For k-means++: the distance is that to the nearest centre so far, and most slots are proven by
 * their codes to be no nearer to the next one. Codes stand in the order of the slots. */
#ifndef STAGE4_WORKER_TASKS_CODED_SAMPLE_H
#define STAGE4_WORKER_TASKS_CODED_SAMPLE_H

#include "worker/tasks/codes_view.h"

typedef struct {
    const codes_view_t *view;
    const int8_kernel_t *kernel;
    size_t count;
    int8_t *code;    /* count x width */
    int32_t *square; /* of the head's codes */
    int32_t *whole;  /* of all codes */
    int32_t *limit;
    double *reach;
    residual_t *residual;
    float usual; /* the largest residual of a head that is finite */
    /* the slot that the others are compared with */
    size_t centre;
    int32_t start;
} coded_sample_t;

/* All distances are INFINITY, and there is no centre yet. Zeroes first; clear in any case. */
int coded_sample_init(coded_sample_t *self, const task_state_t *state, const codes_view_t *view,
                      const uint32_t *slots, size_t count, error_t *error);
void coded_sample_clear(coded_sample_t *self);

/* From now on nothing farther than d2 matters to slot number `i`. */
void coded_sample_settle(coded_sample_t *self, size_t i, float d2);
/* The slots are compared with number `i` of them. */
void coded_sample_centre(coded_sample_t *self, size_t i);
/* Writes the numbers of [first, first + count), rising, that may be nearer to the centre than their
 * distances; returns how many. */
size_t coded_sample_near(const coded_sample_t *self, size_t first, size_t count, uint32_t *out);

#endif
