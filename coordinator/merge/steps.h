/* steps.h - the folds between the stages: one function for each stage that ends.
 *
 * Each reads the checkpoint's columns and the stage's results, and leaves the next stage or the
 * outcome (advance.h). */
#ifndef STAGE4_COORDINATOR_MERGE_STEPS_H
#define STAGE4_COORDINATOR_MERGE_STEPS_H

#include "coordinator/merge/checkpoint.h"
#include "coordinator/merge/clustering.h"
#include "coordinator/merge/members.h"
#include "common/graph/edge.h"

typedef struct {
    const advance_input_t *input;
    checkpoint_t checkpoint;
    stage_t stage; /* the one that has finished; zeros after planning */
    /* Payloads that the outcome names beside labels and members: what the writer makes a file of
     * its own from (outcome.h, "side"). Set before summarise_begin, borrowed. */
    const sha256_t *side;
    size_t side_count;
    /* Summaries of clusters summary_begin[t] .. summary_begin[t + 1], once they are there: borrowed. */
    const sha256_t *summary;
    const uint32_t *summary_begin; /* summary_count + 1 */
    uint32_t summary_count;
} step_t;

/* hdbscan.c */
int hdbscan_begin(step_t *self, advance_output_t *out, error_t *error);
int hdbscan_after_encode(step_t *self, advance_output_t *out, error_t *error);
int hdbscan_after_near(step_t *self, advance_output_t *out, error_t *error);
int hdbscan_after_knn(step_t *self, advance_output_t *out, error_t *error);
int hdbscan_after_reach(step_t *self, advance_output_t *out, error_t *error);
int hdbscan_after_verify(step_t *self, advance_output_t *out, error_t *error);
/* tree_cut.c: clusters of a spanning forest, which is sorted on return, and then summaries. */
int tree_cut(step_t *self, edge_t *forest, size_t count, advance_output_t *out, error_t *error);
/* probing.c */
int probing_after_probe(step_t *self, advance_output_t *out, error_t *error);
/* kmeans.c */
int kmeans_begin(step_t *self, advance_output_t *out, error_t *error);
int kmeans_after_encode(step_t *self, advance_output_t *out, error_t *error);
int kmeans_after_seed(step_t *self, advance_output_t *out, error_t *error);
int kmeans_after_assign(step_t *self, advance_output_t *out, error_t *error);
/* agglomerative.c */
int agglomerative_begin(step_t *self, advance_output_t *out, error_t *error);
int agglomerative_after_encode(step_t *self, advance_output_t *out, error_t *error);
/* The pairs over the floor, from pairs.c: payload "pairs". */
int agglomerative_after_pairs(step_t *self, const sha256_t *pairs, size_t count,
                              advance_output_t *out, error_t *error);
int agglomerative_after_linkage(step_t *self, advance_output_t *out, error_t *error);
/* The minimum spanning forest of the distances, from hdbscan.c. */
int agglomerative_after_tree(step_t *self, edge_t *forest, size_t count, advance_output_t *out,
                             error_t *error);
/* pairs.c */
int pairs_begin(step_t *self, advance_output_t *out, error_t *error);
int pairs_after_encode(step_t *self, advance_output_t *out, error_t *error);
int pairs_after_pairs(step_t *self, advance_output_t *out, error_t *error);
/* The payload "weight" of the job. */
int pairs_save_weight(const step_t *self, sha256_t *out, error_t *error);
/* Payloads of a clustering that is done. */
typedef struct {
    sha256_t labels;
    sha256_t members;
    int has_validity;
    sha256_t validity; /* of each cluster, once dbcv.c has measured it */
} labelled_t;

/* quality.c: how good the clusters are, where the job asks; then the summaries. */
int quality_wanted(const job_spec_t *spec, const clustering_t *clustering);
int quality_begin(step_t *self, const labelled_t *labelled, advance_output_t *out, error_t *error);
int quality_end(step_t *self, advance_output_t *out, error_t *error);
/* One measure into the report's "quality"; takes the reference. */
void quality_report(step_t *self, const char *measure, json_t *value);
/* dbcv.c: the density-based validity, where the job asks and it can be had; then the summaries. */
int dbcv_begin(step_t *self, const labelled_t *labelled, advance_output_t *out, error_t *error);
int dbcv_after_density(step_t *self, advance_output_t *out, error_t *error);
int dbcv_after_separation(step_t *self, advance_output_t *out, error_t *error);

/* summarise.c: the labels are known. */
int summarise_begin(step_t *self, const clustering_t *clustering, advance_output_t *out,
                    error_t *error);
/* The labelled payloads, and "side", of the state between. */
int summarise_labelled(step_t *self, labelled_t *out, error_t *error);
/* Leaves a stage whose inputs are all named. Its state is what comes after labels. */
int summarise_leave_given(step_t *self, task_cutter_t *cutter, const labelled_t *labelled,
                          const char *phase, advance_output_t *out, error_t *error);
/* The same of a stage over clusters, as `cutter` has cut them: plan and members are named too. */
int summarise_leave(step_t *self, task_cutter_t *cutter, const labelled_t *labelled,
                    const char *phase, advance_output_t *out, error_t *error);
/* Tasks of about so many members; `sample` vectors are compared with each. */
void summarise_cut(const members_t *members, uint64_t sample, task_cutter_t *cutter);
/* On to the summaries. */
int summarise_members(step_t *self, const labelled_t *labelled, advance_output_t *out,
                      error_t *error);
int summarise_end(step_t *self, advance_output_t *out, error_t *error);
/* The end of the job, from self->summary. */
int summarise_outcome(step_t *self, const labelled_t *labelled, advance_output_t *out,
                      error_t *error);

/* simplified.c: the silhouette by centroids, from self->summary; then the outcome. */
int simplified_wanted(const step_t *self);
int simplified_begin(step_t *self, const labelled_t *labelled, advance_output_t *out,
                     error_t *error);
int simplified_end(step_t *self, advance_output_t *out, error_t *error);

/* The hash of the finished stage's input of that name; NULL when it has none. */
const sha256_t *step_input(const step_t *self, const char *name);
void step_report(step_t *self, const char *key, json_t *value); /* takes the reference */

#endif
