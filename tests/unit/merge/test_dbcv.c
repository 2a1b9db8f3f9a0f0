/* A whole job's density-based validity, against the paper's definition over all pairs. */
#include "common/dist2.h"
#include "tests/lib/inline_cluster.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <jansson.h>
#include <cmocka.h>

#define ITEM_LIMIT 400

typedef struct {
    test_folder_t folder;
    made_item_t *items;
    job_spec_t spec;
    inline_cluster_t cluster;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    self->items = calloc(ITEM_LIMIT, sizeof *self->items);
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = MADE_DIMENSION;
    self->spec.quality = QUALITY_DBCV;
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

/* The report's quality.dbcv; NULL when it has none. */
static json_t *run(fixture_t *self, uint32_t count, uint64_t matrix_bytes)
{
    error_t error = ERROR_INIT;
    if (self->cluster.spool != NULL)
        inline_cluster_clear(&self->cluster);
    made_write(&self->folder, self->spec.level, self->items, count, NULL);
    self->cluster.repeat = 1;
    self->cluster.matrix_bytes = matrix_bytes;
    if (inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &error) != OK)
        fail_msg("%s", error.message);
    json_t *report = json_loads(self->cluster.report, 0, NULL);
    json_t *found = json_incref(json_object_get(json_object_get(report, "quality"), "dbcv"));
    json_decref(report);
    return found;
}

/* ---- the definition ---- */

static double away(const fixture_t *self, uint32_t a, uint32_t b)
{
    const uint32_t *rows = self->cluster.plan.rows;
    const dist2_backend_t *backends;
    dist2_backends(&backends);
    return metric_distance(
        self->spec.metric,
        backends[0].one(self->items[rows[a]].vector, self->items[rows[b]].vector, MADE_DIMENSION));
}

static double reach(const fixture_t *self, const double *core, uint32_t a, uint32_t b)
{
    return fmax(away(self, a, b), fmax(core[a], core[b]));
}

static void measure_cores(const fixture_t *self, double *core)
{
    const int32_t *label = self->cluster.label;
    uint32_t count = self->cluster.plan.count;
    for (uint32_t i = 0; i < count; i++) {
        double sum = 0, others = 0;
        for (uint32_t j = 0; j < count; j++) {
            if (i == j || label[i] < 0 || label[j] != label[i])
                continue;
            others++;
            sum += away(self, i, j) > 0 ? pow(1 / away(self, i, j), MADE_DIMENSION) : 0;
        }
        core[i] = sum > 0 ? pow(sum / others, -1.0 / MADE_DIMENSION) : 0;
        /* as a canonical dist2, which is float32 */
        float square =
            (float)(self->spec.metric == METRIC_COSINE ? 2 * core[i] : core[i] * core[i]);
        core[i] = metric_distance(self->spec.metric, square);
    }
}

/* Sparseness of the cluster; which of its members are inner nodes. Edges in the order (weight, a,
 * b), by looking for the next one again and again. */
static double look_inside(const fixture_t *self, int32_t cluster, const double *core, int *inner)
{
    const int32_t *label = self->cluster.label;
    uint32_t count = self->cluster.plan.count, size = 0, edges = 0;
    uint32_t *group = malloc(count * sizeof *group), *degree = calloc(count, sizeof *degree);
    uint32_t(*edge)[2] = malloc(count * sizeof *edge);
    for (uint32_t i = 0; i < count; i++) {
        group[i] = i;
        size += label[i] == cluster;
    }
    while (edges + 1 < size) {
        uint32_t a = 0, b = 0;
        double least = INFINITY;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t j = i + 1; j < count && label[i] == cluster; j++)
                if (label[j] == cluster && group[i] != group[j] &&
                    reach(self, core, i, j) < least) {
                    least = reach(self, core, a = i, b = j);
                }
        uint32_t gone = group[b];
        for (uint32_t i = 0; i < count; i++)
            group[i] = group[i] == gone ? group[a] : group[i];
        edge[edges][0] = a;
        edge[edges++][1] = b;
        degree[a]++;
        degree[b]++;
    }
    double inside = -1, all = 0;
    for (uint32_t e = 0; e < edges; e++) {
        double weight = reach(self, core, edge[e][0], edge[e][1]);
        all = fmax(all, weight);
        if (degree[edge[e][0]] > 1 && degree[edge[e][1]] > 1)
            inside = fmax(inside, weight);
    }
    for (uint32_t i = 0; i < count; i++)
        if (label[i] == cluster)
            inner[i] = degree[i] > 1 || size == 2;
    free(group);
    free(degree);
    free(edge);
    return inside < 0 ? all : inside;
}

