/* decay.h - a decay inside hdbscan: the stages that measure have the input "decay". */
#ifndef STAGE4_COORDINATOR_MERGE_DECAY_H
#define STAGE4_COORDINATOR_MERGE_DECAY_H

#include "coordinator/merge/steps.h"

/* Saves the factors by days apart; *given 0 and no more when the job has no decay. */
int decay_save(const step_t *self, int *given, sha256_t *out, error_t *error);

#endif
