/* clusters.c - what is read from the result store: clusters in pages, alone, and as JSONL. */
#include "gateway/routes/cluster_filter.h"
#include "gateway/routes/cluster_stream.h"
#include "gateway/routes/handlers.h"
#include "gateway/routes/project.h"
#include "gateway/routes/text_stream.h"
#include "proto/json_body.h"

#include <stdlib.h>
#include <string.h>

int store_failed(const gateway_context_t *context, int code, error_t *error)
{
    if (code == OK || code == ERR_NOT_FOUND || code == ERR_USAGE || code == ERR_TOO_LARGE)
        return code;
    log_event(context->log, LOG_WARNING, "result_store", LOG_TEXT("error", error_name(code)),
              LOG_TEXT("message", error->message));
    return error_set(error, ERR_UNAVAILABLE, "the result store cannot be read now");
}

int store_json(const gateway_context_t *context, const char *id, const char *job_id,
               int (*ask)(result_store_t *store, const char *id, const char *job_id, char **json,
                          error_t *error),
               char **json, error_t *error)
{
    result_store_t *store;
    int code = store_pool_take(context->stores, &store, error);
    if (code == OK) {
        code = ask(store, id, job_id, json, error);
        store_pool_give(context->stores, store, code != OK && code != ERR_NOT_FOUND);
    }
    return store_failed(context, code, error);
}

static int read_page(const gateway_context_t *context, const cluster_query_t *query,
                     cluster_page_t *page, error_t *error)
{
    result_store_t *store;
    memset(page, 0, sizeof *page);
    int code = store_pool_take(context->stores, &store, error);
    if (code == OK) {
        code = store->verbs->clusters(store, query, page, error);
        store_pool_give(context->stores, store,
                        code != OK && code != ERR_NOT_FOUND && code != ERR_USAGE);
    }
    return store_failed(context, code, error);
}

static int write_clusters(FILE *stream, const cluster_page_t *page, const cluster_filter_t *filter)
{
    const char *without[2];
    size_t count = 0;
    if (!filter->with_centroid)
        without[count++] = "centroid_vector";
    if (!filter->with_members)
        without[count++] = "members";
    fputs("\"clusters\":[", stream);
    for (size_t i = 0; i < page->count; i++) {
        fputs(i ? "," : "", stream);
        if (!project_without(stream, page->json[i], without, count))
            return 0;
    }
    fprintf(stream, "],\"total\":%llu,\"next_cursor\":", (unsigned long long)page->total);
    if (page->next_cursor)
        json_write_string(stream, page->next_cursor);
    else
        fputs("null", stream);
    return 1;
}

/* `job_json`: the job's row to put in front; NULL for lists over jobs. */
static int respond_page(const gateway_context_t *context, const cluster_filter_t *filter,
                        const char *job_json, http_response_t *response, error_t *error)
{
    cluster_page_t page;
    int code = read_page(context, &filter->query, &page, error);
    if (code != OK)
        return code;
    FILE *stream = open_memstream(&response->body, &response->body_length);
    if (stream) {
        fputc('{', stream);
        if (job_json)
            fprintf(stream, "\"job\":%s,", job_json);
        int sound = write_clusters(stream, &page, filter);
        fputc('}', stream);
        if (fclose(stream) != 0)
            code = error_set(error, ERR_MEMORY, "out of memory");
        else if (!sound)
            code = error_set(error, ERR_INTERNAL, "a stored cluster is no JSON object");
    } else {
        code = error_set(error, ERR_MEMORY, "out of memory");
    }
    cluster_page_clear(&page);
    return code;
}

int cluster_list(const gateway_context_t *context, const route_request_t *request,
                 http_response_t *response, error_t *error)
{
    cluster_filter_t filter;
    int code = cluster_filter_from_query(&request->query, &filter, error);
    if (code == OK)
        code = respond_page(context, &filter, NULL, response, error);
    cluster_filter_clear(&filter);
    return code;
}

int cluster_search(const gateway_context_t *context, const route_request_t *request,
                   http_response_t *response, error_t *error)
{
    cluster_filter_t filter;
    int code =
        cluster_filter_from_json(request->http->body, request->http->body_length, &filter, error);
    if (code == OK)
        code = respond_page(context, &filter, NULL, response, error);
    cluster_filter_clear(&filter);
    return code;
}

