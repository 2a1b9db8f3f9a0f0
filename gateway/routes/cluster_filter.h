/* cluster_filter.h - which clusters a user asks for: the same fields as query parameters and as the
 * JSON of a search, from one table. */
#ifndef STAGE4_GATEWAY_ROUTES_CLUSTER_FILTER_H
#define STAGE4_GATEWAY_ROUTES_CLUSTER_FILTER_H

#include "gateway/http/query.h"
#include "proto/store/result_store.h"

#include <jansson.h>

#define CLUSTER_LIMIT_DEFAULT 20

typedef struct {
    cluster_query_t query; /* its text points into `source` */
    int with_centroid;     /* include=centroid: the 768 numbers of centroid_vector */
    int with_members;      /* include=members: the members with strength and similarity */
    json_t *source;
} cluster_filter_t;

/* Any cluster, first page. */
void cluster_filter_init(cluster_filter_t *self);
void cluster_filter_clear(cluster_filter_t *self);

/* From the URL; parameters that are no filter fields are left to the caller. */
int cluster_filter_from_query(const query_t *query, cluster_filter_t *out, error_t *error);
/* From a search's body; an unknown field is ERR_USAGE. */
int cluster_filter_from_json(const char *json, size_t length, cluster_filter_t *out,
                             error_t *error);

#endif
