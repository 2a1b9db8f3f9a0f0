/* inspect.h - what is in a folder of Stage 3's indices, and what is wrong with it.
 *
 * Reads <folder>/<level>.index and <level>_metadata.json of the four levels once and prints, by
 * level: rows, dimension, metric, valid rows, range of dates, undated rows, distinct documents, the
 * most frequent domains and types, problems by kind with the first few, fingerprints. Everything is
 * printed in a fixed order: equal input, equal bytes. */
#ifndef STAGE4_CLI_INSPECT_H
#define STAGE4_CLI_INSPECT_H

#include "common/error.h"

#include <stdint.h>
#include <stdio.h>

/* Tables for people, or one JSON object when `json`. A missing level is said and is no error; a
 * level that cannot be read is said, and is the result. ERR_NOT_FOUND when all four are missing. */
int inspect_run(const char *indices_folder, uint32_t dimension, int json, FILE *out,
                error_t *error);

#endif
