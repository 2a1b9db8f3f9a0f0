/* arenas.h - how many heaps malloc keeps.
 *
 * glibc gives every thread a heap of its own, up to eight for each processor, and each keeps what it
 * once needed: a daemon of twenty threads that all do small things grows for hours. */
#ifndef STAGE4_COMMON_ARENAS_H
#define STAGE4_COMMON_ARENAS_H

/* Two for the whole process, unless MALLOC_ARENA_MAX says otherwise. Called first in main(). */
void arenas_few(void);

/* glibc also keeps for every thread what it has freed, some hundred KiB each, and gives none of it back:
 * a daemon with a hundred threads of which each serves somebody now and then grows by that for days. It
 * can be told otherwise only before it starts, so this begins the program again, once, with that in its
 * environment. Nothing happens where GLIBC_TUNABLES is set already, or when it cannot. First in main(). */
void arenas_uncached(char **argv);

#endif
