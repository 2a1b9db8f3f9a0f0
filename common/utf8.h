/* utf8.h - well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF). */
#ifndef STAGE4_COMMON_UTF8_H
#define STAGE4_COMMON_UTF8_H

#include <stddef.h>

/* Bytes of the sequence that begins at `text`; 0 when it is malformed or cut off by `length`. */
size_t utf8_sequence(const char *text, size_t length);

/* How many bytes from the start are complete, well-formed sequences. */
size_t utf8_valid_prefix(const char *text, size_t length);

/* The longest prefix of well-formed `text` of at most `limit` bytes that splits no sequence. */
size_t utf8_cut(const char *text, size_t length, size_t limit);

/* Makes `text` well-formed without moving a byte: half a surrogate pair (three bytes) becomes
 * U+FFFD, any other malformed byte a question mark. */
void utf8_repair(char *text, size_t length);

#endif
