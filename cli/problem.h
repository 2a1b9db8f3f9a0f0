/* problem.h - the error that a gateway's problem+json (RFC 9457) stands for. */
#ifndef STAGE4_CLI_PROBLEM_H
#define STAGE4_CLI_PROBLEM_H

#include "common/error.h"

#include <stddef.h>

/* Fills `error` from an answer of `status` >= 400 and returns its code. A body that is no problem
 * is ERR_PROTOCOL: whoever answered is no gateway. */
int problem_read(long status, const char *body, size_t length, const char *url, error_t *error);

#endif
