#include "coordinator/output/outcome_view.h"

#include "common/clock.h"
#include "proto/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef outcome_side_t payload_t;

struct outcome_view {
    spool_t *spool;
    const char *job_id;
    int borrows; /* all but the summary is another's */
    payload_t outcome, plan, labels, members, validity, summary;
    uint32_t slots, clusters, partitions, dimension;
    const uint32_t *rows, *partition_begin;
    const int32_t *day; /* NULL: the plan has no days */
    const int32_t *label;
    const float *strength, *outlier;
    const uint32_t *cluster_partition;
    const double *persistence;
    const double *dbcv; /* NULL: not measured */
    const uint32_t *cluster_begin, *member;
    size_t summaries;
    const uint8_t *summary_sha;
    const uint32_t *segment_begin;
    size_t current; /* the summary that is open; SIZE_MAX none */
    const float *centroid, *similarity;
    const double *similarity_mean;
    const uint32_t *typical;
};

static void payload_close(payload_t *self)
{
    if (self->columns)
        columns_close(&self->columns);
    free(self->bytes);
    self->bytes = NULL;
}

static int payload_open(const outcome_view_t *self, const sha256_t *sha256, const char *kind,
                        payload_t *out, error_t *error)
{
    size_t length;
    int code = spool_get(self->spool, self->job_id, sha256, &out->bytes, &length, error);
    if (code == OK)
        code = columns_open(out->bytes, length, kind, &out->columns, error);
    return code;
}

/* The columns of a payload, with their counts: a table for each kind. */
typedef struct {
    const char *name;
    column_type_t type;
    size_t count; /* SIZE_MAX: any, put into *found */
    const void **values;
    size_t *found;
} column_want_t;

static int take(const payload_t *payload, const column_want_t *wants, size_t count, error_t *error)
{
    int code = OK;
    for (size_t i = 0; code == OK && i < count; i++)
        code = columns_get(payload->columns, wants[i].name, wants[i].type, wants[i].count,
                           wants[i].values, wants[i].found, error);
    return code;
}
#define TAKE(payload, ...)                                                                         \
    take((payload), (const column_want_t[]){__VA_ARGS__},                                          \
         sizeof((const column_want_t[]){__VA_ARGS__}) / sizeof(column_want_t), error)

static int contradiction(const char *what, error_t *error)
{
    return error_set(error, ERR_PROTOCOL, "the outcome contradicts itself: %s", what);
}

static int open_named(outcome_view_t *self, const char *kind, payload_t *out, error_t *error)
{
    const void *bytes;
    sha256_t sha256;
    int code = columns_get(self->outcome.columns, kind, COLUMN_U8, sizeof sha256.bytes, &bytes,
                           NULL, error);
    if (code != OK)
        return code;
    memcpy(sha256.bytes, bytes, sizeof sha256.bytes);
    return payload_open(self, &sha256, kind, out, error);
}

static int open_plan(outcome_view_t *self, error_t *error)
{
    size_t slots = 0;
    size_t partitions = 0;
    const void *rows;
    const void *dimension;
    const void *begin;
    const void *day = NULL;
    int code = open_named(self, "plan", &self->plan, error);
    if (code == OK)
        code = TAKE(&self->plan, {"rows", COLUMN_U32, SIZE_MAX, &rows, &slots},
                    {"partition_begin", COLUMN_U32, SIZE_MAX, &begin, &partitions},
                    {"dimension", COLUMN_U32, 1, &dimension, NULL});
    if (code == OK && columns_has(self->plan.columns, "day"))
        code = columns_get(self->plan.columns, "day", COLUMN_I32, slots, &day, NULL, error);
    if (code != OK)
        return code;
    if (slots >= SLOT_NONE || partitions < 1 || partitions >= UINT32_MAX)
        return contradiction("its plan has too many or too few rows or partitions", error);
    self->rows = rows;
    self->day = day;
    self->partition_begin = begin;
    int rising = self->partition_begin[0] == 0 && self->partition_begin[partitions - 1] == slots;
    for (size_t p = 0; p + 1 < partitions; p++)
        rising = rising && self->partition_begin[p] <= self->partition_begin[p + 1];
    if (!rising)
        return contradiction("its partitions are out of order", error);
    self->slots = (uint32_t)slots;
    self->partitions = (uint32_t)partitions - 1;
    self->dimension = *(const uint32_t *)dimension;
    return OK;
}

