#include "gateway/http/request_id.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"

static int acceptable(const char *given)
{
    size_t length = strlen(given);
    return length >= 1 && length <= 64 &&
           strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               length;
}

void request_id_make(const char *given, char out[REQUEST_ID_SIZE])
{
    uint64_t words[2];
    if (acceptable(given)) {
        snprintf(out, REQUEST_ID_SIZE, "%s", given);
        return;
    }
    if (getrandom(words, sizeof words, 0) != (ssize_t)sizeof words) {
        words[0] = (uint64_t)clock_wall_ms(); /* a name, not a secret */
        words[1] = (uint64_t)clock_monotonic_ms();
    }
    snprintf(out, REQUEST_ID_SIZE, "%016llx%016llx", (unsigned long long)words[0],
             (unsigned long long)words[1]);
}
