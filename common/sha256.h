/* sha256.h - SHA-256 of bytes, by OpenSSL; this is the only file that knows it. */
#ifndef STAGE4_COMMON_SHA256_H
#define STAGE4_COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t bytes[32];
} sha256_t;

typedef struct sha256_stream sha256_stream_t;

sha256_t sha256_of(const void *bytes, size_t length);

/* A running hash. sha256_stream_finish gives the value and frees the stream. */
sha256_stream_t *sha256_stream_new(void);
void sha256_stream_add(sha256_stream_t *self, const void *bytes, size_t length);
sha256_t sha256_stream_finish(sha256_stream_t **self);

int sha256_equal(const sha256_t *a, const sha256_t *b);
/* 64 lower-case hex digits and a NUL. */
void sha256_hex(const sha256_t *value, char out[65]);
/* 1 when `text` is exactly 64 hex digits, else 0. */
int sha256_parse(const char *text, sha256_t *out);

/* Gives back what OpenSSL keeps for the calling thread. A thread that nobody joins calls it before it
 * says that it is done: OpenSSL's own clean-up at its end may meet the one at the process's end. */
void sha256_thread_end(void);

#endif
