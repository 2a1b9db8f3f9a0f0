/* input_cache.h - inputs of tasks (plans, centres ...) kept between tasks, by their SHA-256.
 *
 * The least recently used go first when more than `limit` bytes are kept. What is pinned stays and
 * does not move, also over the limit: a task must have its inputs. For one thread. */
#ifndef STAGE4_WORKER_INPUT_CACHE_H
#define STAGE4_WORKER_INPUT_CACHE_H

#include "common/sha256.h"

#include <stddef.h>
#include <stdint.h>

typedef struct input_cache input_cache_t;

typedef struct {
    sha256_t sha256;
    const uint8_t *bytes;
    size_t length;
} input_view_t;

input_cache_t *input_cache_new(size_t limit); /* NULL when out of memory */
void input_cache_destroy(input_cache_t **self);

/* 1 and a view that is valid until it is unpinned as often as it was pinned; 0 when not there. */
int input_cache_pin(input_cache_t *self, const sha256_t *sha256, input_view_t *out);
void input_cache_unpin(input_cache_t *self, const sha256_t *sha256);

/* Takes the malloc'd bytes, whose hash the caller has verified, and pins them once. 0 when out of
 * memory: then the bytes are still the caller's. */
int input_cache_add(input_cache_t *self, const sha256_t *sha256, uint8_t *bytes, size_t length);

size_t input_cache_bytes(const input_cache_t *self); /* kept now */

#endif
