#include "coordinator/merge/hierarchy.h"
#include "common/clock.h"
#include "common/dist2.h"
#include "tests/lib/inline_cluster.h"
#include "unit/merge/geometry.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <jansson.h>
#include <cmocka.h>

#define ITEM_LIMIT 700

typedef struct {
    test_folder_t folder;
    made_item_t *items;
    job_spec_t spec;
    inline_cluster_t cluster;
    error_t error;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    self->items = calloc(ITEM_LIMIT, sizeof *self->items);
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = MADE_DIMENSION;
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
    free(self->items);
    free(self);
    return 0;
}

static void make(fixture_t *self, uint32_t count, uint32_t groups, double spread,
                 const uint32_t *order)
{
    random_t random = {count};
    made_items(&random, self->items, count, groups, spread);
    made_write(&self->folder, self->spec.level, self->items, count, order);
}

static int run(fixture_t *self)
{
    inline_hook_fn hook = self->cluster.hook;
    if (self->cluster.spool != NULL)
        inline_cluster_clear(&self->cluster);
    self->cluster.hook = hook;
    self->cluster.repeat = 1;
    self->error = (error_t)ERROR_INIT;
    return inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error);
}

static json_int_t reported(const fixture_t *self, const char *key)
{
    json_t *report = json_loads(self->cluster.report, 0, NULL);
    assert_non_null(json_object_get(report, key));
    json_int_t value = json_integer_value(json_object_get(report, key));
    json_decref(report);
    return value;
}

/* The canonical distances between the plan's slots, cut by partition and window. */
static geometry_t measure(const fixture_t *self)
{
    const plan_t *plan = &self->cluster.plan;
    const dist2_backend_t *backends;
    geometry_t out = geometry_new(plan->count);
    dist2_backends(&backends);
    for (uint32_t p = 0; p < plan->partition_count; p++)
        for (uint32_t i = plan->partition_begin[p]; i < plan->partition_begin[p + 1]; i++)
            for (uint32_t j = i + 1; j < plan->partition_begin[p + 1]; j++)
                if (plan->partition_window[p] < 0 ||
                    plan->day[j] - plan->day[i] <= plan->partition_window[p])
                    geometry_set(&out, i, j,
                                 backends[0].one(self->items[plan->rows[i]].vector,
                                                 self->items[plan->rows[j]].vector,
                                                 MADE_DIMENSION));
    out.partition_count = plan->partition_count;
    assert_true(plan->partition_count < 9);
    memcpy(out.partition_begin, plan->partition_begin,
           (plan->partition_count + 1) * sizeof *plan->partition_begin);
    return out;
}

/* Rows stand as items do: the whole job gives what Kruskal over all pairs gives. */
static void assert_as_measured(const fixture_t *self)
{
    geometry_t geometry = measure(self);
    geometry_lists_t lists = geometry_lists(&geometry, 40, job_spec_min_samples(&self->spec));
    hierarchy_options_t options;
    clustering_t expected;
    size_t count;
    edge_t *forest = geometry_forest(&geometry, lists.core, &count);
    hierarchy_options_init(&options, &self->spec);
    assert_int_equal(clustering_init(&expected, geometry.count, NULL), OK);
    assert_int_equal(hierarchy_cluster_all(forest, count, geometry.partition_begin,
                                           geometry.partition_count, &options, &expected, NULL),
                     OK);
    assert_int_equal(expected.cluster_count, self->cluster.cluster_count);
    for (uint32_t i = 0; i < expected.count; i++) {
        assert_int_equal(expected.label[i], self->cluster.label[i]);
        assert_true(expected.strength[i] == self->cluster.strength[i]);
        assert_true(expected.outlier[i] == self->cluster.outlier[i]);
    }
    clustering_clear(&expected);
    free(forest);
    geometry_lists_clear(&lists);
    geometry_clear(&geometry);
}

static void a_job_gives_what_all_pairs_give(void **state)
{
    fixture_t *self = *state;
    for (uint32_t groups = 3; groups <= 12; groups += 3) {
        make(self, 600, groups, 0.2, NULL);
        self->spec.min_cluster_size = 4 + groups;
        self->spec.min_samples = groups;
        self->spec.selection = groups % 2 ? SELECTION_LEAF : SELECTION_EOM;
        assert_int_equal(run(self), OK);
        assert_true(self->cluster.cluster_count >= groups / 2);
        assert_as_measured(self);
    }
}

