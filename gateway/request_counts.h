/* request_counts.h - how many requests each route answered, how, and how fast. Thread-safe. */
#ifndef STAGE4_GATEWAY_REQUEST_COUNTS_H
#define STAGE4_GATEWAY_REQUEST_COUNTS_H

#include "common/error.h"

#include <stdio.h>

typedef struct request_counts request_counts_t;

int request_counts_new(request_counts_t **out, error_t *error);
void request_counts_destroy(request_counts_t **self);

/* `pattern`: of the route in the table, "" for a request that fits none; it is borrowed for ever.
 * `status`: as sent. `seconds` until the answer was ready; a stream's body comes after that. */
void request_counts_add(request_counts_t *self, const char *pattern, int status, double seconds);

/* Families clustering_http_requests_total and clustering_http_request_duration_seconds. */
void request_counts_tell(request_counts_t *self, FILE *out);

#endif
