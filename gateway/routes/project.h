/* project.h - leaves members of a JSON object out without reading or rewriting the rest, so that
 * numbers keep their digits and a thousand centroids cost a memory copy. */
#ifndef STAGE4_GATEWAY_ROUTES_PROJECT_H
#define STAGE4_GATEWAY_ROUTES_PROJECT_H

#include <stddef.h>
#include <stdio.h>

/* Writes the object `json` without its own members named in `names` (those of inner objects stay).
 * 1, or 0 when `json` is no object; then what was written is a piece of one. */
int project_without(FILE *stream, const char *json, const char *const *names, size_t count);

#endif
