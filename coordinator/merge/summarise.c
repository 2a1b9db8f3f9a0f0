/* summarise.c - from labels to the outcome: members, the summarise stage, the last state.
 *
 * State columns beside the common ones: labels u8[32], members u8[32], side u8[32*S], and validity
 * u8[32] once it is measured. */
#include "coordinator/merge/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clusters share a task up to that many members: each is read and compared a few times. */
#define MEMBERS_A_TASK 20000u
#define MEMBERS_A_TASK_LEAST 4096u

static int save_labels(const step_t *self, const clustering_t *clustering, sha256_t *out,
                       error_t *error)
{
    columns_writer_t *writer = columns_writer_new("labels");
    columns_put(writer, "label", COLUMN_I32, clustering->label, clustering->count);
    columns_put(writer, "strength", COLUMN_F32, clustering->strength, clustering->count);
    columns_put(writer, "outlier", COLUMN_F32, clustering->outlier, clustering->count);
    columns_put(writer, "cluster_partition", COLUMN_U32, clustering->cluster_partition,
                clustering->cluster_count);
    columns_put(writer, "persistence", COLUMN_F64, clustering->persistence,
                clustering->cluster_count);
    return payload_save(self->input, &writer, out, error);
}

static int save_members(const step_t *self, const clustering_t *clustering, sha256_t *out,
                        error_t *error)
{
    uint32_t *begin = NULL, *member = NULL;
    int code = clustering_members(clustering, &begin, &member, error);
    if (code != OK)
        return code;
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, begin, (size_t)clustering->cluster_count + 1);
    columns_put(writer, "member", COLUMN_U32, member, begin[clustering->cluster_count]);
    code = payload_save(self->input, &writer, out, error);
    free(begin);
    free(member);
    return code;
}

static void put_labelled(const step_t *self, const labelled_t *labelled, columns_writer_t *writer)
{
    columns_put_sha(writer, "labels", &labelled->labels);
    columns_put_sha(writer, "members", &labelled->members);
    if (labelled->has_validity)
        columns_put_sha(writer, "validity", &labelled->validity);
    columns_put(writer, "side", COLUMN_U8, self->side, self->side_count * sizeof *self->side);
}

static void put_summaries(const step_t *self, columns_writer_t *writer)
{
    columns_put(writer, "summary", COLUMN_U8, self->summary,
                self->summary_count * sizeof *self->summary);
    columns_put(writer, "segment_begin", COLUMN_U32, self->summary_begin,
                (size_t)self->summary_count + 1);
}

int summarise_outcome(step_t *self, const labelled_t *labelled, advance_output_t *out,
                      error_t *error)
{
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "outcome");
    if (writer != NULL) {
        put_labelled(self, labelled, writer);
        put_summaries(self, writer);
    }
    int code = payload_save(self->input, &writer, &out->state_sha, error);
    out->last = 1;
    snprintf(out->phase, sizeof out->phase, "writing");
    return code;
}

static void report_clustering(step_t *self, const clustering_t *clustering)
{
    uint32_t noise = 0;
    for (uint32_t i = 0; i < clustering->count; i++)
        noise += clustering->label[i] < 0;
    step_report(self, "clusters", json_integer(clustering->cluster_count));
    step_report(self, "noise", json_integer(noise));
}

/* One segment a task, so that a summary covers clusters [begin, end): clusters are gathered up to
 * the task size here and never cut. */
void summarise_cut(const members_t *members, uint64_t sample, task_cutter_t *cutter)
{
    uint32_t begin = 0;
    uint64_t together = 0, all = 0;
    for (uint32_t c = 0; c < members->clusters; c++)
        all += members_size(members, c);
    uint64_t most = task_cutter_even(all, MEMBERS_A_TASK, MEMBERS_A_TASK_LEAST);
    for (uint32_t c = 0; c < members->clusters; c++) {
        uint32_t size = members_size(members, c);
        if (c > begin && together + size > most) {
            task_cutter_add(cutter, 0, begin, c, together * sample);
            begin = c;
            together = 0;
        }
        together += size;
    }
    task_cutter_add(cutter, 0, begin, members->clusters, together * sample);
}

int summarise_leave_given(step_t *self, task_cutter_t *cutter, const labelled_t *labelled,
                          const char *phase, advance_output_t *out, error_t *error)
{
    columns_writer_t *writer = checkpoint_writer(&self->checkpoint, "state");
    if (writer != NULL) {
        put_labelled(self, labelled, writer);
        if (self->summary_begin != NULL)
            put_summaries(self, writer);
    }
    snprintf(out->phase, sizeof out->phase, "%s", phase);
    return checkpoint_leave(self->input, cutter, &writer, out, error);
}

int summarise_leave(step_t *self, task_cutter_t *cutter, const labelled_t *labelled,
                    const char *phase, advance_output_t *out, error_t *error)
{
    task_cutter_input(cutter, "plan", &self->checkpoint.plan_sha);
    task_cutter_input(cutter, "members", &labelled->members);
    return summarise_leave_given(self, cutter, labelled, phase, out, error);
}

