/* outcome_fixture.h - an outcome over real files, put together by hand.
 *
 * The rows are divided by the place of their vector_id in sorted order, so that the same rows are
 * together whatever order the index has them in: of ten successive slots five go to cluster 0,
 * three to cluster 1, one to cluster 2, and one is noise. */
#ifndef STAGE4_TESTS_LIB_OUTCOME_FIXTURE_H
#define STAGE4_TESTS_LIB_OUTCOME_FIXTURE_H

#include "common/input/catalog.h"
#include "common/input/flat_index.h"
#include "coordinator/store/spool.h"
#include "proto/columns.h"
#include "proto/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTCOME_CLUSTERS 3
#define OUTCOME_DIMENSION 768

typedef struct {
    flat_index_t *index;
    catalog_t *catalog;
    uint32_t count;       /* slots */
    const uint32_t *rows; /* of each slot */
    uint32_t begin[OUTCOME_CLUSTERS + 1];
    uint32_t *member;
    int32_t *label;
    spool_t *spool;
    const char *job_id;
} outcome_fixture_t;

static inline int outcome_label_of(uint32_t slot)
{
    static const int LABELS[10] = {0, 1, 0, -1, 0, 1, 2, 0, 1, 0};
    return LABELS[slot % 10];
}

static inline sha256_t outcome_put(outcome_fixture_t *self, columns_writer_t *writer)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    sha256_t name;
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), OK);
    assert_int_equal(spool_put(self->spool, self->job_id, bytes, length, &name, NULL), OK);
    free(bytes);
    return name;
}

static inline void outcome_divide(outcome_fixture_t *self)
{
    uint32_t used = 0;
    self->label = malloc(self->count * sizeof *self->label);
    self->member = malloc(self->count * sizeof *self->member);
    for (int cluster = 0; cluster < OUTCOME_CLUSTERS; cluster++) {
        self->begin[cluster] = used;
        for (uint32_t slot = 0; slot < self->count; slot++)
            if ((self->label[slot] = outcome_label_of(slot)) == cluster)
                self->member[used++] = slot;
    }
    self->begin[OUTCOME_CLUSTERS] = used;
}

/* The summary of clusters [first, last) by the definitions of proto/payload.h, in plain loops. */
static inline sha256_t outcome_summary(outcome_fixture_t *self, int first, int last)
{
    size_t clusters = (size_t)(last - first);
    uint32_t members = self->begin[last] - self->begin[first];
    float *centroid = calloc(clusters * OUTCOME_DIMENSION, sizeof *centroid);
    double *mean = calloc(clusters, sizeof *mean);
    float *similarity = calloc(members, sizeof *similarity);
    uint32_t *typical = malloc(clusters * TYPICAL_COUNT * sizeof *typical);
    float vector[OUTCOME_DIMENSION];
    for (int c = first; c < last; c++) {
        float *sum = centroid + (size_t)(c - first) * OUTCOME_DIMENSION;
        double norm = 0;
        uint32_t size = self->begin[c + 1] - self->begin[c];
        for (uint32_t m = self->begin[c]; m < self->begin[c + 1]; m++) {
            flat_index_read(self->index, self->rows[self->member[m]], 1, vector, NULL);
            for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
                sum[d] += vector[d];
        }
        for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
            norm += (double)sum[d] * (double)sum[d];
        mean[c - first] = (norm - size) / ((double)size * (size - 1));
        for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
            sum[d] = (float)((double)sum[d] / __builtin_sqrt(norm));
        for (uint32_t m = self->begin[c]; m < self->begin[c + 1]; m++) {
            float *out = &similarity[m - self->begin[first]];
            flat_index_read(self->index, self->rows[self->member[m]], 1, vector, NULL);
            for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
                *out += vector[d] * sum[d];
        }
        for (uint32_t i = 0; i < TYPICAL_COUNT; i++) /* any members will do, in any order */
            typical[(size_t)(c - first) * TYPICAL_COUNT + i] =
                i + 1 < TYPICAL_COUNT ? self->member[self->begin[c] + i] : SLOT_NONE;
    }
    columns_writer_t *writer = columns_writer_new("summary");
    columns_put(writer, "centroid", COLUMN_F32, centroid, clusters * OUTCOME_DIMENSION);
    columns_put(writer, "similarity_mean", COLUMN_F64, mean, clusters);
    columns_put(writer, "similarity", COLUMN_F32, similarity, members);
    columns_put(writer, "typical", COLUMN_U32, typical, clusters * TYPICAL_COUNT);
    free(centroid);
    free(mean);
    free(similarity);
    free(typical);
    return outcome_put(self, writer);
}

