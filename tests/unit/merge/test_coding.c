/* Jobs with enough pairs for codes: the stages come, their state is the same twice, and results that
 * cannot be used name their task. That the answer is the plain one: tests/unit/tasks/test_coded.c. */
#include "common/graph/edge.h"
#include "tests/lib/inline_cluster.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ITEMS 4500 /* squared just over coding.c's PAIRS_MIN */
#define DIMENSION 128
#define GROUPS 30

typedef struct {
    test_folder_t folder;
    job_spec_t spec;
    inline_cluster_t cluster;
    error_t error;
} fixture_t;

/* Groups of 150, each tight about a direction of its own. */
static void write_vectors(const test_folder_t *folder)
{
    char path[512];
    size_t length;
    random_t random = {11};
    float *vectors = calloc((size_t)ITEMS * DIMENSION, sizeof *vectors);
    for (uint32_t i = 0; i < ITEMS; i++) {
        float *vector = vectors + (size_t)i * DIMENSION;
        double sum = 0;
        for (int d = 0; d < DIMENSION; d++)
            vector[d] = (float)((random_unit(&random) - 0.5) * 0.1);
        vector[i % GROUPS] += 1;
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
    made_write_metadata(folder_path(&self->folder, "events_metadata.json", path), LEVEL_EVENTS,
                        items, ITEMS, NULL);
    write_vectors(&self->folder);
    free(items);
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = DIMENSION;
    self->cluster.repeat = 1;
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
    self->error = (error_t)ERROR_INIT;
    return inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error);
}

static void a_large_job_goes_by_codes(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.kinds[TASK_ROTATE], 1);
    assert_int_equal(self->cluster.kinds[TASK_ENCODE], 1);
    assert_int_equal(self->cluster.kinds[TASK_NEAR], 1);
    assert_int_equal(self->cluster.kinds[TASK_KNN], 1);
    assert_int_equal(self->cluster.kinds[TASK_VERIFY], 1);
    assert_int_equal(self->cluster.cluster_count, GROUPS);
}

/* Lists longer than the places around a row go without codes. */
static void long_lists_go_without(void **state)
{
    fixture_t *self = *state;
    self->spec.min_samples = 300;
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.kinds[TASK_ROTATE], 0);
    assert_int_equal(self->cluster.kinds[TASK_KNN], 1);
}

static void spoil(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    if (stage->kind == *(const task_kind_t *)cluster->hook_context)
        results[stage->task_count - 1] = sha256_of("absent", 6);
}

static void a_result_that_is_not_there_names_its_task(void **state)
{
    static const task_kind_t KINDS[] = {TASK_ROTATE, TASK_ENCODE, TASK_NEAR, TASK_KNN, TASK_VERIFY};
    fixture_t *self = *state;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        self->cluster.hook = spoil;
        self->cluster.hook_context = (void *)(uintptr_t)&KINDS[i];
        assert_int_equal(run(self), ERR_NOT_FOUND);
        assert_int_equal(strncmp(self->error.field, "task:", 5), 0);
        inline_cluster_clear(&self->cluster);
    }
}

/* The result of another kind in its place: the columns are not there. */
static void swap(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    const char *empty = cluster->hook_context;
    uint8_t *bytes;
    size_t length;
    if (strcmp(task_kind_name(stage->kind), empty) != 0)
        return;
    columns_writer_t *writer = columns_writer_new(stage->kind == TASK_ROTATE   ? "rotation"
                                                  : stage->kind == TASK_ENCODE ? "coded"
                                                  : stage->kind == TASK_NEAR   ? "bounds"
                                                  : stage->kind == TASK_VERIFY ? "edges"
                                                                               : "knn_part");
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), OK);
    assert_int_equal(spool_put(cluster->spool, INLINE_JOB, bytes, length, &results[0], NULL), OK);
    free(bytes);
}

static void a_result_without_its_columns_names_its_task(void **state)
{
    static const char *const NAMES[] = {"rotate", "encode", "near", "knn", "verify"};
    fixture_t *self = *state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        self->cluster.hook = swap;
        self->cluster.hook_context = (void *)(uintptr_t)NAMES[i];
        assert_int_equal(run(self), ERR_NOT_FOUND);
        assert_string_equal(self->error.field, "task:0");
        inline_cluster_clear(&self->cluster);
    }
}

/* ---- parts that cannot be true ---- */

typedef void (*harm_fn)(uint32_t *count, uint32_t *neighbour, float *d2);

static void more_than_there_are(uint32_t *count, uint32_t *neighbour, float *d2)
{
    (void)neighbour;
    (void)d2;
    count[7]++;
}

