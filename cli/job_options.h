/* job_options.h - the job that the options of `run` and `submit` describe. */
#ifndef STAGE4_CLI_JOB_OPTIONS_H
#define STAGE4_CLI_JOB_OPTIONS_H

#include "common/config.h"
#include "proto/job_spec.h"

/* Checked by the same rules as a request body; ERR_USAGE with `field` otherwise. The caller clears
 * `out`, also after an error. */
int job_options_read(const config_t *config, job_spec_t *out, error_t *error);

#endif
