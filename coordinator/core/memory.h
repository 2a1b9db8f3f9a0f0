/* memory.h - allocation inside the core. Failure aborts the process: what is durable is in the
 * ledger, and a coordinator that cannot remember must not go on deciding. */
#ifndef STAGE4_COORDINATOR_CORE_MEMORY_H
#define STAGE4_COORDINATOR_CORE_MEMORY_H

#include <stddef.h>

void *core_allocate(size_t count, size_t size); /* zeros */

/* Room for count + 1 items, doubling: returns `items` or its successor. */
void *core_room(void *items, size_t count, size_t *capacity, size_t size);

#endif
