/* tally.h - how often each string was added; sorted before anybody reads it.
 *
 * Add strings in any order, then call tally_by_bytes or tally_by_count: only then `entries` holds
 * each string once, in an order that does not depend on that of adding. */
#ifndef STAGE4_COORDINATOR_OUTPUT_TALLY_H
#define STAGE4_COORDINATOR_OUTPUT_TALLY_H

#include "common/input/catalog.h"

typedef struct {
    string_view_t text;
    uint32_t count;
} tally_entry_t;

typedef struct tally_block tally_block_t;

typedef struct {
    tally_entry_t *entries;
    size_t count;
    size_t capacity;
    tally_block_t *blocks; /* texts that were copied */
    int failed;            /* out of memory: entries are missing */
} tally_t;

void tally_clear(tally_t *self); /* frees */
void tally_reset(tally_t *self); /* empty again */

/* An empty text is not counted. tally_add borrows the text, tally_add_copy copies it. */
void tally_add(tally_t *self, string_view_t text);
void tally_add_copy(tally_t *self, const char *text, size_t length);

void tally_by_bytes(tally_t *self);
void tally_by_count(tally_t *self); /* the most frequent first, equal ones by their bytes */

/* The first of a sorted tally, "" when it is empty. */
string_view_t tally_first(const tally_t *self);

int view_compare(string_view_t a, string_view_t b); /* as strcmp, of bytes */

#endif
