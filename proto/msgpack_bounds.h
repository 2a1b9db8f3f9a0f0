/* msgpack_bounds.h - walks a msgpack message before it is unpacked, so that no length in it is
 * believed: msgpack-c allocates what an array's header declares, five bytes can ask for 100 GB. */
#ifndef STAGE4_PROTO_MSGPACK_BOUNDS_H
#define STAGE4_PROTO_MSGPACK_BOUNDS_H

#include "common/error.h"

#include <stddef.h>

#define MSGPACK_DEPTH_LIMIT 8
#define MSGPACK_COUNT_LIMIT 256 /* entries of one array or map */

/* OK when `bytes` is exactly one well-formed value within both limits; else ERR_PROTOCOL, naming
 * the offset. Allocates nothing. */
int msgpack_bounds_check(const void *bytes, size_t length, error_t *error);

#endif