static void groups_larger_than_the_lists_are_joined_by_searches(void **state)
{
    fixture_t *self = *state;
    make(self, 700, 5, 0.01, NULL);
    assert_int_equal(run(self), OK);
    assert_true(self->cluster.kinds[TASK_REACH] > 0);
    assert_int_equal(reported(self, "rounds"), self->cluster.kinds[TASK_REACH]);
    assert_true(reported(self, "rows_searched") > 0);
    assert_int_equal(reported(self, "mst_edges"), 699);
    assert_as_measured(self);
}

static void give_dates_and_domains(fixture_t *self, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char date[64] = "";
        if (i % 13)
            snprintf(date, sizeof date, ",\"temporal_reference\":\"2015-09-%02u\"", 1 + i * 7 % 25);
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata, "\"domain\":\"%s\"%s",
                 i % 3 ? "environmental" : "made_up", date);
    }
}

static void windows_and_partitions_bound_who_meets(void **state)
{
    fixture_t *self = *state;
    random_t random = {9};
    made_items(&random, self->items, 500, 4, 0.1);
    give_dates_and_domains(self, 500);
    made_write(&self->folder, LEVEL_EVENTS, self->items, 500, NULL);
    self->spec.partition_by = PARTITION_DOMAIN;
    for (int32_t window = -1; window <= 6; window += window < 0 ? 1 : 3) {
        self->spec.window_days = window;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.plan.partition_count, window < 0 ? 2 : 4);
        assert_as_measured(self);
    }
    assert_int_equal(reported(self, "undated"), 39);
}

static void permuted_rows_permute_the_labels_and_change_nothing_else(void **state)
{
    fixture_t *self = *state;
    uint32_t order[ITEM_LIMIT];
    random_t random = {10};
    self->spec.distance_threshold = 0.1;
    self->spec.min_weight = 0.8;
    for (int algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++) {
        self->spec.algorithm = (algorithm_t)algorithm;
        self->spec.k = 7;
        make(self, 400, 6, 0.2, NULL);
        assert_int_equal(run(self), OK);
        inline_cluster_t plain = self->cluster;
        memset(&self->cluster, 0, sizeof self->cluster);
        for (int round = 0; round < 3; round++) {
            made_shuffle(&random, order, 400);
            make(self, 400, 6, 0.2, order);
            assert_int_equal(run(self), OK);
            for (uint32_t i = 0; i < 400; i++)
                assert_int_equal(self->cluster.plan.rows[i], order[plain.plan.rows[i]]);
            assert_memory_equal(self->cluster.label, plain.label, 400 * sizeof *plain.label);
            assert_memory_equal(self->cluster.strength, plain.strength, 400 * sizeof(float));
            assert_memory_equal(self->cluster.outlier, plain.outlier, 400 * sizeof(float));
            assert_string_equal(self->cluster.report, plain.report);
        }
        inline_cluster_clear(&plain);
    }
}

static void partitions_too_small_for_a_cluster_need_no_task(void **state)
{
    fixture_t *self = *state;
    random_t random = {12};
    made_items(&random, self->items, 9, 2, 0.1);
    for (uint32_t i = 0; i < 9; i++)
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata, "\"domain\":\"d%u\"",
                 i / 3);
    made_write(&self->folder, LEVEL_EVENTS, self->items, 9, NULL);
    self->spec.partition_by = PARTITION_DOMAIN;
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.stages, 0);
    assert_int_equal(self->cluster.cluster_count, 0);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(self->cluster.label[i], -1);
}

static void hostile_geometry_comes_out_whole(void **state)
{
    fixture_t *self = *state;
    self->spec.min_cluster_size = 2;
    made_items(&(random_t){1}, self->items, 40, 1, 0); /* all equal */
    made_write(&self->folder, LEVEL_EVENTS, self->items, 40, NULL);
    assert_int_equal(run(self), OK);
    assert_as_measured(self);
    made_write(&self->folder, LEVEL_EVENTS, self->items, 2, NULL); /* two points */
    assert_int_equal(run(self), OK);
    assert_as_measured(self);
    make(self, 16, 16, 0, NULL); /* an equidistant simplex, but for the repeated ones */
    assert_int_equal(run(self), OK);
    assert_as_measured(self);
    make(self, 300, 3, 1e-6, NULL); /* groups as narrow as float32 allows */
    self->spec.min_cluster_size = 5;
    assert_int_equal(run(self), OK);
    assert_as_measured(self);
}

/* ---- k-means ---- */

