/* probing.h - two-stage and approximate HDBSCAN*: neighbours in each row's own k-means cell and, of
 * rows near a border, across it.
 *
 *   plan -> rotate -> encode -> (seed -> (assign)+) -> probe (a sample, everywhere) -> probe -> ...
 *
 * k-means cuts each partition into cells. A sample of rows searches all cells: its true neighbours
 * say how near a border a row must be to search across it too for `target_recall` of the neighbours
 * to be found; all rows then do that. The tree is that of the lists alone. docs/algorithms.md, 13. */
#ifndef STAGE4_COORDINATOR_MERGE_PROBING_H
#define STAGE4_COORDINATOR_MERGE_PROBING_H

#include "coordinator/merge/centres.h"
#include "coordinator/merge/steps.h"

/* How many cells a partition is cut into, at most. */
uint32_t probing_cells(const job_spec_t *spec, const plan_t *plan);

/* Why a job that asks for cells takes all neighbours instead, for the report; NULL: it has cells. */
const char *probing_refused(const job_spec_t *spec, const plan_t *plan);

/* Whether the job's neighbours are looked for in cells. */
int probing_wanted(const job_spec_t *spec, const plan_t *plan);

/* The cells are known: `label` is each slot's, within its partition, `centres` are theirs. Follows an
 * assign stage with codes. */
int probing_begin(step_t *self, const uint32_t *label, const centres_t *centres,
                  advance_output_t *out, error_t *error);

#endif
