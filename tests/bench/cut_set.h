/* cut_set.h - the first rows of an index as a set of their own, with metadata that says nothing. */
#ifndef STAGE4_TESTS_BENCH_CUT_SET_H
#define STAGE4_TESTS_BENCH_CUT_SET_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define CUT_SET_LEVEL "events"

/* Writes FOLDER/events.index and FOLDER/events_metadata.json with the first `rows` rows of the index
 * (0: all). `folder` is made, below /tmp or $TMPDIR; its name goes to `folder` (size bytes). */
int cut_set_make(const char *index, uint32_t rows, char *folder, size_t size, error_t *error);
void cut_set_remove(const char *folder);

#endif
