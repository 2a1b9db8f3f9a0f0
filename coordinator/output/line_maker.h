/* line_maker.h - clusters and their lines, made by several threads and handed out in order.
 *
 * Making a line is most of what writing takes, and depends on its cluster alone: so threads take the
 * clusters in pieces, ahead of whoever writes them. What is ahead is bounded by members. */
#ifndef STAGE4_COORDINATOR_OUTPUT_LINE_MAKER_H
#define STAGE4_COORDINATOR_OUTPUT_LINE_MAKER_H

#include "coordinator/output/cluster.h"
#include "coordinator/output/json_text.h"

typedef struct {
    cluster_t cluster;
    json_text_t line; /* without the line feed */
} made_line_t;

typedef struct line_maker line_maker_t;

/* `source` is borrowed, and only read, until the maker is destroyed. */
int line_maker_new(const cluster_source_t *source, line_maker_t **out, error_t *error);
/* Waits for what is being made. */
void line_maker_destroy(line_maker_t **self);

/* The next cluster with its line, valid until the next call, but for the arrays that `from` names; *out
 * is NULL after the last. After an error there is nothing more to come. */
int line_maker_next(line_maker_t *self, const made_line_t **out, error_t *error);

#endif
