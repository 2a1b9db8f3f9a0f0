#include "common/input/arena.h"

#include <sys/mman.h>

int arena_reserve(arena_t *self, size_t capacity)
{
    *self = (arena_t){NULL, 0, 0};
    if (capacity == 0)
        capacity = 1; /* an empty arena has an address too */
    void *base = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return 0;
    *self = (arena_t){base, 0, capacity};
    return 1;
}

void arena_release(arena_t *self)
{
    if (self->base != NULL)
        munmap(self->base, self->capacity);
    *self = (arena_t){NULL, 0, 0};
}

void *arena_take(arena_t *self, size_t bytes)
{
    if (bytes > self->capacity - self->used)
        return NULL;
    void *taken = self->base + self->used;
    self->used += bytes;
    return taken;
}
