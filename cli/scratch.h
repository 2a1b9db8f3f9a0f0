/* scratch.h - a folder for one run's state, beside its output (so on the same file system).
 *
 * It is gone when the run ends, however it ends: a run that was killed leaves its folder without
 * an owner (the lock in it is free), and the next run beside it removes that. */
#ifndef STAGE4_CLI_SCRATCH_H
#define STAGE4_CLI_SCRATCH_H

#include "common/error.h"

typedef struct scratch scratch_t;

int scratch_new(const char *folder, scratch_t **out, error_t *error);
const char *scratch_path(const scratch_t *self);
void scratch_destroy(scratch_t **self); /* removes the folder and all that is in it */

#endif