static inline sha256_t outcome_plan(outcome_fixture_t *self)
{
    uint32_t begin[2] = {0, self->count};
    int32_t window = -1;
    uint32_t dimension = OUTCOME_DIMENSION;
    const char *name = "";
    columns_writer_t *writer = columns_writer_new("plan");
    columns_put(writer, "rows", COLUMN_U32, self->rows, self->count);
    columns_put(writer, "partition_begin", COLUMN_U32, begin, 2);
    columns_put(writer, "partition_window", COLUMN_I32, &window, 1);
    columns_put_strings(writer, "partition_name", &name, 1);
    columns_put(writer, "dimension", COLUMN_U32, &dimension, 1);
    return outcome_put(self, writer);
}

static inline sha256_t outcome_labels(outcome_fixture_t *self)
{
    float *strength = malloc(self->count * sizeof *strength);
    float *outlier = malloc(self->count * sizeof *outlier);
    uint32_t partition[OUTCOME_CLUSTERS] = {0};
    double persistence[OUTCOME_CLUSTERS] = {0.5, 0.25, 0.1};
    for (uint32_t slot = 0; slot < self->count; slot++) {
        strength[slot] = self->label[slot] < 0 ? 0.0f : 1.0f / (float)(1 + slot % 3);
        outlier[slot] = (float)(slot % 5) / 7.0f;
    }
    columns_writer_t *writer = columns_writer_new("labels");
    columns_put(writer, "label", COLUMN_I32, self->label, self->count);
    columns_put(writer, "strength", COLUMN_F32, strength, self->count);
    columns_put(writer, "outlier", COLUMN_F32, outlier, self->count);
    columns_put(writer, "cluster_partition", COLUMN_U32, partition, OUTCOME_CLUSTERS);
    columns_put(writer, "persistence", COLUMN_F64, persistence, OUTCOME_CLUSTERS);
    free(strength);
    free(outlier);
    return outcome_put(self, writer);
}

static inline sha256_t outcome_members(outcome_fixture_t *self)
{
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, self->begin, OUTCOME_CLUSTERS + 1);
    columns_put(writer, "member", COLUMN_U32, self->member, self->begin[OUTCOME_CLUSTERS]);
    return outcome_put(self, writer);
}

/* Puts the whole outcome of one level of `folder` into the spool; its state. */
static inline sha256_t outcome_make(spool_t *spool, const char *job_id, const char *folder,
                                    level_t level)
{
    char path[512];
    outcome_fixture_t self = {.spool = spool, .job_id = job_id};
    uint32_t segments[3] = {0, 2, OUTCOME_CLUSTERS};
    uint8_t summaries[64];
    const char *report = "{\"rows\":1,\"partitions\":1}";
    snprintf(path, sizeof path, "%s/%s.index", folder, level_plural(level));
    assert_int_equal(flat_index_open(path, OUTCOME_DIMENSION, &self.index, NULL), OK);
    snprintf(path, sizeof path, "%s/%s_metadata.json", folder, level_plural(level));
    assert_int_equal(
        catalog_open(path, level, flat_index_rows(self.index), NULL, 0, &self.catalog, NULL), OK);
    self.rows = catalog_id_order(self.catalog);
    self.count = catalog_valid_rows(self.catalog);
    outcome_divide(&self);
    sha256_t plan = outcome_plan(&self);
    sha256_t labels = outcome_labels(&self);
    sha256_t members = outcome_members(&self);
    sha256_t index = flat_index_fingerprint(self.index);
    sha256_t metadata = catalog_fingerprint(self.catalog);
    sha256_t first = outcome_summary(&self, 0, 2);
    sha256_t second = outcome_summary(&self, 2, OUTCOME_CLUSTERS);
    memcpy(summaries, first.bytes, 32);
    memcpy(summaries + 32, second.bytes, 32);
    columns_writer_t *writer = columns_writer_new("outcome");
    columns_put(writer, "plan", COLUMN_U8, plan.bytes, 32);
    columns_put(writer, "labels", COLUMN_U8, labels.bytes, 32);
    columns_put(writer, "members", COLUMN_U8, members.bytes, 32);
    columns_put(writer, "summary", COLUMN_U8, summaries, 64);
    columns_put(writer, "segment_begin", COLUMN_U32, segments, 3);
    columns_put(writer, "index_fingerprint", COLUMN_U8, index.bytes, 32);
    columns_put(writer, "metadata_fingerprint", COLUMN_U8, metadata.bytes, 32);
    columns_put_strings(writer, "report", &report, 1);
    sha256_t state = outcome_put(&self, writer);
    free(self.label);
    free(self.member);
    catalog_close(&self.catalog);
    flat_index_close(&self.index);
    return state;
}

#endif
