/* member_rows.h - members as the result store takes them: strings with a NUL, copied once. */
#ifndef STAGE4_COORDINATOR_OUTPUT_MEMBER_ROWS_H
#define STAGE4_COORDINATOR_OUTPUT_MEMBER_ROWS_H

#include "coordinator/output/cluster_build.h"
#include "proto/store/result_store.h"

typedef struct {
    member_row_t *rows;
    size_t count;
    size_t capacity;
    char *text; /* what the rows point into */
    size_t text_capacity;
} member_rows_t;

void member_rows_clear(member_rows_t *self); /* frees */

/* All members of a cluster. */
int member_rows_fill(member_rows_t *self, const cluster_t *cluster, const cluster_source_t *source,
                     error_t *error);
/* The next noise rows from slot *next on, a bounded number; *next moves past what was looked at. */
int member_rows_noise(member_rows_t *self, const cluster_source_t *source, uint32_t *next,
                      error_t *error);

#endif
