/* job_spec_fields.h - the one table of what a job may say. Private to proto/job_spec*.c.
 *
 * Decoding, canonical encoding, --param and the documentation all walk this table, so a new field
 * is a member of job_spec_t, a row here and a paragraph nowhere. Rows are sorted by name: that is
 * the order of canonical JSON. */
#ifndef STAGE4_PROTO_JOB_SPEC_FIELDS_H
#define STAGE4_PROTO_JOB_SPEC_FIELDS_H

#include "proto/job_spec.h"

#include <jansson.h>
#include <stdio.h>

typedef enum {
    FIELD_CHOICE,    /* an enum: one of `choices`, by position */
    FIELD_LEVEL,     /* as FIELD_CHOICE, and the singular names */
    FIELD_SET,       /* unsigned: bit i for choices[i]; a JSON array */
    FIELD_COUNT,     /* uint32_t */
    FIELD_DAYS,      /* int32_t; JSON null is -1 */
    FIELD_SEED,      /* uint64_t */
    FIELD_REAL,      /* double */
    FIELD_REAL_NONE, /* double >= 0; JSON null is -1 */
    FIELD_FLAG,      /* int */
    FIELD_DATE_FROM, /* int64_t ms; a date alone is its first instant; JSON null is TIME_NONE */
    FIELD_DATE_TO,   /* int64_t ms; a date alone is its last millisecond */
    FIELD_FILTER,    /* the filter object */
    FIELD_TABLE,     /* weight_table_t: an array of rows, or null */
    FIELD_PARAMS,    /* the object of the algorithm's own fields */
    FIELD_KIND_COUNT
} field_kind_t;

enum { FIELD_REQUIRED = 1, FIELD_PRESENTATION = 2 /* does not decide the clustering */ };

typedef struct {
    const char *name; /* the JSON key */
    const char *path; /* as errors name it: "params.k" */
    field_kind_t kind;
    unsigned flags;
    size_t offset; /* in job_spec_t */
    double low;    /* smallest and largest number allowed */
    double high;
    const char *const *choices; /* ends with NULL */
    const char *words;          /* what it means, one sentence */
} field_t;

typedef struct {
    const field_t *fields;
    size_t count;
} field_table_t;

field_table_t job_fields(void);
field_table_t algorithm_fields(algorithm_t algorithm);
extern const char *const ALGORITHM_NAMES[];
extern const char *const METRIC_NAMES[];
extern const char *const LINKAGE_NAMES[];
extern const char *const DECAY_NAMES[];

/* The row of that name; NULL when there is none. */
const field_t *field_find(field_table_t table, const char *name);
/* ERR_USAGE for a name the table has not: names the nearest known ones. */
int field_unknown(field_table_t table, const char *prefix, const char *name, error_t *error);

/* Checks `value` against the row and puts it into the spec. */
int field_set(job_spec_t *self, const field_t *field, const json_t *value, error_t *error);
/* The same from a command line's text. */
int field_set_text(job_spec_t *self, const field_t *field, const char *text, error_t *error);
/* Sets every member of `object` that is not FIELD_PARAMS. */
int fields_set_all(job_spec_t *self, field_table_t table, const char *prefix, const json_t *object,
                   error_t *error);
/* Canonical JSON of the member; the filter's entries are written in order of their keys. */
void field_write(FILE *stream, const job_spec_t *self, const field_t *field);

#endif
