#include "coordinator/plan/planner.h"

#include "coordinator/plan/left_out.h"
#include "coordinator/plan/partition.h"
#include "coordinator/plan/row_filter.h"
#include "coordinator/plan/vector_states.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PARTITION_LIST_LIMIT 1000

typedef struct {
    const job_spec_t *spec;
    char index_path[PATH_MAX];
    char metadata_path[PATH_MAX];
    flat_index_t *index;
    catalog_t *catalog;
    vector_states_t *vectors;
    left_out_t left_out;
    uint32_t undated;
} planner_t;

static int open_input(planner_t *self, const char *indices_folder, const char *cache_folder,
                      error_t *error)
{
    const char *level = level_plural(self->spec->level);
    int length = snprintf(self->index_path, PATH_MAX, "%s/%s.index", indices_folder, level);
    int other =
        snprintf(self->metadata_path, PATH_MAX, "%s/%s_metadata.json", indices_folder, level);
    if (length >= PATH_MAX || other >= PATH_MAX)
        return error_set(error, ERR_USAGE, "the path of the indices is too long");
    int code = flat_index_open(self->index_path, self->spec->dimension, &self->index, error);
    if (code == OK) /* which goes on while the metadata is read */
        code = vector_states_new(self->index, &self->vectors, error);
    if (code != OK)
        return code;
    return catalog_open(self->metadata_path, self->spec->level, flat_index_rows(self->index),
                        cache_folder, 0, &self->catalog, error);
}

static int check_hdbscan(const job_spec_t *spec, uint32_t count, error_t *error)
{
    uint32_t min_samples = job_spec_min_samples(spec);
    if (count < spec->min_cluster_size)
        return error_field(error, ERR_USAGE, "params.min_cluster_size",
                           "min_cluster_size is %u, but only %u items take part",
                           spec->min_cluster_size, count);
    if (count < min_samples)
        return error_field(error, ERR_USAGE, "params.min_samples",
                           "min_samples is %u, but only %u items take part", min_samples, count);
    return OK;
}

static int check_sizes(const planner_t *self, uint32_t count, error_t *error)
{
    const job_spec_t *spec = self->spec;
    if (count == 0)
        return error_field(error, ERR_INPUT, spec->filter_count > 0 ? "filter" : "",
                           "no items match: %u of %u rows of %s can be used, and none passes the "
                           "filter",
                           self->left_out.count, flat_index_rows(self->index), self->index_path);
    if (spec->algorithm == ALGORITHM_HDBSCAN || spec->algorithm == ALGORITHM_TWO_STAGE)
        return check_hdbscan(spec, count, error);
    uint32_t wanted = spec->algorithm == ALGORITHM_KMEANS ? spec->k : spec->n_clusters;
    const char *field = spec->algorithm == ALGORITHM_KMEANS ? "params.k" : "params.n_clusters";
    if (spec->partition_by == 0 && wanted > count)
        return error_field(error, ERR_USAGE, field, "%s is %u, but only %u items take part",
                           strchr(field, '.') + 1, wanted, count);
    return OK;
}

static json_t *list_partitions(const plan_t *plan)
{
    json_t *list = json_array();
    for (uint32_t p = 0; p < plan->partition_count && p < PARTITION_LIST_LIMIT; p++) {
        json_t *partition = json_object();
        /* NULL when it is no UTF-8: metadata decides about its own values. */
        json_t *name = json_string(plan->partition_name[p]);
        json_object_set_new(partition, "name", name != NULL ? name : json_string("?"));
        json_object_set_new(partition, "items", json_integer(plan_partition_size(plan, p)));
        if (plan->partition_window[p] >= 0)
            json_object_set_new(partition, "window_days", json_integer(plan->partition_window[p]));
        json_array_append_new(list, partition);
    }
    return list;
}

static json_t *write_report(const planner_t *self, const plan_t *plan)
{
    json_t *report = json_object();
    json_object_set_new(report, "rows", json_integer(flat_index_rows(self->index)));
    json_object_set_new(report, "rows_left_out",
                        json_integer(flat_index_rows(self->index) - self->left_out.count));
    json_object_set_new(report, "left_out", left_out_counts(&self->left_out));
    json_object_set(report, "problems", self->left_out.list);
    json_object_set_new(report, "items", json_integer(plan->count));
    json_object_set_new(report, "partition_count", json_integer(plan->partition_count));
    json_object_set_new(report, "partitions", list_partitions(plan));
    if (self->spec->window_days >= 0)
        json_object_set_new(report, "undated", json_integer(self->undated));
    return report;
}

static int make_plan(planner_t *self, const atomic_int *stop, planned_t *out, error_t *error)
{
    uint32_t count;
    const uint8_t *states;
    int code = vector_states_find(self->vectors, &states, error);
    if (code == OK)
        code = left_out_find(states, self->catalog, &self->left_out, error);
    if (code == OK)
        code = left_out_judge(&self->left_out, self->catalog, self->spec->max_bad_fraction,
                              self->index_path, error);
    if (code != OK)
        return code;
    count = self->left_out.count;
    code = row_filter(self->spec, self->catalog, stop, self->left_out.rows, &count, error);
    if (code == OK)
        code = check_sizes(self, count, error);
    if (code == OK)
        code = partition_rows(self->spec, self->catalog, self->left_out.rows, count, &out->plan,
                              &self->undated, error);
    if (code != OK)
        return code;
    out->index_fingerprint = flat_index_fingerprint(self->index);
    out->metadata_fingerprint = catalog_fingerprint(self->catalog);
    out->metadata_bytes = catalog_file_bytes(self->catalog);
    out->report = write_report(self, &out->plan);
    return out->report != NULL ? OK : error_set(error, ERR_MEMORY, "out of memory for a report");
}

int planner_run(const job_spec_t *spec, const char *indices_folder, const char *cache_folder,
                const atomic_int *stop, planned_t *out, error_t *error)
{
    planner_t self = {.spec = spec};
    *out = (planned_t){0};
    int code = open_input(&self, indices_folder, cache_folder, error);
    if (code == OK)
        code = make_plan(&self, stop, out, error);
    /* Both files are still what was read, or nothing that was read counts. */
    if (code == OK)
        code = flat_index_check(self.index, error);
    if (code == OK)
        code = catalog_check(self.catalog, error);
    left_out_clear(&self.left_out);
    vector_states_destroy(&self.vectors);
    catalog_close(&self.catalog);
    flat_index_close(&self.index);
    if (code != OK)
        planned_clear(out);
    return code;
}

void planned_clear(planned_t *self)
{
    plan_clear(&self->plan);
    json_decref(self->report);
    *self = (planned_t){0};
}
