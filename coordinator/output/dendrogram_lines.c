#include "coordinator/output/dendrogram_lines.h"

#include "coordinator/merge/dendrogram.h"
#include "coordinator/output/json_text.h"

#include <string.h>

static void put_text(json_text_t *out, const char *key, const char *text)
{
    json_text_key(out, key);
    json_text_string(out, text, strlen(text));
}

static void put_partition(json_text_t *out, const outcome_partition_t *partition)
{
    json_text_key(out, "partition");
    if (partition->name_length > 0)
        json_text_string(out, partition->name, partition->name_length);
    else
        json_text_raw(out, "null", 4);
}

static int put_leaves(json_text_t *out, const cluster_source_t *source,
                      const outcome_partition_t *partition, error_t *error)
{
    json_text_key(out, "leaf_ids");
    json_text_raw(out, "[", 1);
    for (uint32_t slot = partition->begin; slot < partition->end; slot++) {
        uint32_t row = outcome_row(source->outcome, slot);
        if (row >= catalog_rows(source->catalog))
            return error_set(error, ERR_PROTOCOL, "the outcome has row %u, which is not there",
                             row);
        string_view_t id = catalog_vector_id(source->catalog, row);
        json_text_next(out);
        json_text_string(out, id.text, id.length);
    }
    json_text_raw(out, "]", 1);
    return OK;
}

static void put_tree(json_text_t *out, const dendrogram_t *tree)
{
    json_text_key(out, "Z");
    json_text_raw(out, "[", 1);
    for (uint32_t m = 0; m < tree->merge_count; m++) {
        json_text_next(out);
        json_text_raw(out, "[", 1);
        json_text_integer(out, tree->left[m]);
        json_text_raw(out, ",", 1);
        json_text_integer(out, tree->right[m]);
        json_text_raw(out, ",", 1);
        json_text_double(out, tree->distance[m]);
        json_text_raw(out, ",", 1);
        json_text_integer(out, tree->size[m]);
        json_text_raw(out, "]", 1);
    }
    json_text_raw(out, "]", 1);
}

static int put_line(json_text_t *out, const cluster_source_t *source,
                    const outcome_partition_t *partition, const dendrogram_t *tree, error_t *error)
{
    json_text_reset(out);
    json_text_raw(out, "{", 1);
    put_partition(out, partition);
    put_text(out, "linkage", linkage_name(source->spec->linkage));
    put_text(out, "metric", metric_name(source->spec->metric));
    json_text_key(out, "items");
    json_text_integer(out, tree->leaf_count);
    json_text_key(out, "clusters");
    json_text_integer(out, tree->leaf_count - dendrogram_kept(tree, source->spec));
    int code = put_leaves(out, source, partition, error);
    put_tree(out, tree);
    json_text_raw(out, "}", 1);
    if (code == OK && json_text_failed(out))
        code = error_set(error, ERR_MEMORY, "no memory for a tree of %u rows", tree->leaf_count);
    return code;
}

static int write_partition(const cluster_source_t *source, uint32_t number, const merges_t *merges,
                           json_text_t *line, side_file_t *out, error_t *error)
{
    outcome_partition_t partition;
    dendrogram_t tree;
    int code = outcome_partition(source->outcome, number, &partition, error);
    if (code == OK)
        code = dendrogram_build(merges, number, partition.begin, partition.end - partition.begin,
                                &tree, error);
    if (code != OK)
        return code;
    code = put_line(line, source, &partition, &tree, error);
    dendrogram_clear(&tree);
    return code == OK ? side_file_add(out, line->bytes, line->length, error) : code;
}

static int read_merges(const columns_t *columns, uint32_t partitions, merges_t *out, error_t *error)
{
    const void *begin, *a, *b, *distance;
    size_t count = 0;
    int code = columns_get(columns, "merge_begin", COLUMN_U32, (size_t)partitions + 1, &begin, NULL,
                           error);
    if (code == OK)
        code = columns_get(columns, "a", COLUMN_U32, SIZE_MAX, &a, &count, error);
    if (code == OK)
        code = columns_get(columns, "b", COLUMN_U32, count, &b, NULL, error);
    if (code == OK)
        code = columns_get(columns, "distance", COLUMN_F64, count, &distance, NULL, error);
    if (code != OK)
        return code;
    *out = (merges_t){partitions, begin, a, b, distance};
    int sound = out->begin[0] == 0 && out->begin[partitions] == count;
    for (uint32_t p = 0; p < partitions; p++)
        sound = sound && out->begin[p] <= out->begin[p + 1];
    return sound ? OK : error_set(error, ERR_PROTOCOL, "the outcome's merges fit no partitions");
}

int dendrogram_lines(const cluster_source_t *source, side_file_t *out, error_t *error)
{
    uint32_t partitions = outcome_partitions(source->outcome);
    outcome_side_t side = {0};
    json_text_t line = {0};
    merges_t merges;
    int code = outcome_side_open(source->outcome, 0, "merges", &side, error);
    if (code == OK)
        code = read_merges(side.columns, partitions, &merges, error);
    for (uint32_t p = 0; code == OK && p < partitions; p++)
        code = write_partition(source, p, &merges, &line, out, error);
    json_text_clear(&line);
    outcome_side_close(&side);
    return code;
}
