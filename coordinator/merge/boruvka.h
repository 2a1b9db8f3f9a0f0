/* boruvka.h - the minimum spanning forest under mutual reachability, from nearest-neighbour lists.
 *
 * A component's lightest known outgoing edge is *certified* when it comes, in the total order of
 * edge.h, before every edge its rows do not know: row i has a bound that all of its unknown
 * outgoing edges come after. A list gives the first bound (nothing unlisted is nearer than its last
 * neighbour), a search (`reach` task) a later one. Certified edges are edges of the one minimum
 * spanning tree, by the cut property. When no component is certified, boruvka_queries says which
 * rows must search; boruvka_learn takes what they found. docs/algorithms.md, 4.
 *
 * Pure: arrays in, arrays out. Infinite weights are no edges (windows leave forests). */
#ifndef STAGE4_COORDINATOR_MERGE_BORUVKA_H
#define STAGE4_COORDINATOR_MERGE_BORUVKA_H

#include "common/error.h"
#include "common/graph/edge.h"

#include <stdatomic.h>

/* The lists of all slots, borrowed. Slots of a partition are successive; a list has k entries
 * sorted by (d2, slot), SLOT_NONE and INFINITY pad it. A list with padding leaves nothing out that
 * is within its radius (INFINITY, or no radii: nothing at all), and so does one that names all the
 * others of its partition. An empty list of a partition that takes no part (too small) is complete
 * as well. core is the d2 of the min_samples-th neighbour and at most the list's last d2; INFINITY
 * when there are too few. */
typedef struct {
    uint32_t count;
    uint32_t k;
    const uint32_t *neighbour;
    const float *d2;
    const float *core;
    const float *radius; /* NULL: all INFINITY */
    uint32_t partition_count;
    const uint32_t *partition_begin; /* partition_count + 1 */
} neighbour_lists_t;

/* What is known between two rounds: enough to go on from, together with the lists. */
typedef struct {
    edge_t *forest; /* certified edges, in no order */
    size_t forest_count;
    edge_t *found; /* edges that searches have found and that may still be outgoing */
    size_t found_count;
    edge_t *bound; /* one a slot: its unknown outgoing edges come after this */
} boruvka_state_t;

typedef struct boruvka boruvka_t;

/* `state` NULL: from the beginning. What state holds is copied. ERR_MEMORY. */
int boruvka_new(const neighbour_lists_t *lists, const boruvka_state_t *state, boruvka_t **out,
                error_t *error);
void boruvka_destroy(boruvka_t **self);

/* Merges certified components until none is left. ERR_CANCELLED when *stop (may be NULL) is set. */
int boruvka_run(boruvka_t *self, const atomic_int *stop, error_t *error);

/* From now on boruvka_run takes the lightest known edge of a component for its lightest, certified
 * or not, and joins all that known edges join: the forest is the lightest of what is known, which
 * `verify` tasks make the lightest of all. Only components that know no edge search, by some of
 * their rows at a time, so that in the end what is apart is apart in truth. */
void boruvka_presume(boruvka_t *self);

/* By slot: an edge that is in no list weighs at least that, wherever it leads; INFINITY when there
 * is none. (What a search teaches is about edges out of the component it was made for.) */
void boruvka_list_bounds(const neighbour_lists_t *lists, float *weight);

/* Edges of the forest that were certified when boruvka_run ran last, before any was presumed. */
size_t boruvka_certified(const boruvka_t *self);

/* After boruvka_run: the rows that must search, ascending, each with the weight above which
 * nothing matters to its component. count 0: the forest is whole. Borrowed, until the next call. */
typedef struct {
    size_t count;
    const uint32_t *slot;
    const float *floor;
} boruvka_queries_t;

boruvka_queries_t boruvka_queries(const boruvka_t *self);
/* component[slot] for all slots: the smallest slot of its component. Borrowed. */
const uint32_t *boruvka_component(const boruvka_t *self);

/* What query number `query` of the last boruvka_queries found: its first outgoing edge in the total
 * order, NULL when none is at or below its floor. ERR_SHAPE when the edge cannot be true (not
 * outgoing, another partition, heavier than the floor, not of that row), and nothing is taken. */
int boruvka_learn(boruvka_t *self, size_t query, const edge_t *edge, error_t *error);

/* Borrowed, until the next call that changes self. */
boruvka_state_t boruvka_state(const boruvka_t *self);

#endif
