#include "worker/tasks/select.h"

static void swap(float *values, size_t i, size_t j)
{
    float kept = values[i];
    values[i] = values[j];
    values[j] = kept;
}

/* The middle one of the first, the middle and the last value. */
static float pivot_of(const float *values, size_t low, size_t high)
{
    float a = values[low], b = values[low + (high - low) / 2], c = values[high];
    if (a > b) {
        float kept = a;
        a = b;
        b = kept;
    }
    return c < a ? a : c > b ? b : c;
}

/* Hoare's selection: [low, high] always holds the rank looked for. */
float select_rank(float *values, size_t count, size_t rank)
{
    size_t low = 0;
    size_t high = count - 1;
    while (low < high) {
        float pivot = pivot_of(values, low, high);
        size_t i = low;
        size_t j = high + 1; /* one past, so that it never falls below zero */
        while (i < j) {
            while (values[i] < pivot)
                i++;
            while (values[j - 1] > pivot)
                j--;
            if (i < j)
                swap(values, i++, --j);
        }
        if (rank < j)
            high = j - 1;
        else if (rank >= i)
            low = i;
        else
            return values[rank];
    }
    return values[low];
}