static void kmeans_finds_groups_and_converges(void **state)
{
    fixture_t *self = *state;
    self->spec.algorithm = ALGORITHM_KMEANS;
    for (int metric = 0; metric < 2; metric++) {
        self->spec.metric = (metric_t)metric;
        self->spec.k = 5;
        make(self, 500, 5, 0.05, NULL);
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 5);
        for (uint32_t i = 0; i < 500; i++) {
            const made_item_t *item = &self->items[self->cluster.plan.rows[i]];
            assert_true(self->cluster.strength[i] > 0.9f && self->cluster.strength[i] <= 1);
            for (uint32_t j = 0; j < i; j++) {
                const made_item_t *other = &self->items[self->cluster.plan.rows[j]];
                int near = dist2_best()->one(item->vector, other->vector, MADE_DIMENSION) < 0.5f;
                assert_int_equal(self->cluster.label[i] == self->cluster.label[j], near);
            }
        }
    }
}

static void centres_without_members_stay_where_they_are(void **state)
{
    fixture_t *self = *state;
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.k = 5;
    made_items(&(random_t){1}, self->items, 60, 2, 0); /* two points, thirty times each */
    made_write(&self->folder, LEVEL_EVENTS, self->items, 60, NULL);
    for (int metric = 0; metric < 2; metric++) {
        self->spec.metric = (metric_t)metric;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 2);
        for (uint32_t i = 0; i < 60; i++)
            assert_true(self->cluster.strength[i] > 0.999f);
    }
}

/* Equal points have one centre. With more, the one that has them is scaled to unit length, away from
 * them, and each step would move them all to the next of those that still equal them. */
static void more_centres_than_points_converge_at_once(void **state)
{
    fixture_t *self = *state;
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.k = 50;
    self->spec.tolerance = 0;
    made_items(&(random_t){1}, self->items, 60, 3, 0); /* three points, twenty times each */
    for (uint32_t i = 0; i < 60 * MADE_DIMENSION; i++)
        self->items[i / MADE_DIMENSION].vector[i % MADE_DIMENSION] *= 1.0003f;
    made_write(&self->folder, LEVEL_EVENTS, self->items, 60, NULL);
    for (int init = 0; init < 2; init++) {
        self->spec.init = (seeding_t)init;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 3);
        assert_true(reported(self, "iterations") <= 3);
    }
}

static double inertia_of(const fixture_t *self)
{
    json_t *report = json_loads(self->cluster.report, 0, NULL);
    double inertia = json_real_value(json_object_get(report, "inertia"));
    json_decref(report);
    return inertia;
}

/* Seeds are seed, seed + 1, ...; the best of three runs is the best of three jobs. */
static void of_several_runs_the_best_is_kept(void **state)
{
    fixture_t *self = *state;
    double best = INFINITY, worst = 0;
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.init = SEEDING_RANDOM;
    self->spec.k = 9;
    make(self, 600, 9, 0.3, NULL);
    json_int_t iterations = 0;
    for (self->spec.seed = 5; self->spec.seed < 8; self->spec.seed++) {
        assert_int_equal(run(self), OK);
        double inertia = inertia_of(self);
        best = inertia < best ? inertia : best;
        worst = inertia > worst ? inertia : worst;
        iterations += reported(self, "iterations");
    }
    assert_true(best < worst);
    self->spec.seed = 5;
    self->spec.n_init = 3;
    assert_int_equal(run(self), OK);
    assert_true(inertia_of(self) == best);
    assert_int_equal(reported(self, "iterations"), iterations);
    assert_int_equal(reported(self, "runs"), 3);
    assert_int_equal(self->cluster.kinds[TASK_SEED], 3);
}

static void more_steps_never_raise_the_inertia(void **state)
{
    fixture_t *self = *state;
    double before = INFINITY, first = 0;
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.metric = METRIC_EUCLIDEAN;
    self->spec.k = 12;
    self->spec.tolerance = 0;
    make(self, 600, 9, 0.8, NULL);
    for (uint32_t steps = 1; steps <= 30; steps += 1 + steps) {
        self->spec.max_iterations = steps;
        assert_int_equal(run(self), OK);
        json_t *report = json_loads(self->cluster.report, 0, NULL);
        double inertia = json_real_value(json_object_get(report, "inertia"));
        assert_true(inertia <= before * (1 + 1e-6));
        assert_true(json_integer_value(json_object_get(report, "iterations")) <= steps);
        first = steps == 1 ? inertia : first;
        before = inertia;
        json_decref(report);
    }
    assert_true(before < first);
}