int summarise_members(step_t *self, const labelled_t *labelled, advance_output_t *out,
                      error_t *error)
{
    members_t members = {0};
    task_cutter_t cutter;
    int code = members_open(&members, self->input, &labelled->members, error);
    if (code == OK) {
        task_cutter_init(&cutter, TASK_SUMMARISE, 1, UINT32_MAX); /* 1: nothing shares a task */
        summarise_cut(&members, 1, &cutter);
        code = summarise_leave(self, &cutter, labelled, "summaries", out, error);
    }
    members_close(&members);
    return code;
}

int summarise_begin(step_t *self, const clustering_t *clustering, advance_output_t *out,
                    error_t *error)
{
    labelled_t labelled = {0};
    int code = save_labels(self, clustering, &labelled.labels, error);
    if (code == OK)
        code = save_members(self, clustering, &labelled.members, error);
    if (code != OK)
        return code;
    report_clustering(self, clustering);
    if (clustering->cluster_count == 0) {
        static const uint32_t NONE = 0;
        self->summary_begin = &NONE;
        return summarise_outcome(self, &labelled, out, error);
    }
    if (quality_wanted(self->input->spec, clustering))
        return quality_begin(self, &labelled, out, error);
    return dbcv_begin(self, &labelled, out, error);
}

static int read_side(step_t *self, error_t *error)
{
    const void *side;
    size_t bytes;
    if (!columns_has(self->checkpoint.payload.columns, "side"))
        return OK; /* of an earlier program */
    int code = columns_get(self->checkpoint.payload.columns, "side", COLUMN_U8, SIZE_MAX, &side,
                           &bytes, error);
    if (code != OK)
        return code;
    self->side = side; /* an array of bytes: no alignment to mind */
    self->side_count = bytes / sizeof *self->side;
    return OK;
}

/* Where the summaries came before. */
static int read_summaries(step_t *self, error_t *error)
{
    const payload_t *payload = &self->checkpoint.payload;
    const void *summary;
    size_t bytes, begins = 0;
    if (!columns_has(payload->columns, "summary"))
        return OK;
    int code =
        columns_get(payload->columns, "summary", COLUMN_U8, SIZE_MAX, &summary, &bytes, error);
    if (code == OK)
        code = payload_list(payload, "segment_begin", &self->summary_begin, &begins, error);
    if (code != OK)
        return code;
    self->summary = summary; /* an array of bytes: no alignment to mind */
    self->summary_count = (uint32_t)(bytes / sizeof *self->summary);
    return begins == (size_t)self->summary_count + 1
               ? OK
               : error_set(error, ERR_PROTOCOL, "state: %zu begins of %u summaries", begins,
                           self->summary_count);
}

int summarise_labelled(step_t *self, labelled_t *out, error_t *error)
{
    const payload_t *payload = &self->checkpoint.payload;
    *out = (labelled_t){.has_validity = columns_has(payload->columns, "validity")};
    int code = payload_sha(payload, "labels", &out->labels, error);
    if (code == OK)
        code = payload_sha(payload, "members", &out->members, error);
    if (code == OK && out->has_validity)
        code = payload_sha(payload, "validity", &out->validity, error);
    if (code == OK)
        code = read_side(self, error);
    return code == OK ? read_summaries(self, error) : code;
}

/* The writer trusts the summaries: their shape is checked while a task can still run again. */
static int check_summary(const step_t *self, uint32_t task, error_t *error)
{
    const segment_t *segment = &self->stage.segments[self->stage.segment_begin[task]];
    size_t clusters = segment->end - segment->begin;
    const float *centroid;
    const double *similarity;
    payload_t result = {0};
    int code = result_open(&result, self->input, task, "summary", error);
    if (code == OK)
        code = payload_f32(&result, "centroid", clusters * self->checkpoint.plan.dimension,
                           &centroid, error);
    if (code == OK)
        code = payload_f64(&result, "similarity_mean", clusters, &similarity, error);
    payload_close(&result);
    return code == OK ? OK : result_blame(task, code, error);
}

int summarise_end(step_t *self, advance_output_t *out, error_t *error)
{
    labelled_t labelled;
    uint32_t tasks = self->stage.task_count;
    int code = summarise_labelled(self, &labelled, error);
    for (uint32_t t = 0; t < tasks && code == OK; t++)
        code = check_summary(self, t, error);
    if (code != OK)
        return code;
    uint32_t *begin = malloc(((size_t)tasks + 1) * sizeof *begin);
    if (begin == NULL)
        return error_set(error, ERR_MEMORY, "out of memory for %u summaries", tasks);
    /* One segment a task, but cut or shared tasks would do as well: clusters are in order. */
    begin[0] = 0;
    for (uint32_t t = 0; t < tasks; t++)
        begin[t + 1] = self->stage.segments[self->stage.segment_begin[t + 1] - 1].end;
    self->summary = self->input->results;
    self->summary_begin = begin;
    self->summary_count = tasks;
    code = simplified_wanted(self) ? simplified_begin(self, &labelled, out, error)
                                   : summarise_outcome(self, &labelled, out, error);
    self->summary_begin = NULL;
    free(begin);
    return code;
}
