/* Approximate jobs: the recall that was asked for is found, and measured; what is found is true. */
#include "coordinator/merge/boruvka.h"
#include "tests/lib/inline_cluster.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <jansson.h>
#include <cmocka.h>

#define ITEMS 4800
#define DIMENSION 128
#define GROUPS 40

typedef struct {
    test_folder_t folder;
    job_spec_t spec;
    inline_cluster_t cluster;
    error_t error;
} fixture_t;

/* Groups that run into each other: neighbours lie on both sides of the borders of cells. */
static void write_vectors(const test_folder_t *folder)
{
    char path[512];
    size_t length;
    random_t random = {23};
    float *vectors = calloc((size_t)ITEMS * DIMENSION, sizeof *vectors);
    for (uint32_t i = 0; i < ITEMS; i++) {
        float *vector = vectors + (size_t)i * DIMENSION;
        double sum = 0, along = random_unit(&random);
        for (int d = 0; d < DIMENSION; d++)
            vector[d] = (float)((random_unit(&random) - 0.5) * 0.3);
        vector[i % GROUPS] += (float)(1 - 0.5 * along);
        vector[(i + 1) % GROUPS] += (float)(0.5 * along);
        for (int d = 0; d < DIMENSION; d++)
            sum += (double)vector[d] * vector[d];
        for (int d = 0; d < DIMENSION; d++)
            vector[d] = (float)(vector[d] / sqrt(sum));
    }
    uint8_t *bytes = make_index("IxFI", DIMENSION, ITEMS, 0, vectors, &length);
    write_file(folder_path(folder, "events.index", path), bytes, length);
    free(bytes);
    free(vectors);
}

/* A third of the items along an arc, dense, longer than any cell; the others in three far groups. */
#define IS_ON_ARC(item) ((item) % 3 == 0)

static void write_arc(const test_folder_t *folder)
{
    char path[512];
    size_t length;
    random_t random = {5};
    float *vectors = calloc((size_t)ITEMS * DIMENSION, sizeof *vectors);
    for (uint32_t i = 0; i < ITEMS; i++) {
        float *vector = vectors + (size_t)i * DIMENSION;
        double angle = 1.5 * i / ITEMS, sum = 0;
        for (int d = 10; d < DIMENSION; d++)
            vector[d] = (float)((random_unit(&random) - 0.5) * 0.002);
        vector[IS_ON_ARC(i) ? 0 : 2 + i % 3 * 2] = (float)cos(IS_ON_ARC(i) ? angle : 0);
        vector[IS_ON_ARC(i) ? 1 : 3] += (float)sin(IS_ON_ARC(i) ? angle : 0);
        for (int d = 0; d < DIMENSION; d++)
            sum += (double)vector[d] * vector[d];
        for (int d = 0; d < DIMENSION; d++)
            vector[d] = (float)(vector[d] / sqrt(sum));
    }
    uint8_t *bytes = make_index("IxFI", DIMENSION, ITEMS, 0, vectors, &length);
    write_file(folder_path(folder, "events.index", path), bytes, length);
    free(bytes);
    free(vectors);
}

static int set_up(void **state)
{
    char path[512];
    random_t random = {1};
    fixture_t *self = calloc(1, sizeof *self);
    made_item_t *items = calloc(ITEMS, sizeof *items);
    self->folder = folder_new();
    made_items(&random, items, ITEMS, 4, 0.1);
    for (uint32_t i = 0; i < ITEMS; i++)
        snprintf(items[i].metadata, sizeof items[i].metadata, "\"domain\":\"%s\"",
                 i % 37 ? "large" : "small");
    made_write_metadata(folder_path(&self->folder, "events_metadata.json", path), LEVEL_EVENTS,
                        items, ITEMS, NULL);
    write_vectors(&self->folder);
    free(items);
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = DIMENSION;
    self->spec.algorithm = ALGORITHM_TWO_STAGE; /* approximate jobs of this size are exact */
    self->spec.min_cluster_size = 10;
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    if (self->cluster.spool != NULL)
        inline_cluster_clear(&self->cluster);
    job_spec_clear(&self->spec);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static int run(fixture_t *self)
{
    inline_hook_fn hook = self->cluster.hook;
    void *context = self->cluster.hook_context;
    if (self->cluster.spool != NULL)
        inline_cluster_clear(&self->cluster);
    self->cluster.hook = hook;
    self->cluster.hook_context = context;
    self->cluster.repeat = 1;
    self->error = (error_t)ERROR_INIT;
    return inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error);
}