/* 1 when every value is a number. */
static int all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

static int check_labels(const outcome_view_t *self, error_t *error)
{
    for (uint32_t slot = 0; slot < self->slots; slot++)
        if (self->label[slot] < -1 || self->label[slot] >= (int64_t)self->clusters)
            return contradiction("a label names no cluster", error);
    for (uint32_t i = 0; i < self->clusters; i++)
        if (self->cluster_partition[i] >= self->partitions)
            return contradiction("a cluster lies in no partition", error);
    if (!all_finite(self->strength, self->slots) || !all_finite(self->outlier, self->slots))
        return contradiction("a strength or outlier score is no number", error);
    return OK;
}

static int open_labels(outcome_view_t *self, error_t *error)
{
    size_t clusters = 0;
    const void *label;
    const void *strength;
    const void *outlier;
    const void *partition;
    const void *persistence;
    int code = open_named(self, "labels", &self->labels, error);
    if (code == OK)
        code = TAKE(&self->labels, {"label", COLUMN_I32, self->slots, &label, NULL},
                    {"strength", COLUMN_F32, self->slots, &strength, NULL},
                    {"outlier", COLUMN_F32, self->slots, &outlier, NULL},
                    {"cluster_partition", COLUMN_U32, SIZE_MAX, &partition, &clusters});
    if (code == OK)
        code = TAKE(&self->labels, {"persistence", COLUMN_F64, clusters, &persistence, NULL});
    if (code != OK)
        return code;
    if (clusters > self->slots)
        return contradiction("it has more clusters than rows", error);
    self->clusters = (uint32_t)clusters;
    self->label = label;
    self->strength = strength;
    self->outlier = outlier;
    self->cluster_partition = partition;
    self->persistence = persistence;
    return check_labels(self, error);
}

static int check_members(const outcome_view_t *self, size_t count, error_t *error)
{
    if (self->cluster_begin[0] != 0 || self->cluster_begin[self->clusters] != count)
        return contradiction("its clusters do not cover its members", error);
    for (uint32_t i = 0; i < self->clusters; i++) {
        uint32_t begin = self->cluster_begin[i];
        uint32_t end = self->cluster_begin[i + 1];
        if (end <= begin || end > count)
            return contradiction("a cluster has no members", error);
        for (uint32_t m = begin; m < end; m++)
            if (self->member[m] >= self->slots || self->label[self->member[m]] != (int64_t)i)
                return contradiction("members and labels differ", error);
    }
    return OK;
}

static int open_members(outcome_view_t *self, error_t *error)
{
    size_t count = 0;
    const void *begin;
    const void *member;
    int code = open_named(self, "members", &self->members, error);
    if (code == OK)
        code = TAKE(&self->members,
                    {"cluster_begin", COLUMN_U32, (size_t)self->clusters + 1, &begin, NULL},
                    {"member", COLUMN_U32, SIZE_MAX, &member, &count});
    if (code != OK)
        return code;
    self->cluster_begin = begin;
    self->member = member;
    return check_members(self, count, error);
}

static int open_validity(outcome_view_t *self, error_t *error)
{
    const void *dbcv;
    if (!columns_has(self->outcome.columns, "validity"))
        return OK;
    int code = open_named(self, "validity", &self->validity, error);
    if (code == OK)
        code = TAKE(&self->validity, {"dbcv", COLUMN_F64, self->clusters, &dbcv, NULL});
    if (code == OK)
        self->dbcv = dbcv;
    return code;
}

static int open_summaries(outcome_view_t *self, error_t *error)
{
    size_t bytes = 0;
    const void *sha;
    const void *segment_begin;
    int code = TAKE(&self->outcome, {"summary", COLUMN_U8, SIZE_MAX, &sha, &bytes});
    self->summaries = bytes / 32;
    if (code == OK)
        code = TAKE(&self->outcome,
                    {"segment_begin", COLUMN_U32, self->summaries + 1, &segment_begin, NULL});
    if (code != OK)
        return code;
    self->summary_sha = sha;
    self->segment_begin = segment_begin;
    if (bytes % 32 || self->segment_begin[0] != 0 ||
        self->segment_begin[self->summaries] != self->clusters)
        return contradiction("its summaries do not cover its clusters", error);
    for (size_t s = 0; s < self->summaries; s++)
        if (self->segment_begin[s] > self->segment_begin[s + 1])
            return contradiction("its summaries are out of order", error);
    return OK;
}

