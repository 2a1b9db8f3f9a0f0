/* members.h - the payload "members" of a clustering that is done, opened. */
#ifndef STAGE4_COORDINATOR_MERGE_MEMBERS_H
#define STAGE4_COORDINATOR_MERGE_MEMBERS_H

#include "coordinator/merge/payload_io.h"

/* Arrays point into the payload. */
typedef struct {
    payload_t payload;
    uint32_t clusters;
    const uint32_t *begin;  /* clusters + 1 */
    const uint32_t *member; /* slots, rising in a cluster */
    uint32_t count;         /* members of all clusters */
} members_t;

/* Zero-initialise before; members_close after, also when opening failed. */
int members_open(members_t *self, const advance_input_t *input, const sha256_t *sha256,
                 error_t *error);
void members_close(members_t *self);

/* Members of a cluster. */
uint32_t members_size(const members_t *self, uint32_t cluster);

#endif
