/* run_key.h - what makes two `stage4 run` commands the same. */
#ifndef STAGE4_CLI_RUN_KEY_H
#define STAGE4_CLI_RUN_KEY_H

#include "common/level.h"

/* SHA-256 of the job, the output's name, and path, size and time of the level's index and metadata
 * (data that changed make another job); 64 hex digits and a NUL. */
void run_key(const char *indices_folder, level_t level, const char *spec_json, const char *output,
             char out[65]);

#endif