static void k_is_clamped_in_each_partition(void **state)
{
    fixture_t *self = *state;
    random_t random = {14};
    made_items(&random, self->items, 40, 8, 0.1);
    for (uint32_t i = 0; i < 40; i++)
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata, "\"domain\":\"%s\"",
                 i < 3 ? "small" : "large");
    made_write(&self->folder, LEVEL_EVENTS, self->items, 40, NULL);
    self->spec.partition_by = PARTITION_DOMAIN;
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.k = 5;
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.cluster_count, 8);
    assert_int_equal(plan_partition_size(&self->cluster.plan, 1), 3);
    assert_int_equal(self->cluster.label[37] + self->cluster.label[38] + self->cluster.label[39],
                     5 + 6 + 7);
}

/* ---- what may be wrong ---- */

static void spoil(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    const sha256_t *const *spoilt = cluster->hook_context;
    if (stage->kind == *(const task_kind_t *)spoilt[0])
        results[stage->task_count - 1] = *spoilt[1];
}

/* A result that is not there, and one that is something else: the task is named. */
static void a_result_that_cannot_be_used_names_its_task(void **state)
{
    fixture_t *self = *state;
    sha256_t absent = sha256_of("absent", 6);
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++) {
        task_kind_t wanted = (task_kind_t)kind;
        const void *context[] = {&wanted, &absent};
        if (wanted == TASK_ROTATE || wanted == TASK_ENCODE || wanted == TASK_NEAR ||
            wanted == TASK_PROBE || wanted == TASK_VERIFY)
            continue; /* too few rows for codes: test_coding.c, test_probing.c */
        int kmeans = kind == TASK_SEED || kind == TASK_ASSIGN;
        self->spec.algorithm = kmeans                   ? ALGORITHM_KMEANS
                               : wanted == TASK_LINKAGE ? ALGORITHM_AGGLOMERATIVE
                               : wanted == TASK_PAIRS   ? ALGORITHM_PAIRS
                                                        : ALGORITHM_HDBSCAN;
        self->spec.quality = wanted == TASK_SILHOUETTE ? QUALITY_SILHOUETTE
                             : wanted == TASK_DENSITY || wanted == TASK_SEPARATION ? QUALITY_DBCV
                                                                                   : 0;
        self->spec.min_weight = 0.8;
        self->spec.k = 4;
        self->spec.n_clusters = 4;
        make(self, 300, 4, 0.01, NULL);
        inline_cluster_t *cluster = &self->cluster;
        if (cluster->spool != NULL)
            inline_cluster_clear(cluster);
        cluster->hook = spoil;
        cluster->hook_context = context;
        self->error = (error_t)ERROR_INIT;
        assert_int_equal(inline_cluster_run(cluster, &self->spec, self->folder.path, &self->error),
                         ERR_NOT_FOUND);
        assert_int_equal(strncmp(self->error.field, "task:", 5), 0);
    }
}

/* Each column of a knn, edges, seeds or assign result, one value of it at a time made wrong. */
static void bend(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    const char *const *bent = cluster->hook_context;
    uint8_t *bytes = NULL;
    size_t length, count;
    columns_t *columns = NULL;
    const void *values = NULL;
    if (strcmp(task_kind_name(stage->kind), bent[0]) != 0)
        return;
    assert_int_equal(spool_get(cluster->spool, INLINE_JOB, &results[0], &bytes, &length, NULL), OK);
    assert_int_equal(columns_open(bytes, length, bent[1], &columns, NULL), OK);
    column_type_t type = bent[3][0] == 'f'   ? COLUMN_F32
                         : bent[3][0] == 'd' ? COLUMN_F64
                                             : COLUMN_U32;
    assert_int_equal(columns_get(columns, bent[2], type, SIZE_MAX, &values, &count, NULL), OK);
    assert_true(count > 0);
    uint32_t wrong = type == COLUMN_F32 ? 0xbf800000u /* -1 */ : 0x7fffffffu;
    double wrong_too = -2;
    memcpy(bytes + ((const uint8_t *)values - bytes),
           type == COLUMN_F64 ? (void *)&wrong_too : (void *)&wrong,
           type == COLUMN_F64 ? sizeof wrong_too : sizeof wrong);
    columns_close(&columns);
    assert_int_equal(spool_put(cluster->spool, INLINE_JOB, bytes, length, &results[0], NULL), OK);
    free(bytes);
}

