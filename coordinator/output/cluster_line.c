#include "coordinator/output/cluster_line.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000

static void put_text(json_text_t *out, const char *text)
{
    json_text_string(out, text, strlen(text));
}

/* null for an empty text */
static void put_view(json_text_t *out, string_view_t text)
{
    if (text.length)
        json_text_string(out, text.text, text.length);
    else
        json_text_raw(out, "null", 4);
}

static void put_tally(json_text_t *out, const char *key, const tally_t *tally, size_t limit)
{
    json_text_key(out, key);
    json_text_raw(out, "[", 1);
    for (size_t i = 0; i < tally->count && i < limit; i++) {
        json_text_next(out);
        json_text_string(out, tally->entries[i].text.text, tally->entries[i].text.length);
    }
    json_text_raw(out, "]", 1);
}

static void put_source_ids(json_text_t *out, const char *key, const cluster_t *cluster,
                           const catalog_t *catalog)
{
    json_text_key(out, key);
    json_text_raw(out, "[", 1);
    for (uint32_t i = 0; i < cluster->from.size; i++) {
        string_view_t id = catalog_source_id(catalog, cluster->members[i].row);
        json_text_next(out);
        json_text_string(out, id.text, id.length);
    }
    json_text_raw(out, "]", 1);
}

/* The names that the schema of each level has for its members. */
static void put_level_names(json_text_t *out, const cluster_t *cluster,
                            const cluster_source_t *source)
{
    switch (source->spec->level) {
    case LEVEL_EVENTS:
        put_source_ids(out, "event_ids", cluster, source->catalog);
        break;
    case LEVEL_ENTITIES:
        json_text_key(out, "canonical_entity");
        put_view(out, tally_first(&cluster->mentions));
        put_tally(out, "entity_mentions", &cluster->mentions, SIZE_MAX);
        break;
    case LEVEL_STORYLINES:
        put_source_ids(out, "storyline_ids", cluster, source->catalog);
        put_tally(out, "event_ids", &cluster->events, SIZE_MAX);
        break;
    default: /* documents: document_ids, which every level has */
        break;
    }
}

static void put_centroid(json_text_t *out, const float *centroid, uint32_t dimension)
{
    json_text_key(out, "centroid_vector");
    json_text_floats(out, centroid, dimension);
}

static void put_span(json_text_t *out, const cluster_t *cluster)
{
    json_text_key(out, "temporal_span");
    if (cluster->time_start_ms == TIME_NONE) {
        json_text_raw(out, "null", 4);
        return;
    }
    json_text_raw(out, "[", 1);
    json_text_time(out, cluster->time_start_ms);
    json_text_next(out);
    json_text_time(out, cluster->time_end_ms);
    json_text_raw(out, "]", 1);
}

static void put_kinds(json_text_t *out, const cluster_t *cluster, level_t level)
{
    string_view_t type = tally_first(&cluster->types);
    json_text_key(out, "domain");
    put_view(out, tally_first(&cluster->domains));
    json_text_key(out, "event_type");
    put_view(out, level == LEVEL_EVENTS ? type : (string_view_t){"", 0});
    if (level == LEVEL_ENTITIES) {
        json_text_key(out, "entity_type");
        put_view(out, type);
    }
    json_text_key(out, "partition");
    put_view(out, (string_view_t){cluster->from.partition, cluster->from.partition_length});
}

static void put_representatives(json_text_t *out, const cluster_t *cluster,
                                const cluster_source_t *source)
{
    json_text_key(out, "representative_ids");
    json_text_raw(out, "[", 1);
    for (size_t i = 0; i < TYPICAL_COUNT && cluster->from.typical[i] != SLOT_NONE; i++) {
        uint32_t row = outcome_row(source->outcome, cluster->from.typical[i]);
        if (row >= catalog_rows(source->catalog))
            continue;
        string_view_t id = catalog_source_id(source->catalog, row);
        json_text_next(out);
        json_text_string(out, id.text, id.length);
    }
    json_text_raw(out, "]", 1);
}

static int put_raw_metadata(json_text_t *out, const catalog_t *catalog, uint32_t row,
                            error_t *error)
{
    char *raw = NULL;
    size_t length = 0;
    int code = catalog_metadata(catalog, row, &raw, &length, error);
    if (code != OK)
        return code;
    json_text_key(out, "metadata");
    json_text_value(out, raw, length);
    free(raw);
    return OK;
}

