#include "proto/store/job_document.h"

#include "common/clock.h"
#include "common/level.h"

#include <jansson.h>

static json_t *document(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_null();
}

static json_t *time_of(int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NONE)
        return json_null();
    time_format(time_ms, text);
    return json_string(text);
}

static const char *level_of(int64_t level)
{
    return level_plural(level >= 0 && level < LEVEL_COUNT ? (level_t)level : LEVEL_EVENTS);
}

int job_document(const job_document_t *job, char **json, error_t *error)
{
    json_t *object = json_pack(
        "{s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "job_id", job->job_id,
        "epoch", (json_int_t)job->epoch, "embedding_type", level_of(job->level), "algorithm",
        job->algorithm, "spec", document(job->spec_json), "report", document(job->report_json),
        "output", *job->output_name ? json_string(job->output_name) : json_null(), "clusters",
        (json_int_t)job->cluster_count, "items", (json_int_t)job->item_count, "noise",
        (json_int_t)job->noise_count, "as_of", time_of(job->as_of_ms), "finished_at",
        time_of(job->finished_ms));
    *json = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return *json ? OK
                 : error_set(error, ERR_MEMORY, "no memory for the results of job %s", job->job_id);
}
