/* cluster.h - one cluster with what is said about it, and what it is built from. */
#ifndef STAGE4_COORDINATOR_OUTPUT_CLUSTER_H
#define STAGE4_COORDINATOR_OUTPUT_CLUSTER_H

#include "coordinator/output/entity_join.h"
#include "coordinator/output/outcome_view.h"
#include "coordinator/output/tally.h"
#include "proto/job_spec.h"

#define PRIMARY_ENTITY_LIMIT 10
#define DOMINANT_CATEGORY_LIMIT 5
#define LABEL_SIZE 512 /* 80 characters and what they may need in UTF-8 */

typedef struct {
    uint32_t slot;
    uint32_t row;
    float similarity;
} cluster_member_t;

typedef struct {
    outcome_cluster_t from;
    cluster_member_t *members; /* from.size of them, sorted by vector_id */
    size_t member_capacity;
    char id[64];
    char label[LABEL_SIZE];
    int64_t time_start_ms; /* TIME_NONE when no member has a time */
    int64_t time_end_ms;
    tally_t documents;  /* by bytes */
    tally_t entities;   /* by count: primary entities */
    tally_t domains;    /* by count, long forms */
    tally_t types;      /* by count: event_type or entity_type */
    tally_t mentions;   /* entities: the texts, by count */
    tally_t events;     /* storylines: event_ids, by bytes */
    tally_t categories; /* documents: by count */
    double word_sum;    /* documents: word_count of the members that have one */
    uint32_t word_count;
} cluster_t;

/* What building needs, borrowed for a whole job. */
typedef struct {
    const job_spec_t *spec;
    sha256_t identity; /* job_spec_identity(spec) */
    const catalog_t *catalog;
    const entity_join_t *entities; /* NULL: none */
    outcome_view_t *outcome;
} cluster_source_t;

#endif