int outcome_view_open(spool_t *spool, const char *job_id, const sha256_t *state_sha,
                      outcome_view_t **out, error_t *error)
{
    outcome_view_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for the outcome of job %s", job_id);
    self->spool = spool;
    self->job_id = job_id;
    self->current = SIZE_MAX;
    int code = payload_open(self, state_sha, "outcome", &self->outcome, error);
    if (code == OK)
        code = open_plan(self, error);
    if (code == OK)
        code = open_labels(self, error);
    if (code == OK)
        code = open_members(self, error);
    if (code == OK)
        code = open_validity(self, error);
    if (code == OK)
        code = open_summaries(self, error);
    if (code != OK)
        outcome_view_close(&self);
    *out = self;
    return code;
}

int outcome_view_sibling(const outcome_view_t *self, outcome_view_t **out, error_t *error)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return error_set(error, ERR_MEMORY, "no memory for the outcome of job %s", self->job_id);
    **out = *self;
    (*out)->borrows = 1;
    (*out)->summary = (payload_t){0};
    (*out)->current = SIZE_MAX;
    return OK;
}

void outcome_view_close(outcome_view_t **self)
{
    if (!*self)
        return;
    payload_close(&(*self)->summary);
    if (!(*self)->borrows) {
        payload_close(&(*self)->validity);
        payload_close(&(*self)->members);
        payload_close(&(*self)->labels);
        payload_close(&(*self)->plan);
        payload_close(&(*self)->outcome);
    }
    free(*self);
    *self = NULL;
}

uint32_t outcome_partitions(const outcome_view_t *self) { return self->partitions; }

int outcome_partition(const outcome_view_t *self, uint32_t number, outcome_partition_t *out,
                      error_t *error)
{
    out->begin = self->partition_begin[number];
    out->end = self->partition_begin[number + 1];
    return columns_string(self->plan.columns, "partition_name", number, &out->name,
                          &out->name_length, error);
}

/* None in an outcome of a program that knew of none. */
static size_t side_bytes(const outcome_view_t *self, const void **hashes)
{
    size_t bytes = 0;
    if (columns_get(self->outcome.columns, "side", COLUMN_U8, SIZE_MAX, hashes, &bytes, NULL) != OK)
        return 0;
    return bytes;
}

size_t outcome_sides(const outcome_view_t *self)
{
    const void *hashes;
    return side_bytes(self, &hashes) / sizeof(sha256_t);
}

int outcome_side_open(const outcome_view_t *self, size_t number, const char *kind,
                      outcome_side_t *out, error_t *error)
{
    const void *hashes;
    sha256_t sha256;
    if (number >= side_bytes(self, &hashes) / sizeof sha256)
        return contradiction("what should stand beside its clusters is not there", error);
    memcpy(sha256.bytes, (const uint8_t *)hashes + number * sizeof sha256, sizeof sha256);
    return payload_open(self, &sha256, kind, out, error);
}

void outcome_side_close(outcome_side_t *self) { payload_close(self); }

uint32_t outcome_slots(const outcome_view_t *self) { return self->slots; }
uint32_t outcome_clusters(const outcome_view_t *self) { return self->clusters; }
uint32_t outcome_cluster_size(const outcome_view_t *self, uint32_t number)
{
    return self->cluster_begin[number + 1] - self->cluster_begin[number];
}
uint32_t outcome_dimension(const outcome_view_t *self) { return self->dimension; }
int32_t outcome_day(const outcome_view_t *self, uint32_t slot)
{
    return self->day ? self->day[slot] : DAY_NONE;
}

uint32_t outcome_row(const outcome_view_t *self, uint32_t slot) { return self->rows[slot]; }
int outcome_is_noise(const outcome_view_t *self, uint32_t slot) { return self->label[slot] < 0; }
float outcome_strength(const outcome_view_t *self, uint32_t slot) { return self->strength[slot]; }
float outcome_outlier(const outcome_view_t *self, uint32_t slot) { return self->outlier[slot]; }

