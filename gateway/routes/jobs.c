/* jobs.c - what is asked of the coordinator: submit, look at, pause, resume and cancel jobs. */
#include "gateway/routes/handlers.h"
#include "proto/job_spec.h"
#include "proto/json_body.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_LIMIT_MAX 1000

static int ask(const gateway_context_t *context, client_verb_t verb, const char *job_id,
               const char *key, const char *body, http_response_t *response, error_t *error)
{
    int code = coordinator_client_call(context->coordinator, verb, job_id, key, body,
                                       body ? strlen(body) : 0, context->coordinator_timeout_ms,
                                       &response->body, error);
    if (code == OK)
        response->body_length = strlen(response->body);
    return code;
}

static int check_key(const char *key, error_t *error)
{
    size_t length = strlen(key), printable = 0;
    while (key[printable] > ' ' && key[printable] <= '~')
        printable++;
    if (printable == length && length < sizeof((client_request_t *)0)->idempotency_key)
        return OK;
    return error_field(error, ERR_USAGE, "Idempotency-Key",
                       "Idempotency-Key has at most 79 printable characters and no blank");
}

/* What a proxy in front took off the path: only a plain path is believed. */
static const char *outer_prefix(const char *forwarded)
{
    size_t length = strlen(forwarded);
    if (length < 2 || length > 128 || forwarded[0] != '/' || forwarded[1] == '/' ||
        forwarded[length - 1] == '/' || strstr(forwarded, "//") || strstr(forwarded, "..") ||
        strspn(forwarded, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.~-") !=
            length)
        return "";
    return forwarded;
}

static int set_location(const route_request_t *request, http_response_t *response, error_t *error)
{
    json_t *status = json_loadb(response->body, response->body_length, 0, NULL);
    const char *job_id = json_string_value(json_object_get(status, "job_id"));
    if (job_id)
        snprintf(response->location, sizeof response->location, "%s%s/cluster/status/%s",
                 outer_prefix(request->http->forwarded_prefix), request->prefix, job_id);
    json_decref(status);
    return job_id ? OK : error_set(error, ERR_PROTOCOL, "a job's status has no job_id");
}

int job_submit(const gateway_context_t *context, const route_request_t *request,
               http_response_t *response, error_t *error)
{
    const http_request_t *http = request->http;
    job_spec_t spec;
    char *json = NULL;
    int code = check_key(http->idempotency_key, error);
    if (code == OK)
        code = job_spec_from_json(http->body, http->body_length, &spec, error);
    if (code != OK)
        return code;
    code = job_spec_to_json(&spec, &json, error);
    if (code == OK)
        code = ask(context, VERB_SUBMIT, NULL, http->idempotency_key, json, response, error);
    if (code == OK)
        code = set_location(request, response, error);
    if (code == OK)
        response->status = 202;
    job_spec_clear(&spec);
    free(json);
    return code;
}

/* An id that no job can have need not be asked for. */
static int check_job_id(const char *job_id, error_t *error)
{
    if (strlen(job_id) < JOB_ID_SIZE && !strpbrk(job_id, ".:"))
        return OK;
    return error_field(error, ERR_NOT_FOUND, "job_id", "there is no job %s", job_id);
}

static int ask_about(const gateway_context_t *context, client_verb_t verb,
                     const route_request_t *request, http_response_t *response, error_t *error)
{
    int code = check_job_id(request->id, error);
    if (code == OK)
        code = ask(context, verb, request->id, NULL, NULL, response, error);
    if ((code == ERR_NOT_FOUND || code == ERR_CONFLICT) && !error->field[0])
        snprintf(error->field, sizeof error->field, "job_id");
    return code;
}

int job_status(const gateway_context_t *context, const route_request_t *request,
               http_response_t *response, error_t *error)
{
    return ask_about(context, VERB_STATUS, request, response, error);
}

int job_pause(const gateway_context_t *context, const route_request_t *request,
              http_response_t *response, error_t *error)
{
    return ask_about(context, VERB_PAUSE, request, response, error);
}

int job_resume(const gateway_context_t *context, const route_request_t *request,
               http_response_t *response, error_t *error)
{
    return ask_about(context, VERB_RESUME, request, response, error);
}

int job_cancel(const gateway_context_t *context, const route_request_t *request,
               http_response_t *response, error_t *error)
{
    return ask_about(context, VERB_CANCEL, request, response, error);
}

int job_retry(const gateway_context_t *context, const route_request_t *request,
              http_response_t *response, error_t *error)
{
    return ask_about(context, VERB_RETRY, request, response, error);
}

/* *limit: 0 when not given. */
static int read_limit(const char *text, long *limit, error_t *error)
{
    size_t digits = text ? strspn(text, "0123456789") : 0;
    *limit = 0;
    if (!text)
        return OK;
    if (digits > 0 && digits <= 4 && text[digits] == '\0')
        *limit = strtol(text, NULL, 10);
    if (*limit >= 1 && *limit <= JOBS_LIMIT_MAX)
        return OK;
    return error_field(error, ERR_USAGE, "limit",
                       "limit is \"%.40s\"; it must be a whole number from 1 to %d", text,
                       JOBS_LIMIT_MAX);
}

/* The states and cursors themselves are the coordinator's to know. */
int job_list(const gateway_context_t *context, const route_request_t *request,
             http_response_t *response, error_t *error)
{
    const char *state = query_get(&request->query, "state");
    const char *cursor = query_get(&request->query, "cursor");
    long limit;
    int code = read_limit(query_get(&request->query, "limit"), &limit, error);
    if (code != OK)
        return code;
    json_t *body = json_object();
    if (limit)
        json_object_set_new(body, "limit", json_integer(limit));
    if (state)
        json_object_set_new(body, "state", json_string(state));
    if (cursor)
        json_object_set_new(body, "cursor", json_string(cursor));
    char *json = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!json)
        return error_set(error, ERR_MEMORY, "out of memory");
    code = ask(context, VERB_LIST, NULL, NULL, json, response, error);
    free(json);
    return code;
}
