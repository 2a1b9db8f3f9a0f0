/* quality.c - the silhouette of a sample of the members, exact for each of them.
 *
 * The sample is every (members / SAMPLE)-th member in the order of clusters, so that each cluster is
 * in it by its size; all of them when they are no more. A task compares the whole sample with the
 * members of some clusters. docs/algorithms.md, 11. */
#include "coordinator/merge/steps.h"

#include <math.h>
#include <stdlib.h>

#define SAMPLE 1000u

int quality_wanted(const job_spec_t *spec, const clustering_t *clustering)
{
    return (spec->quality & QUALITY_SILHOUETTE) != 0 && clustering->cluster_count >= 2;
}

void quality_report(step_t *self, const char *measure, json_t *value)
{
    json_t *quality = json_object_get(self->checkpoint.report, "quality");
    if (quality == NULL) {
        step_report(self, "quality", json_object());
        quality = json_object_get(self->checkpoint.report, "quality");
    }
    json_object_set_new(quality, measure, value);
}

static int save_sample(const step_t *self, const members_t *members, uint32_t count, sha256_t *out,
                       error_t *error)
{
    uint32_t *slot = malloc(((size_t)count + 1) * sizeof *slot);
    uint32_t *cluster = malloc(((size_t)count + 1) * sizeof *cluster);
    int code = OK;
    if (slot == NULL || cluster == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory for a sample of %u members", count);
        goto fail;
    }
    for (uint32_t i = 0, c = 0; i < count; i++) {
        uint32_t at = (uint32_t)((uint64_t)members->count * i / count);
        while (at >= members->begin[c + 1])
            c++;
        slot[i] = members->member[at];
        cluster[i] = c;
    }
    columns_writer_t *writer = columns_writer_new("sample");
    columns_put(writer, "slot", COLUMN_U32, slot, count);
    columns_put(writer, "cluster", COLUMN_U32, cluster, count);
    code = payload_save(self->input, &writer, out, error);
fail:
    free(slot);
    free(cluster);
    return code;
}

int quality_begin(step_t *self, const labelled_t *labelled, advance_output_t *out, error_t *error)
{
    members_t members = {0};
    task_cutter_t cutter;
    sha256_t sample;
    task_cutter_init(&cutter, TASK_SILHOUETTE, 1, UINT32_MAX);
    int code = members_open(&members, self->input, &labelled->members, error);
    uint32_t count = members.count < SAMPLE ? members.count : SAMPLE;
    if (code == OK)
        code = save_sample(self, &members, count, &sample, error);
    if (code == OK)
        summarise_cut(&members, count, &cutter);
    members_close(&members);
    if (code != OK) {
        task_cutter_clear(&cutter);
        return code;
    }
    task_cutter_input(&cutter, "sample", &sample);
    task_cutter_param(&cutter, "euclidean", self->input->spec->metric == METRIC_EUCLIDEAN);
    return summarise_leave(self, &cutter, labelled, "silhouette", out, error);
}

/* ---- after the tasks ---- */

typedef struct {
    size_t count;
    double *own;   /* mean distance to the others of the cluster; -1: the only one of it */
    double *other; /* least mean distance to another cluster */
} silhouette_t;

static int take_task(const step_t *self, uint32_t task, silhouette_t *silhouette, error_t *error)
{
    const double *own = NULL, *other = NULL;
    payload_t result = {0};
    int code = result_open(&result, self->input, task, "silhouette", error);
    if (code == OK)
        code = payload_f64(&result, "own", silhouette->count, &own, error);
    if (code == OK)
        code = payload_f64(&result, "other", silhouette->count, &other, error);
    for (size_t i = 0; i < silhouette->count && code == OK; i++) {
        if (!(own[i] >= -1) || !(other[i] >= 0)) {
            code = error_set(error, ERR_SHAPE, "sample %zu has the distances %g and %g", i, own[i],
                             other[i]);
            break;
        }
        silhouette->own[i] = own[i] > silhouette->own[i] ? own[i] : silhouette->own[i];
        silhouette->other[i] = other[i] < silhouette->other[i] ? other[i] : silhouette->other[i];
    }
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

static double silhouette_of(double own, double other)
{
    double larger = own > other ? own : other;
    return own < 0 || larger == 0 ? 0 : (other - own) / larger;
}

static void report(step_t *self, const silhouette_t *silhouette)
{
    double sum = 0;
    for (size_t i = 0; i < silhouette->count; i++)
        sum += silhouette_of(silhouette->own[i], silhouette->other[i]);
    json_t *value = json_object();
    json_object_set_new(value, "mean", json_real(sum / (double)silhouette->count));
    json_object_set_new(value, "sample", json_integer((json_int_t)silhouette->count));
    quality_report(self, "silhouette", value);
}

static int sample_size(const step_t *self, size_t *count, error_t *error)
{
    const sha256_t *sample = step_input(self, "sample");
    const uint32_t *slots;
    payload_t payload = {0};
    int code = sample == NULL ? error_set(error, ERR_PROTOCOL, "the stage names no sample")
                              : payload_open(&payload, self->input, sample, "sample", error);
    if (code == OK)
        code = payload_list(&payload, "slot", &slots, count, error);
    payload_close(&payload);
    return code;
}

int quality_end(step_t *self, advance_output_t *out, error_t *error)
{
    silhouette_t silhouette = {0};
    labelled_t labelled;
    if (step_input(self, "centroids") != NULL)
        return simplified_end(self, out, error);
    int code = sample_size(self, &silhouette.count, error);
    if (code == OK)
        code = summarise_labelled(self, &labelled, error);
    if (code != OK)
        return code;
    silhouette.own = malloc((silhouette.count + 1) * sizeof *silhouette.own);
    silhouette.other = malloc((silhouette.count + 1) * sizeof *silhouette.other);
    if (silhouette.own == NULL || silhouette.other == NULL) {
        code = error_set(error, ERR_MEMORY, "out of memory for %zu silhouettes", silhouette.count);
        goto fail;
    }
    for (size_t i = 0; i < silhouette.count; i++) {
        silhouette.own[i] = -1;
        silhouette.other[i] = INFINITY;
    }
    for (uint32_t t = 0; t < self->stage.task_count && code == OK; t++)
        code = take_task(self, t, &silhouette, error);
    if (code == OK) {
        report(self, &silhouette);
        code = dbcv_begin(self, &labelled, out, error);
    }
fail:
    free(silhouette.own);
    free(silhouette.other);
    return code;
}
