/* nearest.h - the k nearest of one row, in the total order (d2, slot). */
#ifndef STAGE4_WORKER_TASKS_NEAREST_H
#define STAGE4_WORKER_TASKS_NEAREST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Puts (d2, slot) where it belongs among the k; returns 0 when it is beyond them. */
static inline int nearest_offer(float *distances, uint32_t *slots, size_t k, float d2,
                                uint32_t slot)
{
    size_t place = k;
    while (place &&
           (d2 < distances[place - 1] || (d2 == distances[place - 1] && slot < slots[place - 1])))
        place--;
    if (place == k)
        return 0;
    size_t moved = k - 1 - place;
    memmove(distances + place + 1, distances + place, moved * sizeof *distances);
    memmove(slots + place + 1, slots + place, moved * sizeof *slots);
    distances[place] = d2;
    slots[place] = slot;
    return 1;
}

#endif
