/* result_store_none.c - the result store of a run that nobody will ask for its clusters: rows go
 * nowhere, nothing is found. */
#include "common/clock.h"
#include "proto/store/result_store.h"

#include <stdlib.h>
#include <string.h>

static int begin_job(result_store_t *self, const char *job_id, uint32_t epoch, error_t *error)
{
    (void)self, (void)job_id, (void)epoch, (void)error;
    return OK;
}

static int add_cluster(result_store_t *self, const cluster_row_t *cluster, error_t *error)
{
    (void)self, (void)cluster, (void)error;
    return OK;
}

static int add_noise(result_store_t *self, const member_row_t *members, size_t count,
                     error_t *error)
{
    (void)self, (void)members, (void)count, (void)error;
    return OK;
}

static int add_text(result_store_t *self, const char *name, uint32_t number, const char *text,
                    size_t length, error_t *error)
{
    (void)self, (void)name, (void)number, (void)text, (void)length, (void)error;
    return OK;
}

static int commit_job(result_store_t *self, const result_job_row_t *job, error_t *error)
{
    (void)self, (void)job, (void)error;
    return OK;
}

static void rollback_job(result_store_t *self) { (void)self; }

static int remove_job(result_store_t *self, const char *job_id, error_t *error)
{
    (void)self, (void)job_id, (void)error;
    return OK;
}

static int find_cluster(result_store_t *self, const char *cluster_id, const char *job_id,
                        char **json, error_t *error)
{
    (void)self, (void)job_id;
    *json = NULL;
    return error_set(error, ERR_NOT_FOUND, "no cluster %s: no clusters are kept here", cluster_id);
}

static int find_clusters(result_store_t *self, const cluster_query_t *query, cluster_page_t *page,
                         error_t *error)
{
    (void)self;
    memset(page, 0, sizeof *page);
    return query->job_id ? error_set(error, ERR_NOT_FOUND, "no job %s: no clusters are kept here",
                                     query->job_id)
                         : OK;
}

static int find_job(result_store_t *self, const char *job_id, char **json, error_t *error)
{
    (void)self;
    *json = NULL;
    return error_set(error, ERR_NOT_FOUND, "no job %s: no clusters are kept here", job_id);
}

static int find_text(result_store_t *self, const char *job_id, const char *name, uint32_t number,
                     char **text, size_t *length, error_t *error)
{
    (void)self, (void)name, (void)number;
    *text = NULL;
    *length = 0;
    return error_set(error, ERR_NOT_FOUND, "no job %s: no texts are kept here", job_id);
}

static int statistics(result_store_t *self, result_statistics_t *out, error_t *error)
{
    (void)self, (void)error;
    memset(out, 0, sizeof *out);
    for (int level = 0; level < LEVEL_COUNT; level++)
        out->newest_ms[level] = TIME_NONE;
    return OK;
}

static int version(result_store_t *self, char out[RESULT_VERSION_SIZE], error_t *error)
{
    (void)self, (void)error;
    *out = 0;
    return OK;
}

static int ping(result_store_t *self, error_t *error)
{
    (void)self, (void)error;
    return OK;
}

static void close_store(result_store_t **self)
{
    free(*self);
    *self = NULL;
}

static int claim(result_store_t *self, const result_fence_t *fence, error_t *error)
{
    (void)self, (void)fence, (void)error;
    return OK;
}

static const result_store_verbs_t VERBS = {
    .name = "none",
    .keeps_nothing = 1,
    .claim = claim,
    .begin_job = begin_job,
    .add_cluster = add_cluster,
    .add_noise = add_noise,
    .add_text = add_text,
    .commit_job = commit_job,
    .rollback_job = rollback_job,
    .remove_job = remove_job,
    .cluster = find_cluster,
    .clusters = find_clusters,
    .job = find_job,
    .text = find_text,
    .statistics = statistics,
    .version = version,
    .ping = ping,
    .close = close_store,
};

int result_store_open_none(result_store_t **out, error_t *error)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return error_set(error, ERR_MEMORY, "no memory for a result store");
    (*out)->verbs = &VERBS;
    return OK;
}
