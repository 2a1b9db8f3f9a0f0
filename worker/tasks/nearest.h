/* nearest.h - the k nearest of one row, in the total order (d2, slot). */
#ifndef STAGE4_WORKER_TASKS_NEAREST_H
#define STAGE4_WORKER_TASKS_NEAREST_H

#include <stddef.h>
#include <stdint.h>

/* Puts (d2, slot) where it belongs among the k; returns 0 when it is beyond them. */
static inline int nearest_offer(float *distances, uint32_t *slots, size_t k, float d2,
                                uint32_t slot)
{
    size_t place = k;
    if (!k || d2 > distances[k - 1] || (d2 == distances[k - 1] && slot >= slots[k - 1]))
        return 0;
    while (--place &&
           (d2 < distances[place - 1] || (d2 == distances[place - 1] && slot < slots[place - 1]))) {
        distances[place] = distances[place - 1];
        slots[place] = slots[place - 1];
    }
    distances[place] = d2;
    slots[place] = slot;
    return 1;
}

#endif
