/* state_lock.h - one coordinator a state folder: a locked file with the holder's pid in it. */
#ifndef STAGE4_COORDINATOR_STATE_LOCK_H
#define STAGE4_COORDINATOR_STATE_LOCK_H

#include "common/error.h"

/* Locks <folder>/coordinator.lock; the lock ends with the process, however it ends. ERR_CONFLICT
 * with the holder's pid when it is taken, ERR_IO when the file cannot be made. */
int state_lock_take(const char *folder, int *descriptor, error_t *error);
void state_lock_release(int *descriptor); /* -1: nothing */

#endif