static void more_than_k(uint32_t *count, uint32_t *neighbour, float *d2)
{
    (void)neighbour;
    (void)d2;
    count[0] = 32;
}

static void out_of_order(uint32_t *count, uint32_t *neighbour, float *d2)
{
    (void)count;
    (void)neighbour;
    d2[1] = d2[0] / 2;
}

static void its_own_neighbour(uint32_t *count, uint32_t *neighbour, float *d2)
{
    (void)d2;
    for (uint32_t i = 0; i < count[0]; i++)
        neighbour[i] = ITEMS + i;
}

static void twice_the_same(uint32_t *count, uint32_t *neighbour, float *d2)
{
    (void)count;
    (void)d2;
    neighbour[1] = neighbour[0];
}

static void no_neighbours(uint32_t *count, uint32_t *neighbour, float *d2)
{
    (void)neighbour;
    (void)d2;
    count[1] += count[0]; /* the sum stays right */
    count[0] = 0;
}

/* Another "knn_part" in the place of the first. */
static void put_harmed(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    const harm_fn *harm = cluster->hook_context;
    uint8_t *bytes;
    size_t length, places, entries;
    columns_t *part;
    const void *count, *neighbour, *d2;
    if (stage->kind != TASK_KNN)
        return;
    assert_int_equal(spool_get(cluster->spool, INLINE_JOB, &results[0], &bytes, &length, NULL), OK);
    assert_int_equal(columns_open(bytes, length, "knn_part", &part, NULL), OK);
    assert_int_equal(columns_get(part, "count", COLUMN_U32, SIZE_MAX, &count, &places, NULL), OK);
    assert_int_equal(
        columns_get(part, "neighbour", COLUMN_U32, SIZE_MAX, &neighbour, &entries, NULL), OK);
    assert_int_equal(columns_get(part, "d2", COLUMN_F32, entries, &d2, NULL, NULL), OK);
    (*harm)((uint32_t *)(uintptr_t)count, (uint32_t *)(uintptr_t)neighbour, (float *)(uintptr_t)d2);
    columns_writer_t *writer = columns_writer_new("knn_part");
    columns_put(writer, "count", COLUMN_U32, count, places);
    columns_put(writer, "neighbour", COLUMN_U32, neighbour, entries);
    columns_put(writer, "d2", COLUMN_F32, d2, entries);
    columns_close(&part);
    free(bytes);
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), OK);
    assert_int_equal(spool_put(cluster->spool, INLINE_JOB, bytes, length, &results[0], NULL), OK);
    free(bytes);
}

static void parts_that_cannot_be_true_are_refused(void **state)
{
    static const harm_fn HARMS[] = {more_than_there_are, more_than_k,    out_of_order,
                                    its_own_neighbour,   twice_the_same, no_neighbours};
    fixture_t *self = *state;
    for (size_t i = 0; i < sizeof HARMS / sizeof *HARMS; i++) {
        harm_fn harm = HARMS[i];
        self->cluster.hook = put_harmed;
        self->cluster.hook_context = &harm;
        int code = run(self);
        assert_true(code == ERR_NOT_FOUND || code == ERR_SHAPE);
        inline_cluster_clear(&self->cluster);
    }
}

/* An edge that cannot be one, as all that the first task found. */
static void put_edge(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    const edge_t *edge = cluster->hook_context;
    uint8_t *bytes;
    size_t length;
    if (stage->kind != TASK_VERIFY)
        return;
    columns_writer_t *writer = columns_writer_new("edges");
    columns_put(writer, "a", COLUMN_U32, &edge->a, 1);
    columns_put(writer, "b", COLUMN_U32, &edge->b, 1);
    columns_put(writer, "weight", COLUMN_F32, &edge->weight, 1);
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), OK);
    assert_int_equal(spool_put(cluster->spool, INLINE_JOB, bytes, length, &results[0], NULL), OK);
    free(bytes);
}

static void edges_that_cannot_be_true_are_refused(void **state)
{
    static const edge_t WRONG[] = {
        {1, 7, 7}, {1, 8, 7}, {1, 0, ITEMS}, {-1, 0, 1}, {INFINITY, 0, 1}, {NAN, 0, 1},
    };
    fixture_t *self = *state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        self->cluster.hook = put_edge;
        self->cluster.hook_context = (void *)(uintptr_t)&WRONG[i];
        assert_int_equal(run(self), ERR_NOT_FOUND);
        assert_string_equal(self->error.field, "task:0");
        inline_cluster_clear(&self->cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_large_job_goes_by_codes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lists_go_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_result_that_is_not_there_names_its_task, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_result_without_its_columns_names_its_task, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(parts_that_cannot_be_true_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(edges_that_cannot_be_true_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
