/* outcome_view.h - the payloads of an outcome, checked against each other, cluster by cluster.
 *
 * Plan, labels and members stay in memory; summaries are read from the spool one at a time as the
 * clusters come by, in order. Every number that leads into an array is checked here, so nobody
 * behind this header needs to. */
#ifndef STAGE4_COORDINATOR_OUTPUT_OUTCOME_VIEW_H
#define STAGE4_COORDINATOR_OUTPUT_OUTCOME_VIEW_H

#include "coordinator/merge/outcome.h"
#include "coordinator/store/spool.h"
#include "proto/columns.h"
#include "proto/payload.h"

#include <stddef.h>
#include <stdint.h>

typedef struct outcome_view outcome_view_t;

/* Borrows `spool` and `job_id`. ERR_PROTOCOL when the payloads contradict each other. */
int outcome_view_open(spool_t *spool, const char *job_id, const sha256_t *state_sha,
                      outcome_view_t **out, error_t *error);
/* The same outcome once more, for another thread: its clusters are asked for apart from this one's. It
 * borrows what `self` holds, which must outlive it. */
int outcome_view_sibling(const outcome_view_t *self, outcome_view_t **out, error_t *error);
void outcome_view_close(outcome_view_t **self);

uint32_t outcome_slots(const outcome_view_t *self);
uint32_t outcome_clusters(const outcome_view_t *self);
uint32_t outcome_cluster_size(const outcome_view_t *self, uint32_t number);
uint32_t outcome_dimension(const outcome_view_t *self);
sha256_t outcome_index_fingerprint(const outcome_view_t *self);
sha256_t outcome_metadata_fingerprint(const outcome_view_t *self);
/* What planning and clustering found: a JSON object. */
int outcome_report(const outcome_view_t *self, const char **json, size_t *length, error_t *error);

/* A partition's slots; its name is not NUL-terminated, and empty where nothing divides. */
typedef struct {
    uint32_t begin;
    uint32_t end;
    const char *name;
    size_t name_length;
} outcome_partition_t;

uint32_t outcome_partitions(const outcome_view_t *self);
int outcome_partition(const outcome_view_t *self, uint32_t number, outcome_partition_t *out,
                      error_t *error);

/* What the outcome names beside its clusters (outcome.h, "side"), opened as a payload of that kind.
 * Zero-initialise before; close after, also when opening failed. */
typedef struct {
    uint8_t *bytes;
    columns_t *columns;
} outcome_side_t;

size_t outcome_sides(const outcome_view_t *self);
int outcome_side_open(const outcome_view_t *self, size_t number, const char *kind,
                      outcome_side_t *out, error_t *error);
void outcome_side_close(outcome_side_t *self);

/* DAY_NONE where the job had no window, or the item no date. */
int32_t outcome_day(const outcome_view_t *self, uint32_t slot);
uint32_t outcome_row(const outcome_view_t *self, uint32_t slot); /* in the index */
int outcome_is_noise(const outcome_view_t *self, uint32_t slot);
float outcome_strength(const outcome_view_t *self, uint32_t slot);
float outcome_outlier(const outcome_view_t *self, uint32_t slot);

/* One cluster; the arrays live until the next call. */
typedef struct {
    uint32_t number;
    uint32_t size;
    const uint32_t *slots;   /* ascending */
    const float *similarity; /* of each slot to the centroid */
    const float *centroid;   /* dimension floats */
    const uint32_t *typical; /* TYPICAL_COUNT slots, SLOT_NONE pads */
    double intra_similarity;
    double persistence;
    int has_dbcv;          /* the job has measured it */
    double dbcv;           /* NaN for a single member */
    const char *partition; /* its name, not NUL-terminated */
    size_t partition_length;
} outcome_cluster_t;

/* Clusters are asked for in ascending order of `number`. */
int outcome_cluster(outcome_view_t *self, uint32_t number, outcome_cluster_t *out, error_t *error);

#endif
