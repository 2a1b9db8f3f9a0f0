#include "coordinator/core/memory.h"

#include <stdint.h>
#include <stdlib.h>

void *core_allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

void *core_room(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t grown = *capacity ? *capacity * 2 : 8;
    if (grown > SIZE_MAX / size)
        abort();
    void *memory = realloc(items, grown * size);
    if (!memory)
        abort();
    *capacity = grown;
    return memory;
}
