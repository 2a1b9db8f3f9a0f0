/* job_spec.h - what a user asks for: one table of fields, from which decoding, encoding, the
 * command line's --param and the API's documentation come.
 *
 * JSON in, checked field by field: an unknown field, a wrong type or a value out of range is
 * ERR_USAGE with `field` set ("params.min_cluster_size"). Canonical JSON out: keys sorted, defaults
 * filled in, so equal jobs have equal bytes. */
#ifndef STAGE4_PROTO_JOB_SPEC_H
#define STAGE4_PROTO_JOB_SPEC_H

#include "common/error.h"
#include "common/level.h"
#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {
    ALGORITHM_HDBSCAN,
    ALGORITHM_KMEANS,
    ALGORITHM_AGGLOMERATIVE,
    ALGORITHM_PAIRS,
    ALGORITHM_TWO_STAGE
} algorithm_t;
#define ALGORITHM_COUNT 5
typedef enum { METRIC_COSINE, METRIC_EUCLIDEAN } metric_t;
typedef enum { MODE_EXACT, MODE_APPROXIMATE } search_mode_t;
typedef enum { QUALITY_SILHOUETTE = 1, QUALITY_SIMPLIFIED = 2, QUALITY_DBCV = 4 } quality_t;
typedef enum { SEEDING_PLUS_PLUS, SEEDING_RANDOM } seeding_t;
typedef enum { SELECTION_EOM, SELECTION_LEAF } selection_t;
typedef enum { LINKAGE_AVERAGE, LINKAGE_COMPLETE, LINKAGE_SINGLE, LINKAGE_WARD } linkage_method_t;
typedef enum { DECAY_NONE, DECAY_EXPONENTIAL, DECAY_HALF_LIFE, DECAY_LINEAR } decay_t;
typedef enum {
    PARTITION_DOMAIN = 1,
    PARTITION_EVENT_TYPE = 2,
    PARTITION_ENTITY_TYPE = 4
} partition_by_t;

typedef struct {
    char *key;   /* a key of the metadata object */
    char *value; /* canonical JSON of a string, number, boolean or null: equality */
} metadata_filter_t;

#define FILTER_LIMIT 16
#define WEIGHT_ROWS 16
#define WEIGHT_COLUMNS 17

/* What a pair weighs by similarity and days apart: row r from r * weight_days days on, the last one
 * for all that is farther; in a row weights at similarities from 0 to 1 in equal steps. */
typedef struct {
    uint32_t rows; /* 0: none is given */
    uint32_t columns;
    double value[WEIGHT_ROWS * WEIGHT_COLUMNS];
} weight_table_t;