static int put_member(json_text_t *out, const cluster_member_t *member,
                      const cluster_source_t *source, error_t *error)
{
    const catalog_t *catalog = source->catalog;
    string_view_t id = catalog_source_id(catalog, member->row);
    string_view_t vector_id = catalog_vector_id(catalog, member->row);
    int64_t time_ms = catalog_time_ms(catalog, member->row);
    int code = OK;
    json_text_next(out);
    json_text_raw(out, "{", 1);
    json_text_key(out, "id");
    json_text_string(out, id.text, id.length);
    json_text_key(out, "vector_id");
    json_text_string(out, vector_id.text, vector_id.length);
    json_text_key(out, "document_id");
    put_view(out, catalog_document_id(catalog, member->row));
    json_text_key(out, "assignment");
    put_text(out, "core");
    json_text_key(out, "strength");
    json_text_float(out, outcome_strength(source->outcome, member->slot));
    json_text_key(out, "outlier_score");
    json_text_float(out, outcome_outlier(source->outcome, member->slot));
    json_text_key(out, "similarity");
    json_text_float(out, member->similarity);
    if (time_ms != TIME_NONE) {
        json_text_key(out, "time");
        json_text_time(out, time_ms);
    }
    if (source->spec->include_metadata)
        code = put_raw_metadata(out, catalog, member->row, error);
    json_text_raw(out, "}", 1);
    return code;
}

static int put_members(json_text_t *out, const cluster_t *cluster, const cluster_source_t *source,
                       error_t *error)
{
    int code = OK;
    json_text_key(out, "members");
    json_text_raw(out, "[", 1);
    for (uint32_t i = 0; code == OK && i < cluster->from.size; i++)
        code = put_member(out, &cluster->members[i], source, error);
    json_text_raw(out, "]", 1);
    return code;
}

static void put_flag(json_text_t *out, const char *key, int value)
{
    json_text_key(out, key);
    json_text_raw(out, value ? "true" : "false", value ? 4 : 5);
}

static void put_integer(json_text_t *out, const char *key, int64_t value)
{
    json_text_key(out, key);
    json_text_integer(out, value);
}

static void put_real(json_text_t *out, const char *key, double value)
{
    json_text_key(out, key);
    json_text_double(out, value);
}

static void put_decay(json_text_t *out, const job_spec_t *spec)
{
    json_text_key(out, "decay");
    put_text(out, decay_name(spec->decay));
    json_text_key(out, "decay_days");
    if (spec->decay == DECAY_NONE)
        json_text_raw(out, "null", 4);
    else
        json_text_double(out, spec->decay_days);
}

static void put_weights(json_text_t *out, const job_spec_t *spec)
{
    const weight_table_t *table = &spec->weight_table;
    put_integer(out, "weight_days", spec->weight_days);
    json_text_key(out, "weight_table");
    for (uint32_t r = 0; r < table->rows; r++)
        for (uint32_t c = 0; c < table->columns; c++) {
            const char *before = c > 0 ? "," : r > 0 ? "],[" : "[[";
            json_text_raw(out, before, strlen(before));
            json_text_double(out, table->value[r * table->columns + c]);
        }
    json_text_raw(out, "]]", 2);
}

static void put_pairs(json_text_t *out, const job_spec_t *spec)
{
    put_real(out, "min_weight", spec->min_weight);
    put_decay(out, spec);
    if (spec->weight_table.rows > 0)
        put_weights(out, spec);
}

static void put_agglomerative(json_text_t *out, const cluster_t *cluster, const job_spec_t *spec)
{
    json_text_key(out, "linkage");
    put_text(out, linkage_name(spec->linkage));
    json_text_key(out, "distance_threshold");
    if (spec->distance_threshold < 0)
        json_text_raw(out, "null", 4);
    else
        json_text_double(out, spec->distance_threshold);
    put_integer(out, "n_clusters", spec->n_clusters);
    put_integer(out, "min_cluster_size", spec->smallest_cluster);
    put_real(out, "persistence", cluster->from.persistence);
    if (job_spec_sparse(spec))
        put_pairs(out, spec);
}

