/* domains.h - the twelve domains of the Stage 3 contract and their short aliases, one table. */
#ifndef STAGE4_COMMON_INPUT_DOMAINS_H
#define STAGE4_COMMON_INPUT_DOMAINS_H

#include <stddef.h>

/* The long form of a known alias or long name; NULL for an unknown value (which is kept as it is). */
const char *domain_long_form(const char *name, size_t length);

#endif
