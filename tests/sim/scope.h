/* scope.h - a seed's run made smaller: kinds of faults left out, fewer jobs and workers, an earlier
 * end of the faults. What is left over is drawn from the seed as ever.
 *
 * Any smaller run that breaks a rule, too, is an easier proof of the same bug; shrink() finds one
 * from which nothing more can be left out. */
#ifndef STAGE4_TESTS_SIM_SCOPE_H
#define STAGE4_TESTS_SIM_SCOPE_H

#include "world.h"

#include <stdio.h>

/* Cuts a plan down: called when a run's faults and counts have been drawn. */
void scope_apply(const scope_t *self, world_t *world);

/* "drop,repeat": 0 when a word is no kind of fault. */
int scope_without(scope_t *self, const char *words);
/* The options that give it on the command line; nothing when it leaves nothing out. */
void scope_print(const scope_t *self, FILE *out);

/* From a scope in which the seed breaks a rule to a least one. Runs the seed some dozens of times. */
void scope_shrink(scope_t *self, world_t *world, uint64_t seed);

#endif