static void put_parameters(json_text_t *out, const cluster_t *cluster, const job_spec_t *spec)
{
    if (spec->algorithm == ALGORITHM_KMEANS) {
        json_text_key(out, "init");
        put_text(out, spec->init == SEEDING_RANDOM ? "random" : "k-means++");
        put_integer(out, "k", spec->k);
        put_integer(out, "n_init", spec->n_init);
        put_integer(out, "max_iterations", spec->max_iterations);
        put_real(out, "tolerance", spec->tolerance);
        put_integer(out, "seed", (int64_t)spec->seed);
        return;
    }
    if (spec->algorithm == ALGORITHM_PAIRS) {
        put_pairs(out, spec);
        return;
    }
    if (spec->algorithm == ALGORITHM_AGGLOMERATIVE) {
        put_agglomerative(out, cluster, spec);
        return;
    }
    put_integer(out, "min_cluster_size", spec->min_cluster_size);
    put_integer(out, "min_samples", job_spec_min_samples(spec));
    put_real(out, "cluster_selection_epsilon", spec->cluster_selection_epsilon);
    json_text_key(out, "cluster_selection_method");
    put_text(out, spec->selection == SELECTION_LEAF ? "leaf" : "eom");
    put_flag(out, "allow_single_cluster", spec->allow_single_cluster);
    put_integer(out, "max_cluster_size", spec->max_cluster_size);
    if (spec->decay != DECAY_NONE)
        put_decay(out, spec);
    if (spec->mode == MODE_APPROXIMATE) {
        json_text_key(out, "mode");
        put_text(out, "approximate");
        put_real(out, "target_recall", spec->target_recall);
    }
    if (spec->algorithm == ALGORITHM_TWO_STAGE) {
        put_integer(out, "cells", spec->cells);
        put_real(out, "target_recall", spec->target_recall);
    }
    put_real(out, "stability", cluster->from.persistence);
}

/* What only one level has. */
static void put_extras(json_text_t *out, const cluster_t *cluster, level_t level)
{
    if (level == LEVEL_DOCUMENTS) {
        json_text_key(out, "avg_word_count");
        if (cluster->word_count)
            json_text_double(out, cluster->word_sum / cluster->word_count);
        else
            json_text_raw(out, "null", 4);
        put_tally(out, "dominant_categories", &cluster->categories, DOMINANT_CATEGORY_LIMIT);
    }
    json_text_key(out, "temporal_span_days");
    if (cluster->time_start_ms == TIME_NONE)
        json_text_raw(out, "null", 4);
    else
        json_text_integer(out, (cluster->time_end_ms - cluster->time_start_ms) / DAY_MS);
}

static void put_metadata(json_text_t *out, const cluster_t *cluster, const job_spec_t *spec)
{
    json_text_key(out, "metadata");
    json_text_raw(out, "{", 1);
    json_text_key(out, "algorithm");
    put_text(out, algorithm_name(spec->algorithm));
    json_text_key(out, "metric");
    put_text(out, metric_name(spec->metric));
    put_parameters(out, cluster, spec);
    if (cluster->from.has_dbcv)
        put_real(out, "dbcv", cluster->from.dbcv);
    json_text_key(out, "window_days");
    if (spec->window_days < 0)
        json_text_raw(out, "null", 4);
    else
        json_text_integer(out, spec->window_days);
    put_extras(out, cluster, spec->level);
    json_text_key(out, "timestamp");
    json_text_time(out, spec->as_of_ms);
    json_text_raw(out, "}", 1);
}

int cluster_line(const cluster_t *self, const cluster_source_t *source, json_text_t *out,
                 error_t *error)
{
    json_text_reset(out);
    json_text_raw(out, "{", 1);
    json_text_key(out, "cluster_id");
    put_text(out, self->id);
    json_text_key(out, "cluster_type");
    put_text(out, level_singular(source->spec->level));
    json_text_key(out, "cluster_label");
    put_text(out, self->label);
    put_integer(out, "cluster_size", self->from.size);
    put_source_ids(out, "member_ids", self, source->catalog);
    put_level_names(out, self, source);
    put_tally(out, "document_ids", &self->documents, SIZE_MAX);
    put_centroid(out, self->from.centroid, outcome_dimension(source->outcome));
    put_span(out, self);
    put_tally(out, "primary_entities", &self->entities, PRIMARY_ENTITY_LIMIT);
    put_kinds(out, self, source->spec->level);
    put_real(out, "intra_cluster_similarity", self->from.intra_similarity);
    put_representatives(out, self, source);
    int code = put_members(out, self, source, error);
    put_metadata(out, self, source->spec);
    json_text_raw(out, "}", 1);
    if (code == OK && json_text_failed(out))
        code = error_set(error, ERR_MEMORY, "no memory for the line of a cluster of %u",
                         self->from.size);
    return code;
}
