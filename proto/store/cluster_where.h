/* cluster_where.h - a cluster_query_t as SQL, for every back end whose tables are named as
 * docs/formats.md has them.
 *
 * The text is put together from constant pieces; what comes from outside is bound to its '?' and
 * never becomes SQL. */
#ifndef STAGE4_PROTO_STORE_CLUSTER_WHERE_H
#define STAGE4_PROTO_STORE_CLUSTER_WHERE_H

#include "proto/store/cluster_cursor.h"
#include "proto/store/result_store.h"

#define SEARCH_TEXT_SIZE 512
#define WHERE_VALUES 48

/* The conditions that each SQL says in its own way. '#' stands for the writing, '?' for the text.
 */
typedef struct {
    const char *word;     /* the folded label has that word */
    const char *document; /* the next: rows of another table name the cluster */
    const char *entity;
    const char *member;
} cluster_dialect_t;

/* What follows SELECT ..., and the values of its '?' in their order. */
typedef struct {
    char sql[4096];
    size_t length;
    size_t value_count;
    struct {
        const char *text; /* NULL: the number. Borrowed from the query, or points into `words` */
        size_t text_length;
        int64_t number;
    } values[WHERE_VALUES];
    char words[SEARCH_TEXT_SIZE]; /* the folded search text */
} where_t;

/* " FROM result_cluster c WHERE ...": the clusters of one writing that match. ERR_USAGE with the
 * field for a search text that is too long. The query must outlive `self`, which must not move. */
int cluster_where(where_t *self, const cluster_dialect_t *dialect, const cluster_query_t *query,
                  int64_t writing, error_t *error);
void cluster_where_after(where_t *self, const cluster_cursor_t *cursor); /* only what follows it */
void cluster_where_first(where_t *self, uint32_t count); /* sorted, and only that many */

#endif