/* Zeros when it is not there: then it equals no file's. */
static sha256_t fingerprint(const outcome_view_t *self, const char *name)
{
    const void *bytes;
    sha256_t value = {{0}};
    if (columns_get(self->outcome.columns, name, COLUMN_U8, sizeof value.bytes, &bytes, NULL,
                    NULL) == OK)
        memcpy(value.bytes, bytes, sizeof value.bytes);
    return value;
}

sha256_t outcome_index_fingerprint(const outcome_view_t *self)
{
    return fingerprint(self, "index_fingerprint");
}

sha256_t outcome_metadata_fingerprint(const outcome_view_t *self)
{
    return fingerprint(self, "metadata_fingerprint");
}

int outcome_report(const outcome_view_t *self, const char **json, size_t *length, error_t *error)
{
    return columns_string(self->outcome.columns, "report", 0, json, length, error);
}

static int open_summary(outcome_view_t *self, size_t index, error_t *error)
{
    sha256_t sha256;
    uint32_t begin = self->segment_begin[index];
    size_t count = self->segment_begin[index + 1] - begin;
    size_t members = self->cluster_begin[begin + count] - self->cluster_begin[begin];
    const void *centroid;
    const void *mean;
    const void *similarity;
    const void *typical;
    payload_close(&self->summary);
    self->current = SIZE_MAX;
    memcpy(sha256.bytes, self->summary_sha + index * 32, 32);
    int code = payload_open(self, &sha256, "summary", &self->summary, error);
    if (code == OK)
        code =
            TAKE(&self->summary, {"centroid", COLUMN_F32, count * self->dimension, &centroid, NULL},
                 {"similarity_mean", COLUMN_F64, count, &mean, NULL},
                 {"similarity", COLUMN_F32, members, &similarity, NULL},
                 {"typical", COLUMN_U32, count * TYPICAL_COUNT, &typical, NULL});
    if (code != OK)
        return code;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(((const double *)mean)[i]))
            return contradiction("a cluster's similarity is no number", error);
    if (!all_finite(similarity, members) || !all_finite(centroid, count * self->dimension))
        return contradiction("a similarity or centroid is no number", error);
    self->centroid = centroid;
    self->similarity_mean = mean;
    self->similarity = similarity;
    self->typical = typical;
    self->current = index;
    return OK;
}

/* Makes the summary of cluster `number` the open one. */
static int find_summary(outcome_view_t *self, uint32_t number, error_t *error)
{
    size_t index = self->current == SIZE_MAX ? 0 : self->current;
    while (index < self->summaries && number >= self->segment_begin[index + 1])
        index++;
    if (index == self->summaries || number < self->segment_begin[index])
        return contradiction("a cluster has no summary", error);
    return index == self->current ? OK : open_summary(self, index, error);
}

int outcome_cluster(outcome_view_t *self, uint32_t number, outcome_cluster_t *out, error_t *error)
{
    int code = find_summary(self, number, error);
    if (code != OK)
        return code;
    uint32_t begin = self->segment_begin[self->current];
    size_t local = number - begin;
    size_t first = self->cluster_begin[number];
    *out = (outcome_cluster_t){
        .number = number,
        .size = self->cluster_begin[number + 1] - (uint32_t)first,
        .slots = self->member + first,
        .similarity = self->similarity + (first - self->cluster_begin[begin]),
        .centroid = self->centroid + local * self->dimension,
        .typical = self->typical + local * TYPICAL_COUNT,
        .intra_similarity = self->similarity_mean[local],
        .persistence = self->persistence[number],
        .has_dbcv = self->dbcv != NULL,
        .dbcv = self->dbcv ? self->dbcv[number] : NAN,
    };
    for (size_t i = 0; i < TYPICAL_COUNT; i++)
        if (out->typical[i] != SLOT_NONE && out->typical[i] >= self->slots)
            return contradiction("a typical member is no row", error);
    return columns_string(self->plan.columns, "partition_name", self->cluster_partition[number],
                          &out->partition, &out->partition_length, error);
}
