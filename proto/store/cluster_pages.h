/* cluster_pages.h - from a query and its cursor to a page of clusters: the walk that all SQL back
 * ends share. Which jobs are read and in which order is decided here, once. */
#ifndef STAGE4_PROTO_STORE_CLUSTER_PAGES_H
#define STAGE4_PROTO_STORE_CLUSTER_PAGES_H

#include "proto/store/cluster_where.h"

typedef struct cluster_taker cluster_taker_t; /* fills a page, a row at a time */

/* The four questions that the walk asks of a back end. */
typedef struct {
    void *context;
    const cluster_dialect_t *dialect;
    /* The writing of a committed job; *level is -1 when the job is not there. */
    int (*writing)(void *context, const char *job_id, int64_t *writing, int *level, error_t *error);
    /* Calls `take` with the newest completed job of each level, the one finished last first. */
    int (*newest)(void *context, void (*take)(void *taker, const char *job_id, int level),
                  void *taker, error_t *error);
    int (*count)(void *context, const where_t *where, uint64_t *count, error_t *error);
    /* Gives each row to cluster_taker_add, in order, until that gives anything but OK. */
    int (*rows)(void *context, const where_t *where, cluster_taker_t *taker, error_t *error);
} cluster_source_t;

/* The caller has opened a snapshot that the source reads from. On failure the page is empty. */
int cluster_pages_read(const cluster_source_t *source, const cluster_query_t *query,
                       cluster_page_t *page, error_t *error);

int cluster_taker_add(cluster_taker_t *self, uint32_t size, const char *cluster_id,
                      const char *json, error_t *error);

#endif
