/* Agglomerative jobs from index to labels, against joining the nearest two clusters again and again
 * by the definition of each linkage, on the canonical distances. */
#include "common/clock.h"
#include "common/dist2.h"
#include "tests/lib/inline_cluster.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ITEMS 48

typedef struct {
    test_folder_t folder;
    made_item_t items[ITEMS];
    job_spec_t spec;
    inline_cluster_t cluster;
    error_t error;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = MADE_DIMENSION;
    self->spec.algorithm = ALGORITHM_AGGLOMERATIVE;
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

static void make(fixture_t *self, uint32_t count, uint32_t groups, double spread)
{
    random_t random = {count + groups};
    made_items(&random, self->items, count, groups, spread);
    for (uint32_t i = 0; i < count; i++)
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata,
                 "\"domain\":\"%s\",\"temporal_reference\":\"2015-09-%02u\"",
                 i % 3 ? "environmental" : "made_up", 1 + i * 7 % 25);
    made_write(&self->folder, LEVEL_EVENTS, self->items, count, NULL);
}

static int run(fixture_t *self)
{
    uint64_t matrix_bytes = self->cluster.matrix_bytes;
    if (self->cluster.spool != NULL)
        inline_cluster_clear(&self->cluster);
    self->cluster.repeat = 1;
    self->cluster.matrix_bytes = matrix_bytes;
    self->error = (error_t)ERROR_INIT;
    return inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error);
}

/* ---- by definition ---- */

typedef struct {
    uint32_t first, count;
    float dist2[ITEMS][ITEMS]; /* INFINITY: over the window */
    uint32_t home[ITEMS];
    uint32_t clusters;
} greedy_t;

static void measure(const fixture_t *self, uint32_t p, greedy_t *out)
{
    const plan_t *plan = &self->cluster.plan;
    out->first = plan->partition_begin[p];
    out->count = out->clusters = plan_partition_size(plan, p);
    for (uint32_t i = 0; i < out->count; i++) {
        out->home[i] = i;
        for (uint32_t j = 0; j < out->count; j++) {
            uint32_t x = out->first + i, y = out->first + j;
            int apart = plan->partition_window[p] >= 0 &&
                        abs(plan->day[x] - plan->day[y]) > plan->partition_window[p];
            out->dist2[i][j] =
                apart ? INFINITY
                      : dist2_best()->one(self->items[plan->rows[x]].vector,
                                          self->items[plan->rows[y]].vector, MADE_DIMENSION);
        }
    }
}

static double between(const greedy_t *self, const job_spec_t *spec, uint32_t a, uint32_t b)
{
    double sum = 0, inside_a = 0, inside_b = 0, least = INFINITY, most = 0, size_a = 0, size_b = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        size_a += self->home[i] == a;
        size_b += self->home[i] == b;
        for (uint32_t j = 0; j < self->count; j++) {
            double d2 = (double)self->dist2[i][j];
            double distance =
                spec->linkage == LINKAGE_WARD ? d2 : metric_distance(spec->metric, (float)d2);
            if (job_spec_sparse(spec)) /* a pair that is not there weighs 0: the window too */
                distance = distance > 1 - spec->min_weight ? 1 : distance;
            if (self->home[i] == a && self->home[j] == b) {
                sum += distance;
                least = fmin(least, distance);
                most = fmax(most, distance);
            }
            inside_a += self->home[i] == a && self->home[j] == a ? distance / 2 : 0;
            inside_b += self->home[i] == b && self->home[j] == b ? distance / 2 : 0;
        }
    }
    if (spec->linkage == LINKAGE_AVERAGE)
        return sum / (size_a * size_b);
    if (spec->linkage != LINKAGE_WARD)
        return spec->linkage == LINKAGE_SINGLE ? least : most;
    double square = isinf(sum)
                        ? INFINITY
                        : 2 / (size_a + size_b) *
                              (sum - inside_a * size_b / size_a - inside_b * size_a / size_b);
    square = square > 0 ? square : 0;
    return spec->metric == METRIC_COSINE ? square / 2 : sqrt(square);
}

