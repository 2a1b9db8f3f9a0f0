#include "coordinator/merge/kept.h"

#include <stdio.h>
#include <string.h>

void kept_put(kept_t *self, const char *job_id, const sha256_t *state, void *thing,
              kept_destroy_fn destroy)
{
    kept_drop(self, NULL);
    snprintf(self->job_id, sizeof self->job_id, "%s", job_id);
    self->state = *state;
    self->thing = thing;
    self->destroy = destroy;
}

void *kept_take(kept_t *self, const sha256_t *state)
{
    if (self == NULL || self->thing == NULL || !sha256_equal(&self->state, state))
        return NULL;
    void *thing = self->thing;
    self->thing = NULL;
    return thing;
}

void kept_drop(kept_t *self, const char *job_id)
{
    if (self->thing == NULL || (job_id != NULL && strcmp(self->job_id, job_id) != 0))
        return;
    self->destroy(self->thing);
    self->thing = NULL;
}
