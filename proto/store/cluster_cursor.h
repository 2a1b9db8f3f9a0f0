/* cluster_cursor.h - where the next page of clusters begins, as text for a URL.
 *
 * "1~<job number>~<size>~<cluster_id>~<job_id>[~<job_id> ...]": the place after the cluster of that
 * size and id, in that one of the listed jobs. Because the jobs are named, a job that is committed
 * between two pages changes nothing for a reader in the middle. */
#ifndef STAGE4_PROTO_STORE_CLUSTER_CURSOR_H
#define STAGE4_PROTO_STORE_CLUSTER_CURSOR_H

#include "common/error.h"
#include "common/level.h"
#include "proto/task.h"

#define CLUSTER_ID_SIZE 64 /* with its NUL */
#define CURSOR_SIZE 400

typedef struct {
    size_t job_count;
    char job_id[LEVEL_COUNT][JOB_ID_SIZE];
    size_t job;  /* the one to go on in */
    int started; /* 0: from its first cluster; 1: after the cluster below */
    uint32_t size;
    char cluster_id[CLUSTER_ID_SIZE];
} cluster_cursor_t;

void cluster_cursor_format(const cluster_cursor_t *self, char out[CURSOR_SIZE]);
/* ERR_USAGE with the field "cursor" for a text that cluster_cursor_format cannot have made. */
int cluster_cursor_parse(const char *text, cluster_cursor_t *out, error_t *error);

#endif
