/* json_body.h - JSON from outside, bounded before anybody looks at it, and scalars in one form.
 *
 * The limits hold for every request body: JSON_BODY_LIMIT bytes, JSON_DEPTH_LIMIT containers inside
 * each other, JSON_NODE_LIMIT values in all. Duplicate keys, bad UTF-8, NUL in strings and numbers
 * out of range are errors. */
#ifndef STAGE4_PROTO_JSON_BODY_H
#define STAGE4_PROTO_JSON_BODY_H

#include "common/error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#define JSON_BODY_LIMIT (64u << 10)
#define JSON_DEPTH_LIMIT 8
#define JSON_NODE_LIMIT 512

/* The body's object; the caller's to json_decref. ERR_USAGE, or ERR_TOO_LARGE for the limits. */
int json_body_parse(const char *json, size_t length, json_t **out, error_t *error);

/* Writes a string, number, boolean or null in its one canonical form: strings escape only what JSON
 * demands, numbers are the shortest decimal that reads back the same (1, 0.25, 1e-05), and whole
 * numbers of less than 2^53 have no fraction. Nothing for a container. */
void json_write_scalar(FILE *stream, const json_t *value);
void json_write_string(FILE *stream, const char *text);
void json_write_real(FILE *stream, double value);

/* The value as an error message quotes it: compact, cut after about 60 bytes. */
void json_quote(const json_t *value, char *out, size_t size);

#endif
