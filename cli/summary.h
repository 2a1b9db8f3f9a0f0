/* summary.h - a finished job's report for people. */
#ifndef STAGE4_CLI_SUMMARY_H
#define STAGE4_CLI_SUMMARY_H

#include <jansson.h>
#include <stdio.h>

/* Counts, sizes, the largest clusters with their labels, the time by phase, and where the file is
 * (`output`, NULL: as the report says). */
void summary_print(const json_t *report, const char *output, FILE *out);

#endif