static void a_result_that_makes_no_sense_names_its_task(void **state)
{
    fixture_t *self = *state;
    static const char *const BENT[][4] = {
        {"knn", "knn", "neighbour", "u"},
        {"knn", "knn", "d2", "f"},
        {"reach", "edges", "a", "u"},
        {"reach", "edges", "b", "u"},
        {"reach", "edges", "weight", "f"},
        {"seed", "seeds", "centre_slot", "u"},
        {"assign", "assign", "label", "u"},
        {"assign", "assign", "d2", "f"},
        {"assign", "assign", "touched", "u"},
        {"linkage", "merges", "a", "u"},
        {"linkage", "merges", "b", "u"},
        {"linkage", "merges", "merge_begin", "u"},
        {"silhouette", "silhouette", "own", "d"},
        {"silhouette", "silhouette", "other", "d"},
        {"density", "density", "core", "f"},
        {"density", "density", "sparseness", "f"},
        {"separation", "edges", "a", "u"},
        {"separation", "edges", "b", "u"},
        {"separation", "edges", "weight", "f"},
    };
    for (size_t i = 0; i < sizeof BENT / sizeof *BENT; i++) {
        int kmeans = BENT[i][0][0] == 's' || BENT[i][0][0] == 'a';
        self->spec.quality = QUALITY_SILHOUETTE | QUALITY_DBCV;
        self->spec.algorithm = kmeans                 ? ALGORITHM_KMEANS
                               : BENT[i][0][0] == 'l' ? ALGORITHM_AGGLOMERATIVE
                                                      : ALGORITHM_HDBSCAN;
        self->spec.k = 4;
        self->spec.n_clusters = 4;
        make(self, 300, 4, 0.01, NULL);
        inline_cluster_t *cluster = &self->cluster;
        if (cluster->spool != NULL)
            inline_cluster_clear(cluster);
        cluster->hook = bend;
        cluster->hook_context = (void *)(uintptr_t)BENT[i];
        self->error = (error_t)ERROR_INIT;
        assert_int_equal(inline_cluster_run(cluster, &self->spec, self->folder.path, &self->error),
                         ERR_NOT_FOUND);
        assert_string_equal(self->error.field, "task:0");
    }
}

static void a_lost_state_is_ours_and_blames_no_task(void **state)
{
    fixture_t *self = *state;
    make(self, 60, 3, 0.1, NULL);
    assert_int_equal(run(self), OK);
    sha256_t absent = sha256_of("absent", 6);
    advance_input_t input = {.job_id = INLINE_JOB,
                             .spec = &self->spec,
                             .indices_folder = self->folder.path,
                             .spool = self->cluster.spool,
                             .stage_sha = absent,
                             .state_sha = absent};
    advance_output_t out;
    assert_int_equal(advance(&input, &out, &self->error), ERR_NOT_FOUND);
    assert_string_equal(self->error.field, SPOOL_PAYLOAD);
    atomic_int stop = 1;
    input.stop = &stop;
    input.first = 1;
    assert_int_equal(advance(&input, &out, &self->error), ERR_CANCELLED);
}

/* Rewrites the index after the seeds were drawn from it. */
static void change_index(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    fixture_t *self = cluster->hook_context;
    (void)results;
    if (stage->kind == TASK_SEED) {
        random_t random = {99};
        made_items(&random, self->items, 60, 3, 0.1);
        made_write(&self->folder, LEVEL_EVENTS, self->items, 60, NULL);
    }
}

static void an_index_that_changed_between_steps_is_said(void **state)
{
    fixture_t *self = *state;
    make(self, 60, 3, 0.1, NULL);
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.k = 2;
    self->cluster.repeat = 0;
    self->cluster.hook = change_index;
    self->cluster.hook_context = self;
    assert_int_equal(
        inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error),
        ERR_CHANGED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_job_gives_what_all_pairs_give),
        TEST(groups_larger_than_the_lists_are_joined_by_searches),
        TEST(windows_and_partitions_bound_who_meets),
        TEST(permuted_rows_permute_the_labels_and_change_nothing_else),
        TEST(partitions_too_small_for_a_cluster_need_no_task),
        TEST(hostile_geometry_comes_out_whole),
        TEST(kmeans_finds_groups_and_converges),
        TEST(more_centres_than_points_converge_at_once),
        TEST(of_several_runs_the_best_is_kept),
        TEST(centres_without_members_stay_where_they_are),
        TEST(more_steps_never_raise_the_inertia),
        TEST(k_is_clamped_in_each_partition),
        TEST(a_result_that_cannot_be_used_names_its_task),
        TEST(a_result_that_makes_no_sense_names_its_task),
        TEST(a_lost_state_is_ours_and_blames_no_task),
        TEST(an_index_that_changed_between_steps_is_said),
    };
    return cmocka_run_group_tests_name("advance", tests, NULL, NULL);
}
