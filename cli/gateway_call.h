/* gateway_call.h - what the client commands ask a gateway, and its answers as JSON. */
#ifndef STAGE4_CLI_GATEWAY_CALL_H
#define STAGE4_CLI_GATEWAY_CALL_H

#include "cli/cli.h"

#include <jansson.h>

/* "/api/v1" + `path` + the escaped `id` ("" none), at the address that --url names. `body` and
 * `key` may be NULL. *answer is the caller's; ERR_PROTOCOL when it is no JSON object. */
int gateway_call(const cli_t *cli, const char *method, const char *path, const char *id,
                 const char *body, const char *key, json_t **answer, error_t *error);

/* GET, the answer's body as it comes to `sink`. `query`: "?format=jsonl" or "". */
int gateway_fetch(const cli_t *cli, const char *path, const char *id, const char *query, FILE *sink,
                  error_t *error);

/* Indented, keys sorted, for --json. */
void print_json(const json_t *value, FILE *out);

/* A member's text; "" when there is none. */
const char *text_of(const json_t *object, const char *key);

#endif
