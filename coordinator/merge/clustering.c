#include "coordinator/merge/clustering.h"

#include <stdlib.h>

typedef struct {
    uint32_t kind;
    uint32_t size;
    uint32_t smallest;
} kind_t;

int clustering_init(clustering_t *self, uint32_t count, error_t *error)
{
    size_t room = count > 0 ? count : 1;
    *self = (clustering_t){.count = count};
    self->label = malloc(room * sizeof *self->label);
    self->strength = calloc(room, sizeof *self->strength);
    self->outlier = calloc(room, sizeof *self->outlier);
    if (self->label == NULL || self->strength == NULL || self->outlier == NULL) {
        clustering_clear(self);
        return error_set(error, ERR_MEMORY, "out of memory for the labels of %u rows", count);
    }
    for (uint32_t i = 0; i < count; i++)
        self->label[i] = -1;
    return OK;
}

void clustering_clear(clustering_t *self)
{
    free(self->label);
    free(self->strength);
    free(self->outlier);
    free(self->cluster_partition);
    free(self->persistence);
    free(self->cluster_size);
    *self = (clustering_t){0};
}

static int compare_kinds(const void *x, const void *y)
{
    const kind_t *a = x, *b = y;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return a->smallest < b->smallest ? -1 : a->smallest > b->smallest;
}

static int reserve(clustering_t *self, uint32_t more)
{
    uint32_t needed = self->cluster_count + more;
    if (needed <= self->cluster_capacity)
        return 1;
    size_t capacity = needed < 64 ? 64 : (size_t)needed * 2;
    uint32_t *partition = realloc(self->cluster_partition, capacity * sizeof *partition);
    if (partition != NULL)
        self->cluster_partition = partition;
    double *persistence = realloc(self->persistence, capacity * sizeof *persistence);
    if (persistence != NULL)
        self->persistence = persistence;
    uint32_t *size = realloc(self->cluster_size, capacity * sizeof *size);
    if (size != NULL)
        self->cluster_size = size;
    if (partition == NULL || persistence == NULL || size == NULL)
        return 0;
    self->cluster_capacity = capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)capacity;
    return 1;
}

static void count_kinds(const clustering_t *self, uint32_t begin, uint32_t end, uint32_t kinds,
                        kind_t *table)
{
    for (uint32_t c = 0; c < kinds; c++)
        table[c] = (kind_t){c, 0, UINT32_MAX};
    for (uint32_t i = begin; i < end; i++) {
        if (self->label[i] < 0)
            continue;
        kind_t *kind = &table[self->label[i]];
        if (kind->size++ == 0)
            kind->smallest = i;
    }
}

int clustering_append(clustering_t *self, uint32_t partition, uint32_t begin, uint32_t end,
                      uint32_t kinds, const double *stability, error_t *error)
{
    int code = OK;
    kind_t *table = malloc((kinds > 0 ? kinds : 1) * sizeof *table);
    uint32_t *number = malloc((kinds > 0 ? kinds : 1) * sizeof *number);
    if (table == NULL || number == NULL || !reserve(self, kinds)) {
        code = error_set(error, ERR_MEMORY, "out of memory for %u clusters", kinds);
        goto fail;
    }
    count_kinds(self, begin, end, kinds, table);
    qsort(table, kinds, sizeof *table, compare_kinds);
    for (uint32_t c = 0; c < kinds && table[c].size > 0; c++) {
        uint32_t cluster = self->cluster_count++;
        number[table[c].kind] = cluster;
        self->cluster_partition[cluster] = partition;
        self->persistence[cluster] = stability == NULL ? 0 : stability[table[c].kind];
        self->cluster_size[cluster] = table[c].size;
    }
    for (uint32_t i = begin; i < end; i++)
        if (self->label[i] >= 0)
            self->label[i] = (int32_t)number[self->label[i]];
fail:
    free(table);
    free(number);
    return code;
}

int clustering_members(const clustering_t *self, uint32_t **cluster_begin, uint32_t **member,
                       error_t *error)
{
    uint32_t clusters = self->cluster_count;
    uint32_t *begin = malloc(((size_t)clusters + 1) * sizeof *begin);
    uint32_t *next = malloc(((size_t)clusters + 1) * sizeof *next);
    uint32_t *list = malloc((self->count > 0 ? self->count : 1) * sizeof *list);
    if (begin == NULL || next == NULL || list == NULL) {
        free(begin);
        free(next);
        free(list);
        return error_set(error, ERR_MEMORY, "out of memory for %u clusters", clusters);
    }
    begin[0] = 0;
    for (uint32_t c = 0; c < clusters; c++) {
        next[c] = begin[c];
        begin[c + 1] = begin[c] + self->cluster_size[c];
    }
    for (uint32_t i = 0; i < self->count; i++)
        if (self->label[i] >= 0)
            list[next[self->label[i]]++] = i;
    free(next);
    *cluster_begin = begin;
    *member = list;
    return OK;
}
