/* arenas.h - how many heaps malloc keeps.
 *
 * glibc gives every thread a heap of its own, up to eight for each processor, and each keeps what it
 * once needed: a daemon of twenty threads that all do small things grows for hours. */
#ifndef STAGE4_COMMON_ARENAS_H
#define STAGE4_COMMON_ARENAS_H

/* Two for the whole process, unless MALLOC_ARENA_MAX says otherwise. Called first in main(). */
void arenas_few(void);

#endif
