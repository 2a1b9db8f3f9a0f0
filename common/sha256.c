#include "common/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct sha256_stream {
    EVP_MD_CTX *context;
};

/* SHA-256 by a default provider fails only when memory is out or OpenSSL is broken; nothing that
 * identifies content can go on then. */
static void require(int success)
{
    if (!success)
        abort();
}

sha256_t sha256_of(const void *bytes, size_t length)
{
    sha256_t value;
    require(EVP_Digest(bytes, length, value.bytes, NULL, EVP_sha256(), NULL));
    return value;
}

sha256_stream_t *sha256_stream_new(void)
{
    sha256_stream_t *self = malloc(sizeof *self);
    require(self != NULL);
    self->context = EVP_MD_CTX_new();
    require(self->context != NULL && EVP_DigestInit_ex(self->context, EVP_sha256(), NULL));
    return self;
}

void sha256_stream_add(sha256_stream_t *self, const void *bytes, size_t length)
{
    require(EVP_DigestUpdate(self->context, bytes, length));
}

sha256_t sha256_stream_finish(sha256_stream_t **self)
{
    sha256_t value;
    require(EVP_DigestFinal_ex((*self)->context, value.bytes, NULL));
    EVP_MD_CTX_free((*self)->context);
    free(*self);
    *self = NULL;
    return value;
}

int sha256_equal(const sha256_t *a, const sha256_t *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void sha256_hex(const sha256_t *value, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof value->bytes; i++) {
        out[2 * i] = digits[value->bytes[i] >> 4];
        out[2 * i + 1] = digits[value->bytes[i] & 15];
    }
    out[64] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int sha256_parse(const char *text, sha256_t *out)
{
    sha256_t value;
    if (strlen(text) != 2 * sizeof value.bytes)
        return 0;
    for (size_t i = 0; i < sizeof value.bytes; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        value.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = value;
    return 1;
}

void sha256_thread_end(void) { OPENSSL_thread_stop(); }