static double reported(const fixture_t *self, const char *key)
{
    json_t *report = json_loads(self->cluster.report, 0, NULL);
    const json_t *value = json_object_get(report, key);
    assert_non_null(value);
    double number = json_number_value(value);
    json_decref(report);
    return number;
}

static void the_recall_asked_for_is_found(void **state)
{
    fixture_t *self = *state;
    double searched = 0;
    static const double TARGETS[] = {0.3, 0.9, 0.99};
    for (size_t i = 0; i < 3; i++) {
        self->spec.target_recall = TARGETS[i];
        assert_int_equal(run(self), OK);
        assert_true(reported(self, "recall") >= TARGETS[i]);
        assert_true(reported(self, "recall_sample") > 900);
        assert_true(reported(self, "cells_searched") > searched);
        searched = reported(self, "cells_searched");
        assert_int_equal(self->cluster.kinds[TASK_PROBE], 2);
        assert_int_equal(self->cluster.kinds[TASK_KNN], 0);
    }
    assert_true(searched < reported(self, "cells"));
}

/* Lists of all cells are exact. The tree is that of the lists: it may lack edges between clusters,
 * which joins nothing and parts nothing that belongs together. */
static void all_cells_give_the_exact_clusters(void **state)
{
    fixture_t *self = *state;
    uint32_t same = 0, pairs = 0;
    self->spec.target_recall = 1;
    assert_int_equal(run(self), OK);
    assert_true(reported(self, "recall") == 1);
    assert_true(reported(self, "mst_edges") > 0.95 * ITEMS);
    int32_t *label = malloc(ITEMS * sizeof *label);
    memcpy(label, self->cluster.label, ITEMS * sizeof *label);
    self->spec.algorithm = ALGORITHM_HDBSCAN;
    assert_int_equal(run(self), OK);
    assert_true(self->cluster.cluster_count > 1);
    for (uint32_t i = 0; i < ITEMS; i++)
        for (uint32_t j = i % 7; j < i; j += 7, pairs++)
            same +=
                (label[i] >= 0 && label[i] == label[j]) ==
                (self->cluster.label[i] >= 0 && self->cluster.label[i] == self->cluster.label[j]);
    assert_true(same > 0.99 * pairs);
    free(label);
}

/* Into how many clusters the arc falls; noise counts as one more. */
static uint32_t pieces_of_the_arc(const fixture_t *self)
{
    uint32_t pieces = 0;
    uint8_t *seen = calloc((size_t)self->cluster.cluster_count + 1, 1);
    for (uint32_t slot = 0; slot < ITEMS; slot++)
        if (IS_ON_ARC(self->cluster.plan.rows[slot])) {
            pieces += !seen[self->cluster.label[slot] + 1];
            seen[self->cluster.label[slot] + 1] = 1;
        }
    free(seen);
    return pieces;
}

static void a_cluster_cut_by_a_border_is_found_again(void **state)
{
    fixture_t *self = *state;
    write_arc(&self->folder);
    self->spec.algorithm = ALGORITHM_TWO_STAGE;
    self->spec.mode = MODE_EXACT;
    self->spec.cells = 12;
    self->spec.target_recall = 0; /* nobody looks across a border, but for ties */
    assert_int_equal(run(self), OK);
    assert_true(reported(self, "cells_searched") < 1.01);
    assert_true(pieces_of_the_arc(self) > 1);
    self->spec.target_recall = 0.999;
    assert_int_equal(run(self), OK);
    assert_true(reported(self, "cells") == 12);
    assert_true(reported(self, "border_rows") > 0);
    assert_true(reported(self, "border_rows") < ITEMS);
    assert_int_equal(pieces_of_the_arc(self), 1);
    assert_int_equal(self->cluster.cluster_count, 3);
}

