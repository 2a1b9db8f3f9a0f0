/* cluster_label.h - a first name for a cluster, for people.
 *
 * Entities: the most frequent mention. Others: the text of the most typical member that has one,
 * cut to LABEL_CHARACTERS at a word. Without any text: the most frequent entities, else categories,
 * with the days they span; without those, the cluster's id. */
#ifndef STAGE4_COORDINATOR_OUTPUT_CLUSTER_LABEL_H
#define STAGE4_COORDINATOR_OUTPUT_CLUSTER_LABEL_H

#include "coordinator/output/cluster.h"

#define LABEL_CHARACTERS 80

/* self->id and the tallies must be ready. */
void cluster_label(const cluster_t *self, const cluster_source_t *source, char out[LABEL_SIZE]);

/* `text` in one line of at most LABEL_CHARACTERS, cut before a word and marked by an ellipsis. */
void label_cut(string_view_t text, char out[LABEL_SIZE]);

#endif