/* Joins until the job's cut. */
static void join_all(greedy_t *self, const job_spec_t *spec)
{
    for (;;) {
        double best = INFINITY;
        uint32_t best_a = 0, best_b = 0;
        for (uint32_t a = 0; a < self->count; a++)
            for (uint32_t b = a + 1; b < self->count && self->home[a] == a; b++) {
                double distance = self->home[b] == b ? between(self, spec, a, b) : INFINITY;
                if (distance < best) {
                    best = distance;
                    best_a = a;
                    best_b = b;
                }
            }
        if (job_spec_sparse(spec) && best >= 1 - 1e-12)
            return; /* nothing in common */
        int over =
            spec->n_clusters ? self->clusters <= spec->n_clusters : best > spec->distance_threshold;
        if (isinf(best) || over)
            return;
        for (uint32_t i = 0; i < self->count; i++)
            self->home[i] = self->home[i] == best_b ? best_a : self->home[i];
        self->clusters--;
    }
}

static void assert_as_defined(const fixture_t *self)
{
    greedy_t *greedy = calloc(1, sizeof *greedy);
    uint32_t clusters = 0;
    for (uint32_t p = 0; p < self->cluster.plan.partition_count; p++) {
        measure(self, p, greedy);
        join_all(greedy, &self->spec);
        clusters += greedy->clusters;
        const int32_t *label = self->cluster.label + greedy->first;
        for (uint32_t i = 0; i < greedy->count; i++)
            for (uint32_t j = 0; j < i; j++)
                assert_int_equal(label[i] == label[j], greedy->home[i] == greedy->home[j]);
    }
    assert_int_equal(self->cluster.cluster_count, clusters);
    free(greedy);
}

static void every_linkage_is_as_defined(void **state)
{
    fixture_t *self = *state;
    for (int metric = 0; metric < 2; metric++) {
        for (int linkage = 0; linkage <= LINKAGE_WARD; linkage++) {
            self->spec.metric = (metric_t)metric;
            self->spec.linkage = (linkage_method_t)linkage;
            make(self, 36, 6, 0.5);
            self->spec.n_clusters = 0;
            self->spec.distance_threshold = metric ? 0.6 : 0.15;
            assert_int_equal(run(self), OK);
            assert_true(self->cluster.cluster_count > 1 && self->cluster.cluster_count < 33);
            assert_as_defined(self);
            self->spec.n_clusters = 9;
            self->spec.distance_threshold = -1;
            assert_int_equal(run(self), OK);
            assert_int_equal(self->cluster.cluster_count, 9);
            assert_as_defined(self);
        }
    }
}

static void windows_and_partitions_bound_what_is_joined(void **state)
{
    fixture_t *self = *state;
    make(self, ITEMS, 4, 0.4);
    self->spec.partition_by = PARTITION_DOMAIN;
    self->spec.distance_threshold = 0.2;
    for (int linkage = 0; linkage <= LINKAGE_WARD; linkage++) {
        self->spec.linkage = (linkage_method_t)linkage;
        for (int32_t window = -1; window <= 9; window += 5) {
            self->spec.window_days = window;
            assert_int_equal(run(self), OK);
            assert_int_equal(self->cluster.plan.partition_count, 2);
            assert_as_defined(self);
        }
    }
}

/* 0 joins what is equal, a large number all that may meet. */
static void the_ends_of_the_threshold(void **state)
{
    fixture_t *self = *state;
    make(self, 40, 5, 0.3); /* every tenth repeats the one before */
    for (int linkage = 0; linkage <= LINKAGE_WARD; linkage++) {
        self->spec.linkage = (linkage_method_t)linkage;
        self->spec.distance_threshold = 0;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 36);
        self->spec.smallest_cluster = 2;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 4);
        for (uint32_t i = 0; i < 40; i++)
            assert_true(self->cluster.strength[i] == (self->cluster.label[i] < 0 ? 0 : 1));
        self->spec.smallest_cluster = 1;
        self->spec.distance_threshold = 1e9;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 1);
    }
}

static void sets_of_one_two_and_equal_items(void **state)
{
    fixture_t *self = *state;
    for (int linkage = 0; linkage <= LINKAGE_WARD; linkage++) {
        self->spec.linkage = (linkage_method_t)linkage;
        for (uint32_t count = 1; count <= 3; count++) {
            make(self, count, 3, 0.1);
            self->spec.n_clusters = 0;
            self->spec.distance_threshold = 0.01;
            assert_int_equal(run(self), OK);
            assert_int_equal(self->cluster.cluster_count, count);
            self->spec.n_clusters = 1;
            self->spec.distance_threshold = -1;
            assert_int_equal(run(self), OK);
            assert_int_equal(self->cluster.cluster_count, 1);
        }
        make(self, 40, 1, 0); /* all equal: joined in the order of their names */
        self->spec.n_clusters = 7;
        assert_int_equal(run(self), OK);
        assert_int_equal(self->cluster.cluster_count, 7);
        assert_as_defined(self);
    }
}