static int ask_cluster(result_store_t *store, const char *id, const char *job_id, char **json,
                       error_t *error)
{
    return store->verbs->cluster(store, id, job_id, json, error);
}

int cluster_detail(const gateway_context_t *context, const route_request_t *request,
                   http_response_t *response, error_t *error)
{
    int code = store_json(context, request->id, query_get(&request->query, "job_id"), ask_cluster,
                          &response->body, error);
    if (code == OK)
        response->body_length = strlen(response->body);
    else if (code == ERR_NOT_FOUND)
        error_field(error, code, "id", "there is no cluster %s", request->id);
    return code;
}

/* ---- the clusters of one job ---- */

static int ask_job(result_store_t *store, const char *id, const char *job_id, char **json,
                   error_t *error)
{
    (void)job_id;
    return store->verbs->job(store, id, json, error);
}

/* The store does not know the job: the coordinator says whether there will be something to read. */
static int explain_absence(const gateway_context_t *context, const char *job_id, error_t *error)
{
    char *answer = NULL;
    if (strlen(job_id) >= JOB_ID_SIZE || strpbrk(job_id, ".:"))
        return error_field(error, ERR_NOT_FOUND, "job_id", "there is no job %s", job_id);
    int code = coordinator_client_call(context->coordinator, VERB_STATUS, job_id, NULL, NULL, 0,
                                       context->coordinator_timeout_ms, &answer, error);
    if (code != OK)
        return code;
    json_t *status = json_loads(answer, 0, NULL);
    const char *state = json_string_value(json_object_get(status, "state"));
    const char *why =
        json_string_value(json_object_get(json_object_get(status, "error"), "message"));
    code = error_field(error, ERR_CONFLICT, "job_id", "job %s has no results; it is %s%s%s", job_id,
                       state ? state : "in an unknown state", why ? ": " : "", why ? why : "");
    json_decref(status);
    free(answer);
    return code;
}

static int wants_jsonl(const query_t *query, int *jsonl, error_t *error)
{
    const char *format = query_get(query, "format");
    *jsonl = format && strcmp(format, "jsonl") == 0;
    if (format && !*jsonl && strcmp(format, "json") != 0)
        return error_field(error, ERR_USAGE, "format",
                           "format is \"%.40s\"; it must be \"json\" or \"jsonl\"", format);
    if (*jsonl && query->count > 1)
        return error_field(error, ERR_USAGE, "format",
                           "format=jsonl gives every cluster whole and takes no other parameter");
    return OK;
}

int job_results(const gateway_context_t *context, const route_request_t *request,
                http_response_t *response, error_t *error)
{
    cluster_filter_t filter;
    char *job_json = NULL;
    int jsonl = 0;
    int code = cluster_filter_from_query(&request->query, &filter, error);
    filter.query.job_id = request->id;
    if (code == OK)
        code = wants_jsonl(&request->query, &jsonl, error);
    if (code == OK)
        code = store_json(context, request->id, NULL, ask_job, &job_json, error);
    if (code == ERR_NOT_FOUND)
        code = explain_absence(context, request->id, error);
    else if (code == OK && jsonl)
        code = cluster_stream_new(context, request->id, response, error);
    else if (code == OK)
        code = respond_page(context, &filter, job_json, response, error);
    free(job_json);
    cluster_filter_clear(&filter);
    return code;
}

/* ---- what a job gives beside its clusters ---- */

static int job_text(const gateway_context_t *context, const route_request_t *request,
                    const char *name, const char *algorithm, http_response_t *response,
                    error_t *error)
{
    char *job_json = NULL;
    int code = text_stream_new(context, request->id, name, response, error);
    if (code != ERR_NOT_FOUND)
        return code;
    code = store_json(context, request->id, NULL, ask_job, &job_json, error);
    free(job_json);
    if (code == OK)
        return error_field(error, ERR_NOT_FOUND, "job_id",
                           "job %s has no %s; jobs of the algorithm %s have", request->id, name,
                           algorithm);
    return code == ERR_NOT_FOUND ? explain_absence(context, request->id, error) : code;
}

int job_dendrogram(const gateway_context_t *context, const route_request_t *request,
                   http_response_t *response, error_t *error)
{
    return job_text(context, request, "dendrogram", "agglomerative", response, error);
}

int job_pairs(const gateway_context_t *context, const route_request_t *request,
              http_response_t *response, error_t *error)
{
    return job_text(context, request, "pairs", "pairs", response, error);
}
