#include "coordinator/output/write_report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void write_report_clear(write_report_t *self)
{
    free(self->sizes);
    self->sizes = NULL;
}

/* Keeps the largest, in order of size, then of id. */
static void keep_largest(write_report_t *self, const cluster_t *cluster)
{
    size_t place = self->largest_count;
    while (place > 0 && (self->largest[place - 1].size < cluster->from.size ||
                         (self->largest[place - 1].size == cluster->from.size &&
                          strcmp(self->largest[place - 1].id, cluster->id) > 0)))
        place--;
    if (place == REPORT_LARGEST)
        return;
    if (self->largest_count < REPORT_LARGEST)
        self->largest_count++;
    memmove(&self->largest[place + 1], &self->largest[place],
            (self->largest_count - place - 1) * sizeof *self->largest);
    report_cluster_t *entry = &self->largest[place];
    memcpy(entry->id, cluster->id, sizeof entry->id);
    memcpy(entry->label, cluster->label, sizeof entry->label);
    entry->size = cluster->from.size;
    entry->intra_similarity = cluster->from.intra_similarity;
}

int write_report_add(write_report_t *self, const cluster_t *cluster, error_t *error)
{
    if (self->clusters == self->capacity) {
        uint32_t capacity = self->capacity + self->capacity / 2 + 256;
        uint32_t *sizes = realloc(self->sizes, capacity * sizeof *sizes);
        if (!sizes)
            return error_set(error, ERR_MEMORY, "no memory for the report");
        self->sizes = sizes;
        self->capacity = capacity;
    }
    self->sizes[self->clusters++] = cluster->from.size;
    self->similarity += cluster->from.intra_similarity * cluster->from.size;
    keep_largest(self, cluster);
    return OK;
}

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* The size that `percent` of the clusters do not exceed (nearest rank). */
static json_int_t quantile(const write_report_t *self, uint64_t percent)
{
    uint64_t rank = (self->clusters * percent + 99) / 100;
    return self->sizes[rank ? rank - 1 : 0];
}

static json_t *sizes_object(write_report_t *self)
{
    uint64_t sum = 0;
    if (!self->clusters)
        return json_null();
    qsort(self->sizes, self->clusters, sizeof *self->sizes, by_size);
    for (uint32_t i = 0; i < self->clusters; i++)
        sum += self->sizes[i];
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "min", quantile(self, 0), "p25",
                     quantile(self, 25), "median", quantile(self, 50), "p75", quantile(self, 75),
                     "p90", quantile(self, 90), "max", quantile(self, 100), "mean",
                     (double)sum / self->clusters);
}

static json_t *largest_array(const write_report_t *self)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < self->largest_count; i++) {
        const report_cluster_t *entry = &self->largest[i];
        json_t *label = json_string(entry->label);
        json_array_append_new(array, json_pack("{s:s, s:o, s:I, s:f}", "cluster_id", entry->id,
                                               "label", label ? label : json_null(), "size",
                                               (json_int_t)entry->size, "intra_cluster_similarity",
                                               entry->intra_similarity));
    }
    return array;
}

static json_t *summary_object(write_report_t *self)
{
    char hex[65];
    uint32_t clustered = self->items - self->noise;
    sha256_hex(&self->sha256, hex);
    return json_pack(
        "{s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:s, s:{s:s, s:s, s:I}}", "clusters",
        (json_int_t)self->clusters, "items", (json_int_t)self->items, "noise",
        (json_int_t)self->noise, "coverage", self->items ? (double)clustered / self->items : 0.0,
        "intra_cluster_similarity",
        clustered ? json_real(self->similarity / clustered) : json_null(), "cluster_sizes",
        sizes_object(self), "largest", largest_array(self), "primary_entities", self->entities,
        "output", "name", self->output_name, "sha256", hex, "bytes", (json_int_t)self->bytes);
}

static void add_side(json_t *summary, const side_report_t *side)
{
    char hex[65];
    if (!side->kind)
        return;
    sha256_hex(&side->sha256, hex);
    json_object_set_new(summary, side->kind,
                        json_pack("{s:s, s:s, s:I}", "name", side->name, "sha256", hex, "bytes",
                                  (json_int_t)side->bytes));
}

int write_report_json(write_report_t *self, const char *found, size_t length, char **json,
                      error_t *error)
{
    json_t *report = json_loadb(found, length, 0, NULL);
    json_t *summary = summary_object(self);
    int code = OK;
    if (summary)
        add_side(summary, &self->side);
    if (!json_is_object(report)) {
        code = error_set(error, ERR_PROTOCOL, "the outcome's report is no JSON object");
    } else {
        *json = summary && !json_object_update(report, summary) ? json_dumps(report, JSON_COMPACT)
                                                                : NULL;
        if (!*json)
            code = error_set(error, ERR_MEMORY, "no memory for the report");
    }
    json_decref(summary);
    json_decref(report);
    return code;
}