typedef struct {
    level_t level;         /* embedding_type */
    algorithm_t algorithm; /* "hdbscan" | "kmeans" | "agglomerative" | "pairs" |
                              "two-stage" */
    metric_t metric;       /* "cosine" (default) | "euclidean" */
    unsigned partition_by; /* set of partition_by_t; JSON: array of "domain" "event_type"
                              "entity_type" */
    int32_t window_days; /* -1 none; >= 0: only pairs at most that many days apart are neighbours */
    int64_t date_from_ms; /* TIME_NONE none; inclusive. JSON "date_from", a date or a date-time */
    int64_t date_to_ms;   /* TIME_NONE none; inclusive (a date alone: to the end of that day) */
    size_t filter_count;
    metadata_filter_t filter[FILTER_LIMIT]; /* JSON object "filter" */
    int include_metadata;                   /* members carry their whole Stage 3 metadata */
    double max_bad_fraction;                /* 0.01 */
    int64_t as_of_ms;       /* metadata.timestamp of the output; TIME_NONE: time of submission */
    uint32_t dimension;     /* 768 */
    int32_t retention_days; /* -1: as the coordinator has it; 0: for ever */
    uint32_t priority;      /* 0 to 9, 5; higher ones start, and are given workers, first */
    unsigned quality;       /* set of quality_t that are worked out for the report */
    /* "params" of hdbscan, and of two-stage, which has no mode */
    uint32_t min_cluster_size;        /* 5, >= 2 */
    uint32_t min_samples;             /* 0: as min_cluster_size; counts the point itself */
    double cluster_selection_epsilon; /* 0; in the metric's distance */
    selection_t selection;            /* cluster_selection_method: "eom" | "leaf" */
    search_mode_t mode;       /* "exact" | "approximate": neighbours are looked for nearby only */
    double target_recall;     /* 0.95: share of the true neighbours that an approximate job finds */
    int allow_single_cluster; /* 0 */
    uint32_t max_cluster_size; /* 0: no limit; eom only */
    uint32_t cells; /* of two-stage: k-means cells of each partition; 0: the root of its size */
    /* "params" of kmeans */
    uint32_t k;              /* required, >= 1; for each partition */
    seeding_t init;          /* "k-means++" | "random" */
    uint32_t n_init;         /* 1: runs from other seeds, of which the best is kept */
    uint32_t max_iterations; /* 100 */
    double tolerance;        /* 1e-4: squared move of all centres relative to the mean variance */
    uint64_t seed;           /* 0 */
    /* "params" of agglomerative */
    linkage_method_t linkage;  /* "average" (default) | "complete" | "single" | "ward" */
    double distance_threshold; /* -1 none; clusters are joined at distances up to this one ... */
    uint32_t n_clusters;       /* ... or until so many a partition are left; 0 none */
    uint32_t smallest_cluster; /* JSON "min_cluster_size", 1: smaller ones are noise */
    /* "params" of pairs, and of agglomerative over pairs; decay of hdbscan too */
    double min_weight;    /* pairs that weigh so much; required. -1 none */
    decay_t decay;        /* how the weight falls with the days apart */
    double decay_days;    /* -1 none */
    uint32_t max_pairs;   /* 1,000,000 */
    uint32_t weight_days; /* 1 */
    weight_table_t weight_table;
} job_spec_t;

void job_spec_init(job_spec_t *self); /* the defaults */
void job_spec_clear(job_spec_t *self);

/* Decodes and validates a whole request body. At most 64 KiB, 8 deep. */
int job_spec_from_json(const char *json, size_t length, job_spec_t *out, error_t *error);
/* Canonical JSON, malloc'd, NUL-terminated. */
int job_spec_to_json(const job_spec_t *self, char **json, error_t *error);
/* Sets one of "params" from the text of a command line's --param name=value. */
int job_spec_set_param(job_spec_t *self, const char *name, const char *value, error_t *error);
/* The same for a field beside "params": ("partition_by", "domain,event_type"), ("date_to",
 * "2015-09-30"), ("filter", "{\"domain\":\"military\"}"). "algorithm" comes before its params. */
int job_spec_set_field(job_spec_t *self, const char *name, const char *value, error_t *error);
/* Cross-field rules (a parameter of another algorithm, dates out of order, a partition key that the
 * level has not ...). job_spec_from_json calls it. */
int job_spec_validate(const job_spec_t *self, error_t *error);
/* SHA-256 of the canonical JSON without as_of, include_metadata, priority and retention_days: what decides the
 * clustering. */
sha256_t job_spec_identity(const job_spec_t *self);

/* Every field: what is allowed, its default, its meaning. Markdown tables, made from the table. */
void job_spec_describe(FILE *stream);

uint32_t job_spec_min_samples(const job_spec_t *self); /* with the default resolved */
/* Neighbours are looked for in k-means cells and across their borders, not everywhere. */
int job_spec_in_cells(const job_spec_t *self);
/* Agglomerative over pairs of a least weight, instead of over all distances. */
int job_spec_sparse(const job_spec_t *self);
const char *algorithm_name(algorithm_t algorithm);
const char *metric_name(metric_t metric);
const char *linkage_name(linkage_method_t method);
const char *decay_name(decay_t decay);

/* The metric's distance of a canonical dist2, in float64 so that no two dist2 become equal. */
double metric_distance(metric_t metric, float dist2);

#endif
