/* simplified.c - the simplified silhouette of all members: by centroids, after the summaries.
 *
 * State columns beside those of summaries: summary u8[32*T] and segment_begin u32[T+1], of the
 * outcome that comes next. docs/algorithms.md, 11. */
#include "coordinator/merge/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t clusters_of(const step_t *self) { return self->summary_begin[self->summary_count]; }

int simplified_wanted(const step_t *self)
{
    return (self->input->spec->quality & QUALITY_SIMPLIFIED) != 0 && clusters_of(self) >= 2;
}

/* Those of all summaries, in the order of the clusters. */
static int save_centroids(const step_t *self, sha256_t *out, error_t *error)
{
    size_t d = self->checkpoint.plan.dimension, clusters = clusters_of(self);
    float *centroid = malloc((clusters * d + 1) * sizeof *centroid);
    int code = centroid != NULL
                   ? OK
                   : error_set(error, ERR_MEMORY, "out of memory for %zu centroids", clusters);
    for (uint32_t t = 0; t < self->summary_count && code == OK; t++) {
        size_t begin = self->summary_begin[t], count = self->summary_begin[t + 1] - begin;
        const float *values;
        payload_t summary = {0};
        code = payload_open(&summary, self->input, &self->summary[t], "summary", error);
        if (code == OK)
            code = payload_f32(&summary, "centroid", count * d, &values, error);
        if (code == OK)
            memcpy(centroid + begin * d, values, count * d * sizeof *values);
        payload_close(&summary);
    }
    if (code == OK) {
        columns_writer_t *writer = columns_writer_new("centroids");
        columns_put(writer, "centroid", COLUMN_F32, centroid, clusters * d);
        code = payload_save(self->input, &writer, out, error);
    }
    free(centroid);
    return code;
}

int simplified_begin(step_t *self, const labelled_t *labelled, advance_output_t *out,
                     error_t *error)
{
    task_cutter_t cutter;
    sha256_t centroids;
    int code = save_centroids(self, &centroids, error);
    if (code != OK)
        return code;
    task_cutter_init(&cutter, TASK_SILHOUETTE, 1, UINT32_MAX); /* the tasks of the summaries */
    for (uint32_t t = 0; t < self->summary_count; t++)
        task_cutter_add(&cutter, 0, self->summary_begin[t], self->summary_begin[t + 1],
                        self->stage.work[t] * clusters_of(self));
    task_cutter_input(&cutter, "centroids", &centroids);
    task_cutter_param(&cutter, "euclidean", self->input->spec->metric == METRIC_EUCLIDEAN);
    return summarise_leave(self, &cutter, labelled, "silhouette by centroids", out, error);
}

static int add_task(const step_t *self, uint32_t task, double *sum, error_t *error)
{
    const stage_t *stage = &self->stage;
    size_t clusters = 0;
    const double *values;
    payload_t result = {0};
    for (uint32_t s = stage->segment_begin[task]; s < stage->segment_begin[task + 1]; s++)
        clusters += stage->segments[s].end - stage->segments[s].begin;
    int code = result_open(&result, self->input, task, "simplified", error);
    if (code == OK)
        code = payload_f64(&result, "sum", clusters, &values, error);
    for (size_t c = 0; c < clusters && code == OK; c++) {
        if (!isfinite(values[c])) {
            code = error_set(error, ERR_SHAPE, "the silhouettes of cluster %zu add up to %g", c,
                             values[c]);
            break;
        }
        *sum += values[c];
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

int simplified_end(step_t *self, advance_output_t *out, error_t *error)
{
    labelled_t labelled;
    members_t members = {0};
    double sum = 0;
    int code = summarise_labelled(self, &labelled, error);
    if (code == OK)
        code = members_open(&members, self->input, &labelled.members, error);
    double count = members.count;
    members_close(&members);
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = add_task(self, t, &sum, error);
    if (code != OK)
        return code;
    json_t *value = json_object();
    json_object_set_new(value, "mean", json_real(sum / count));
    json_object_set_new(value, "members", json_integer((json_int_t)count));
    quality_report(self, "simplified_silhouette", value);
    return summarise_outcome(self, &labelled, out, error);
}