static void partitions_do_not_meet(void **state)
{
    fixture_t *self = *state;
    self->spec.partition_by = PARTITION_DOMAIN;
    assert_int_equal(run(self), OK);
    assert_true(reported(self, "recall") >= 0.95);
    assert_int_equal(self->cluster.plan.partition_count, 2);
    uint32_t border = self->cluster.plan.partition_begin[1];
    for (uint32_t i = 0; i < border; i++)
        for (uint32_t j = border; j < ITEMS; j++)
            assert_true(self->cluster.label[i] < 0 ||
                        self->cluster.label[i] != self->cluster.label[j]);
}

/* And say so. */
static void small_jobs_are_exact(void **state)
{
    fixture_t *self = *state;
    self->spec.partition_by = 0;
    self->spec.algorithm = ALGORITHM_HDBSCAN;
    self->spec.mode = MODE_APPROXIMATE;
    self->spec.min_samples = 300; /* lists too long for codes */
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.kinds[TASK_PROBE], 0);
    assert_int_equal(self->cluster.kinds[TASK_KNN], 1);
    assert_non_null(strstr(self->cluster.report, "\"search\":\"exact: cells do not help lists"));
    self->spec.min_samples = 5;
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.kinds[TASK_PROBE], 0);
    assert_int_equal(self->cluster.kinds[TASK_NEAR], 1); /* all neighbours, by codes */
    assert_non_null(strstr(self->cluster.report, "\"search\":\"exact: the job is so small"));
    assert_int_equal(job_spec_set_field(&self->spec, "filter", "{\"domain\":\"small\"}", NULL), OK);
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.kinds[TASK_PROBE], 0);
    assert_non_null(strstr(self->cluster.report, "\"search\":\"exact: the job is so small"));
    self->spec.mode = MODE_EXACT;
    self->spec.algorithm = ALGORITHM_TWO_STAGE; /* asked for by name: it is what it says */
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.kinds[TASK_PROBE], 2);
    assert_non_null(strstr(self->cluster.report, "\"search\":\"approximate: in cells"));
}

static void spoil(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    int *left = cluster->hook_context;
    if (stage->kind == TASK_PROBE && (*left)-- == 0)
        results[0] = sha256_of("absent", 6);
}

/* A neighbour of another partition, or none at all. */
static void bend(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    uint8_t *bytes = NULL;
    size_t length, count;
    columns_t *columns = NULL;
    const void *values = NULL;
    uint32_t wrong = 0x7fffffff;
    if (stage->kind != TASK_PROBE)
        return;
    assert_int_equal(spool_get(cluster->spool, INLINE_JOB, &results[0], &bytes, &length, NULL), OK);
    assert_int_equal(columns_open(bytes, length, "probed", &columns, NULL), OK);
    assert_int_equal(columns_get(columns, "neighbour", COLUMN_U32, SIZE_MAX, &values, &count, NULL),
                     OK);
    memcpy(bytes + ((const uint8_t *)values - bytes), &wrong, sizeof wrong);
    columns_close(&columns);
    assert_int_equal(spool_put(cluster->spool, INLINE_JOB, bytes, length, &results[0], NULL), OK);
    free(bytes);
}

static void a_result_that_cannot_be_used_names_its_task(void **state)
{
    fixture_t *self = *state;
    for (int stage = 0; stage < 3; stage++) {
        int left = stage;
        self->cluster.hook = stage < 2 ? spoil : bend;
        self->cluster.hook_context = &left;
        assert_int_equal(run(self), ERR_NOT_FOUND);
        assert_string_equal(self->error.field, "task:0");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_recall_asked_for_is_found),
        TEST(all_cells_give_the_exact_clusters),
        TEST(a_cluster_cut_by_a_border_is_found_again),
        TEST(partitions_do_not_meet),
        TEST(small_jobs_are_exact),
        TEST(a_result_that_cannot_be_used_names_its_task),
    };
    return cmocka_run_group_tests_name("probing", tests, NULL, NULL);
}