static double separation_of(const fixture_t *self, int32_t cluster, const double *core,
                            const int *inner)
{
    const int32_t *label = self->cluster.label;
    double least = INFINITY;
    for (uint32_t i = 0; i < self->cluster.plan.count; i++)
        for (uint32_t j = 0; j < self->cluster.plan.count; j++)
            if (label[i] == cluster && label[j] >= 0 && label[j] != cluster && inner[i] && inner[j])
                least = fmin(least, reach(self, core, i, j));
    return least;
}

static double defined(const fixture_t *self, uint32_t *measured)
{
    uint32_t count = self->cluster.plan.count;
    double *core = calloc(count, sizeof *core), *sparseness = calloc(count, sizeof *sparseness);
    int *inner = calloc(count, sizeof *inner);
    double sum = 0;
    *measured = 0;
    measure_cores(self, core);
    for (uint32_t c = 0; c < self->cluster.cluster_count; c++)
        sparseness[c] = look_inside(self, (int32_t)c, core, inner);
    for (uint32_t c = 0; c < self->cluster.cluster_count; c++) {
        double size = 0, apart = separation_of(self, (int32_t)c, core, inner);
        for (uint32_t i = 0; i < count; i++)
            size += self->cluster.label[i] == (int32_t)c;
        if (size < 2)
            continue;
        ++*measured;
        sum += size * (apart - sparseness[c]) / fmax(apart, sparseness[c]);
    }
    free(core);
    free(sparseness);
    free(inner);
    return sum / count;
}

static void assert_as_defined(fixture_t *self, uint32_t count)
{
    uint32_t measured;
    json_t *found = run(self, count, 0);
    assert_non_null(found);
    double expected = defined(self, &measured);
    assert_true(fabs(json_number_value(json_object_get(found, "mean")) - expected) < 1e-6);
    assert_int_equal(json_integer_value(json_object_get(found, "clusters")), measured);
    assert_int_equal(json_integer_value(json_object_get(found, "items")), count);
    assert_true(measured >= 2);
    json_decref(found);
}

/* ---- what is checked ---- */

static void it_is_that_of_the_definition(void **state)
{
    fixture_t *self = *state;
    random_t random = {5};
    made_items(&random, self->items, 160, 5, 1.4);
    for (int metric = 0; metric < 2; metric++) {
        self->spec.metric = (metric_t)metric;
        self->spec.algorithm = ALGORITHM_HDBSCAN;
        assert_as_defined(self, 160);
        self->spec.algorithm = ALGORITHM_KMEANS;
        self->spec.k = 7;
        assert_as_defined(self, 160);
        self->spec.algorithm = ALGORITHM_AGGLOMERATIVE; /* clusters of one and of two */
        self->spec.n_clusters = 60;
        assert_as_defined(self, 160);
    }
}

/* What a partition or a window keeps apart is as near as it is. */
static void clusters_of_all_partitions_and_days_are_compared(void **state)
{
    fixture_t *self = *state;
    random_t random = {6};
    made_items(&random, self->items, 120, 4, 1.2);
    for (uint32_t i = 0; i < 120; i++)
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata,
                 "\"domain\":\"%s\",\"temporal_reference\":\"2015-09-%02u\"",
                 i % 2 ? "military" : "economic", 1 + i % 28);
    self->spec.partition_by = PARTITION_DOMAIN;
    self->spec.window_days = 9;
    self->spec.min_cluster_size = 3;
    assert_as_defined(self, 120);
    assert_true(self->cluster.plan.partition_count > 1);
    assert_non_null(self->cluster.plan.day);
}

static void a_cluster_too_large_leaves_it_out_and_says_so(void **state)
{
    fixture_t *self = *state;
    random_t random = {7};
    made_items(&random, self->items, 200, 3, 0.2);
    json_t *found = run(self, 200, 4096);
    const char *words = json_string_value(json_object_get(found, "left_out"));
    assert_non_null(words);
    assert_non_null(strstr(words, "matrix_mib"));
    assert_null(json_object_get(found, "mean"));
    assert_true(self->cluster.cluster_count >= 2);
    json_decref(found);
}

static void one_cluster_has_none_and_who_does_not_ask_neither(void **state)
{
    fixture_t *self = *state;
    random_t random = {8};
    made_items(&random, self->items, 60, 3, 0.2);
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.k = 1;
    json_t *found = run(self, 60, 0);
    assert_non_null(strstr(json_string_value(json_object_get(found, "left_out")), "two clusters"));
    json_decref(found);
    self->spec.k = 3;
    self->spec.quality = 0;
    assert_null(run(self, 60, 0));
    assert_int_equal(self->cluster.kinds[TASK_DENSITY], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_that_of_the_definition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clusters_of_all_partitions_and_days_are_compared, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cluster_too_large_leaves_it_out_and_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_cluster_has_none_and_who_does_not_ask_neither, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
