/* made_set.h - a small level of Stage 3 output, written to a folder: index and metadata.
 *
 * An item's position in the index is its place in `order`, so one set can be written in any order.
 */
#ifndef STAGE4_TESTS_UNIT_MERGE_MADE_SET_H
#define STAGE4_TESTS_UNIT_MERGE_MADE_SET_H

#include "common/level.h"
#include "unit/input/input_fixture.h"

#define MADE_DIMENSION 16

typedef struct {
    char id[24];
    char metadata[200]; /* what stands between the braces of "metadata" */
    float vector[MADE_DIMENSION];
} made_item_t;

static inline void made_unit_vector(float *vector)
{
    double sum = 0;
    for (int d = 0; d < MADE_DIMENSION; d++)
        sum += (double)vector[d] * vector[d];
    for (int d = 0; d < MADE_DIMENSION; d++)
        vector[d] = (float)(vector[d] / sqrt(sum));
}

/* `groups` directions with `spread` around them; every tenth item repeats the one before. */
static inline void made_items(random_t *random, made_item_t *items, uint32_t count, uint32_t groups,
                              double spread)
{
    for (uint32_t i = 0; i < count; i++) {
        made_item_t *item = &items[i];
        snprintf(item->id, sizeof item->id, "e_%05u", (i * 7919u) % 100000u);
        item->metadata[0] = 0;
        for (int d = 0; d < MADE_DIMENSION; d++)
            item->vector[d] = (float)((random_unit(random) - 0.5) * spread);
        item->vector[i % groups % MADE_DIMENSION] += 1;
        made_unit_vector(item->vector);
        if (i % 10 == 9)
            memcpy(item->vector, items[i - 1].vector, sizeof item->vector);
    }
}

static inline void made_write_index(const char *path, const made_item_t *items, uint32_t count,
                                    const uint32_t *order)
{
    float *vectors = calloc((size_t)count * MADE_DIMENSION + 1, sizeof *vectors);
    size_t length;
    for (uint32_t i = 0; i < count; i++)
        memcpy(vectors + (size_t)(order ? order[i] : i) * MADE_DIMENSION, items[i].vector,
               sizeof items[i].vector);
    uint8_t *bytes = make_index("IxFI", MADE_DIMENSION, count, 0, vectors, &length);
    write_file(path, bytes, length);
    free(bytes);
    free(vectors);
}

static inline void made_write_metadata(const char *path, level_t level, const made_item_t *items,
                                       uint32_t count, const uint32_t *order)
{
    FILE *out = fopen(path, "w");
    if (out == NULL)
        abort();
    fprintf(out, "{\"metadata_store\":{");
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s\"%s\":{\"source_id\":\"%s\",\"embedding_type\":\"%s\",\"metadata\":{%s}}",
                i ? "," : "", items[i].id, items[i].id, level_singular(level), items[i].metadata);
    fprintf(out, "},\"id_map\":{");
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s\"%s\":%u", i ? "," : "", items[i].id, order ? order[i] : i);
    fprintf(out, "},\"reverse_id_map\":{");
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s\"%u\":\"%s\"", i ? "," : "", order ? order[i] : i, items[i].id);
    fprintf(out, "}}");
    fclose(out);
}

/* `order` NULL: as they stand. */
static inline void made_write(const test_folder_t *folder, level_t level, const made_item_t *items,
                              uint32_t count, const uint32_t *order)
{
    char name[64], path[512];
    snprintf(name, sizeof name, "%s.index", level_plural(level));
    made_write_index(folder_path(folder, name, path), items, count, order);
    snprintf(name, sizeof name, "%s_metadata.json", level_plural(level));
    made_write_metadata(folder_path(folder, name, path), level, items, count, order);
}

static inline void made_shuffle(random_t *random, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = random_below(random, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

#endif
