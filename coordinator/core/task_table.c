#include "coordinator/core/task_table.h"

#include "coordinator/core/memory.h"

#include <stdlib.h>
#include <string.h>

static size_t words_of(uint32_t count) { return ((size_t)count + 63) / 64; }

void task_table_init(task_table_t *self, uint32_t count)
{
    memset(self, 0, sizeof *self);
    self->count = count;
    self->free = count;
    self->entries = core_allocate(count, sizeof *self->entries);
    self->free_bits = core_allocate(words_of(count), sizeof *self->free_bits);
    for (uint32_t task = 0; task < count; task++)
        self->free_bits[task / 64] |= 1ull << (task % 64);
}

void task_table_clear(task_table_t *self)
{
    free(self->entries);
    free(self->free_bits);
    memset(self, 0, sizeof *self);
}

uint32_t task_table_in_flight(const task_table_t *self)
{
    return self->count - self->free - self->done;
}

uint32_t task_table_first_free(task_table_t *self)
{
    if (self->free == 0)
        return TASK_NONE;
    while (self->free_bits[self->first_word] == 0)
        self->first_word++;
    uint64_t word = self->free_bits[self->first_word];
    return (uint32_t)(self->first_word * 64 + (size_t)__builtin_ctzll(word));
}

static void set_free_bit(task_table_t *self, uint32_t task, int is_free)
{
    size_t word = task / 64;
    uint64_t bit = 1ull << (task % 64);
    if (!is_free) {
        self->free_bits[word] &= ~bit;
        self->free--;
        return;
    }
    self->free_bits[word] |= bit;
    self->free++;
    if (word < self->first_word)
        self->first_word = word;
}

void task_table_set(task_table_t *self, uint32_t task, task_status_t status)
{
    task_entry_t *entry = &self->entries[task];
    task_status_t before = entry->status;
    if (before == status)
        return;
    if (before == TASK_FREE || status == TASK_FREE)
        set_free_bit(self, task, status == TASK_FREE);
    if (before == TASK_DONE)
        self->done--;
    if (status == TASK_DONE)
        self->done++;
    entry->status = (uint8_t)status;
}

void task_table_start_over(task_table_t *self)
{
    for (uint32_t task = 0; task < self->count; task++) {
        task_entry_t *entry = &self->entries[task];
        if (entry->status != TASK_DONE)
            task_table_set(self, task, TASK_FREE);
        entry->holders = 0;
        entry->faults = 0;
    }
}

void task_table_add_time(task_table_t *self, int64_t ms)
{
    self->timed++;
    self->timed_ms += ms;
}

int64_t task_table_mean_ms(const task_table_t *self)
{
    return self->timed ? self->timed_ms / self->timed : -1;
}
