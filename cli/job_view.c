#include "cli/job_view.h"

#include <string.h>

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static double number(const json_t *object, const char *key, double none)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : none;
}

job_view_t job_view(const json_t *status)
{
    const json_t *report = json_object_get(status, "report");
    return (job_view_t){
        .job_id = text(status, "job_id"),
        .state = text(status, "state"),
        .state_words = text(status, "state_words"),
        .level = text(status, "embedding_type"),
        .algorithm = text(status, "algorithm"),
        .phase = text(status, "phase"),
        .waiting_for = text(status, "waiting_for"),
        .submitted_at = text(status, "submitted_at"),
        .progress = number(status, "progress", -1),
        .work_done = number(status, "work_done", 0),
        .eta_s = number(status, "eta_seconds", -1),
        .report = json_is_object(report) ? report : NULL,
    };
}

int job_view_ended(const job_view_t *self)
{
    return !strcmp(self->state, "completed") || !strcmp(self->state, "failed") ||
           !strcmp(self->state, "cancelled");
}

int job_view_error(const json_t *status, error_t *error)
{
    const json_t *cause = json_object_get(status, "error");
    const char *state = text(status, "state");
    if (!strcmp(state, "cancelled"))
        return error_set(error, ERR_CANCELLED, "the job was cancelled");
    if (strcmp(state, "failed"))
        return OK;
    for (int code = OK + 1; code < ERROR_CODE_COUNT; code++)
        if (!strcmp(error_name(code), text(cause, "code")))
            return error_field(error, code, text(cause, "field"), "%s", text(cause, "message"));
    return error_set(error, ERR_INTERNAL, "the job failed: %s", text(cause, "message"));
}
