#include "common/utf8.h"

#include <stdint.h>
#include <string.h>

static int is_continuation(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

size_t utf8_sequence(const char *text, size_t length)
{
    if (length == 0)
        return 0;
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(text[i]))
            return 0;
    }
    unsigned char second = (unsigned char)text[1];
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return size;
}

size_t utf8_valid_prefix(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        uint64_t word;
        if (length - at >= sizeof word) { /* most text is ASCII: eight bytes at a time */
            memcpy(&word, text + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof word;
                continue;
            }
        }
        size_t size = utf8_sequence(text + at, length - at);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

size_t utf8_cut(const char *text, size_t length, size_t limit)
{
    if (length <= limit)
        return length;
    while (limit > 0 && is_continuation(text[limit]))
        limit--;
    return limit;
}

void utf8_repair(char *text, size_t length)
{
    static const char replacement[3] = {'\xef', '\xbf', '\xbd'};
    for (size_t at = utf8_valid_prefix(text, length); at < length;
         at += utf8_valid_prefix(text + at, length - at)) {
        if (length - at >= 3 && text[at] == '\xed' && is_continuation(text[at + 1]) &&
            is_continuation(text[at + 2]))
            memcpy(text + at, replacement, sizeof replacement);
        else
            text[at] = '?';
    }
}