static void a_sparse_matrix_has_zeros_where_no_pair_is(void **state)
{
    static const double FLOORS[] = {0.01, 0.5, 0.7, 0.9, 1};
    fixture_t *self = *state;
    make(self, 40, 6, 0.5);
    for (size_t f = 0; f < sizeof FLOORS / sizeof *FLOORS; f++)
        for (int32_t window = -1; window <= 4; window += 5) {
            self->spec.min_weight = FLOORS[f];
            self->spec.window_days = window;
            self->spec.partition_by = window < 0 ? 0 : PARTITION_DOMAIN;
            self->spec.n_clusters = 0;
            self->spec.distance_threshold = 0.4;
            assert_int_equal(run(self), OK);
            assert_as_defined(self);
            self->spec.n_clusters = 3; /* what has nothing in common stays apart */
            self->spec.distance_threshold = -1;
            assert_int_equal(run(self), OK);
            assert_as_defined(self);
        }
}

static void sparse_pairs_too_many_for_memory_are_refused(void **state)
{
    fixture_t *self = *state;
    make(self, 40, 3, 0.1);
    self->spec.min_weight = 0.5;
    self->spec.distance_threshold = 0.4;
    self->spec.max_pairs = 20; /* by the estimate, which is exact here */
    assert_int_equal(run(self), ERR_TOO_LARGE);
    assert_string_equal(self->error.field, "params.max_pairs");
    self->spec.max_pairs = 1000000;
    self->cluster.matrix_bytes = 6000;
    assert_int_equal(run(self), ERR_TOO_LARGE);
    assert_string_equal(self->error.field, "params.min_weight");
    assert_non_null(strstr(self->error.message, "enough for 17 pairs"));
}

static void more_clusters_than_items_are_refused(void **state)
{
    fixture_t *self = *state;
    make(self, 10, 3, 0.1);
    self->spec.n_clusters = 11;
    assert_int_equal(run(self), ERR_USAGE);
    assert_string_equal(self->error.field, "params.n_clusters");
    assert_non_null(strstr(self->error.message, "n_clusters is 11, but only 10 items"));
    self->spec.partition_by = PARTITION_DOMAIN; /* each partition as many as it has */
    assert_int_equal(run(self), OK);
    assert_int_equal(self->cluster.cluster_count, 10);
}

/* The size that the refusal names does fit, and one more does not. */
static void a_partition_too_large_for_memory_is_refused_with_the_size_that_fits(void **state)
{
    fixture_t *self = *state;
    unsigned fits = 0;
    self->spec.distance_threshold = 0.1;
    make(self, 10, 3, 0.1);
    assert_int_equal(run(self), OK); /* opens a spool */
    advance_input_t input = {.job_id = INLINE_JOB,
                             .spec = &self->spec,
                             .indices_folder = self->folder.path,
                             .spool = self->cluster.spool,
                             .first = 1,
                             .matrix_bytes = 10000};
    advance_output_t out;
    make(self, ITEMS, 3, 0.1);
    assert_int_equal(advance(&input, &out, &self->error), ERR_TOO_LARGE);
    const char *words = strstr(self->error.message, "enough for ");
    assert_non_null(words);
    assert_int_equal(sscanf(words, "enough for %u items", &fits), 1);
    assert_true(fits > 1 && fits < ITEMS);
    assert_non_null(strstr(self->error.message, "linkage=single"));
    make(self, fits + 1, 3, 0.1);
    assert_int_equal(advance(&input, &out, &self->error), ERR_TOO_LARGE);
    make(self, fits, 3, 0.1);
    assert_int_equal(advance(&input, &out, &self->error), OK);
    make(self, ITEMS, 3, 0.1);
    self->spec.linkage = LINKAGE_SINGLE;
    assert_int_equal(advance(&input, &out, &self->error), OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_linkage_is_as_defined),
        TEST(windows_and_partitions_bound_what_is_joined),
        TEST(the_ends_of_the_threshold),
        TEST(sets_of_one_two_and_equal_items),
        TEST(a_sparse_matrix_has_zeros_where_no_pair_is),
        TEST(sparse_pairs_too_many_for_memory_are_refused),
        TEST(more_clusters_than_items_are_refused),
        TEST(a_partition_too_large_for_memory_is_refused_with_the_size_that_fits),
    };
    return cmocka_run_group_tests_name("agglomerative", tests, NULL, NULL);
}
