/* problem.h - every error answer: application/problem+json (RFC 9457).
 *
 * {"type":"urn:stage4:problem:invalid-request","title":"invalid request","status":400,
 *  "detail":"...","field":"params.k","instance":"/api/v1/cluster/batch"} */
#ifndef STAGE4_GATEWAY_ROUTES_PROBLEM_H
#define STAGE4_GATEWAY_ROUTES_PROBLEM_H

#include "gateway/http/message.h"

/* Turns `response` into the problem of `error`. `status` 0: the code's own. What a user cannot act
 * on and could hold a path or a host (internal, input/output, memory, shape and protocol errors) is
 * replaced by a plain sentence; the log keeps the cause. */
void problem_respond(http_response_t *response, const char *path, int status, const error_t *error);

#endif
