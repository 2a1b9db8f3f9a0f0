/* openapi.h - docs/openapi.yaml, put into the program by the build. */
#ifndef STAGE4_GATEWAY_OPENAPI_H
#define STAGE4_GATEWAY_OPENAPI_H

#include <stddef.h>

extern const char openapi_yaml[];
extern const size_t openapi_yaml_length;

#endif
