/* advance.h - from one barrier to the next: folds the results of a stage into the next stage.
 *
 * A pure function of its input (job, index, metadata, results): run twice it gives the same bytes,
 * which is why a crash in the middle costs nothing but time. It reads payloads from the spool and
 * leaves the next stage's inputs there. It is called from the coordinator's merge thread.
 *
 *   hdbscan:  plan -> (rotate -> encode) -> knn -> (reach)* -> summarise -> last
 *   kmeans:   plan -> (rotate -> encode) -> (seed -> (assign)+)+ -> summarise -> last
 *   hdbscan, approximate; two-stage: plan -> rotate -> encode -> seed -> (assign)+ -> probe -> probe -> summarise
 *   agglomerative: plan -> linkage -> summarise -> last; single linkage as hdbscan; over pairs:
 *             as pairs -> linkage -> summarise -> last
 *   pairs:    plan -> (rotate -> encode) -> (pairs, counted) -> pairs -> summarise -> last */
#ifndef STAGE4_COORDINATOR_MERGE_ADVANCE_H
#define STAGE4_COORDINATOR_MERGE_ADVANCE_H

#include "common/error.h"
#include "common/sha256.h"
#include "coordinator/merge/kept.h"
#include "coordinator/plan/memory_need.h"
#include "coordinator/store/spool.h"
#include "proto/job_spec.h"
#include "proto/stage.h"

#include <stdatomic.h>

#define MATRIX_BYTES_DEFAULT ((uint64_t)2048 << 20)

typedef struct {
    const char *job_id;
    const job_spec_t *spec;     /* as_of resolved */
    const char *indices_folder; /* read-only */
    const char *cache_folder;   /* for catalogs; NULL none */
    spool_t *spool;
    kept_t *kept;           /* what the folds before left in memory; NULL none */
    memory_place_t memory;  /* what the process may take: a job that needs more is refused */
    const atomic_int *stop; /* non-zero: give up soon with ERR_CANCELLED */
    uint64_t matrix_bytes; /* that a worker may use for one partition's distances; 0: the default */
    /* The stage that has finished; first = 1 and nothing else for the very first call. */
    int first;
    uint32_t stage_number;
    sha256_t stage_sha;
    sha256_t state_sha;
    uint32_t result_count; /* = the stage's task_count */
    const sha256_t *results;
} advance_input_t;

typedef struct {
    int last; /* 1: nothing left to compute; state_sha names the outcome for output/write.h */
    task_kind_t kind;    /* of the next stage */
    uint32_t task_count; /* >= 1 unless last */
    sha256_t stage_sha;  /* the next stage_t, encoded; zeros when last */
    sha256_t state_sha;
    uint64_t work;   /* of all its tasks */
    uint64_t memory; /* bytes that the job will take at its fullest, of a first call; else 0 */
    char phase[48];  /* for people: "neighbours", "tree, round 3", "k-means, step 7" */
} advance_output_t;

/* ERR_NOT_FOUND with error->field "task:<number>": the result of that task cannot be read or makes
 * no sense; it must run again. With the field SPOOL_PAYLOAD: so is a file that an earlier step left,
 * and the job must be planned again. Other codes fail the job. */
int advance(const advance_input_t *input, advance_output_t *out, error_t *error);

/* The index's fingerprint that the tasks of a stage carry, from the state that stands beside it. */
int advance_index_fingerprint(spool_t *spool, const char *job_id, const sha256_t *state_sha,
                              sha256_t *out, error_t *error);
/* ... and what the plan foretold of memory, bytes; 0 when it says nothing. */
uint64_t advance_memory(spool_t *spool, const char *job_id, const sha256_t *state_sha);

#endif
