/* hash64.h - a fast hash of bytes for tables and checksums; not for anything an attacker gains by.
 *
 * Sixteen bytes a step, folded by a 64 x 64 -> 128 bit product (the idea of wyhash). */
#ifndef STAGE4_COMMON_INPUT_HASH64_H
#define STAGE4_COMMON_INPUT_HASH64_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *bytes, size_t length, uint64_t seed);

#endif
