/* Jobs that look for pairs, from index to groups, against all pairs of the canonical distances. */
#include "common/clock.h"
#include "common/dist2.h"
#include "coordinator/merge/pair_table.h"
#include "proto/pair_weight.h"
#include "tests/lib/inline_cluster.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <jansson.h>
#include <cmocka.h>

#define ITEMS 300

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
    self->spec.algorithm = ALGORITHM_PAIRS;
    self->spec.min_weight = 0.7;
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
    for (uint32_t i = 0; i < count; i++) {
        char date[64] = "";
        if (i % 13)
            snprintf(date, sizeof date, ",\"temporal_reference\":\"2015-09-%02u\"", 1 + i * 7 % 25);
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata, "\"domain\":\"%s\"%s",
                 i % 3 ? "environmental" : "made_up", date);
    }
    made_write(&self->folder, LEVEL_EVENTS, self->items, count, NULL);
}

static int run(fixture_t *self)
{
    if (self->cluster.spool != NULL)
        inline_cluster_clear(&self->cluster);
    self->cluster.repeat = 1;
    self->error = (error_t)ERROR_INIT;
    return inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error);
}

static json_int_t reported(const fixture_t *self, const char *key)
{
    json_t *report = json_loads(self->cluster.report, 0, NULL);
    json_t *value = json_object_get(report, key);
    json_int_t number = value ? json_integer_value(value) : -1;
    json_decref(report);
    return number;
}

static double decayed(const job_spec_t *spec, int32_t days)
{
    switch (spec->decay) {
    case DECAY_EXPONENTIAL:
        return exp(-days / spec->decay_days);
    case DECAY_HALF_LIFE:
        return pow(0.5, days / spec->decay_days);
    case DECAY_LINEAR:
        return fmax(0, 1 - days / spec->decay_days);
    default:
        return 1;
    }
}

/* Linear between the two weights on either side. */
static double tabled(const job_spec_t *spec, double similarity, int32_t days)
{
    const weight_table_t *table = &spec->weight_table;
    uint32_t row = 0, steps = table->columns - 1;
    while (row + 1 < table->rows && days >= (int32_t)((row + 1) * spec->weight_days))
        row++;
    const double *weight = table->value + row * table->columns;
    for (uint32_t i = 0; i < steps; i++)
        if (similarity < (double)(i + 1) / steps) {
            double part = fmax(0, similarity * steps - i);
            return weight[i] * (1 - part) + weight[i + 1] * part;
        }
    return weight[steps];
}

/* By the words of the documentation; -1 for those that may not meet. */
static double weight_of(const fixture_t *self, uint32_t p, uint32_t x, uint32_t y)
{
    const plan_t *plan = &self->cluster.plan;
    int32_t days = 0;
    if (plan->day && plan->day[x] != DAY_NONE)
        days = abs(plan->day[x] - plan->day[y]);
    if (self->spec.window_days >= 0 && plan->partition_window[p] >= 0 &&
        days > self->spec.window_days)
        return -1;
    float d2 = dist2_best()->one(self->items[plan->rows[x]].vector,
                                 self->items[plan->rows[y]].vector, MADE_DIMENSION);
    if (self->spec.weight_table.rows > 0)
        return tabled(&self->spec, 1 - (double)d2 / 2, days);
    return (1 - (double)d2 / 2) * decayed(&self->spec, days);
}

static json_int_t assert_as_all_pairs(const fixture_t *self)
{
    const plan_t *plan = &self->cluster.plan;
    json_int_t pairs = 0;
    double strongest[ITEMS] = {0};
    uint32_t home[ITEMS];
    for (uint32_t i = 0; i < plan->count; i++)
        home[i] = i;
    for (uint32_t p = 0; p < plan->partition_count; p++)
        for (uint32_t x = plan->partition_begin[p]; x < plan->partition_begin[p + 1]; x++)
            for (uint32_t y = x + 1; y < plan->partition_begin[p + 1]; y++) {
                double weight = weight_of(self, p, x, y);
                if (weight < self->spec.min_weight)
                    continue;
                pairs++;
                strongest[x] = fmax(strongest[x], weight);
                strongest[y] = fmax(strongest[y], weight);
                uint32_t from = home[y], to = home[x];
                for (uint32_t i = 0; i < plan->count; i++)
                    home[i] = home[i] == from ? to : home[i];
            }
    for (uint32_t i = 0; i < plan->count; i++) {
        assert_true(fabs(strongest[i] - (double)self->cluster.strength[i]) < 1e-6);
        assert_int_equal(self->cluster.label[i] < 0, strongest[i] == 0);
        for (uint32_t j = 0; j < i; j++)
            if (self->cluster.label[i] >= 0 && self->cluster.label[j] >= 0)
                assert_int_equal(self->cluster.label[i] == self->cluster.label[j],
                                 home[i] == home[j]);
    }
    assert_int_equal(reported(self, "pairs_found"), pairs);
    return pairs;
}

static void windows_partitions_and_decays_weigh_as_documented(void **state)
{
    fixture_t *self = *state;
    make(self, 200, 7, 0.4);
    json_int_t all = 0;
    for (int decay = DECAY_NONE; decay <= DECAY_LINEAR; decay++)
        for (int32_t window = -1; window <= 5; window += 6) {
            self->spec.decay = (decay_t)decay;
            self->spec.decay_days = decay ? 20 : -1;
            self->spec.window_days = window;
            self->spec.partition_by = window < 0 ? 0 : PARTITION_DOMAIN;
            assert_int_equal(run(self), OK);
            json_int_t pairs = assert_as_all_pairs(self);
            assert_true(pairs > 10 && (all == 0 || pairs < all));
            all = all == 0 ? pairs : all;
        }
}

static void a_table_of_ones_own_weighs_as_documented(void **state)
{
    static const struct {
        const char *table, *days;
        int32_t window; /* that is the job's own */
        double floor;
        int days_matter;
    } ROWS[] = {
        {"[[0,1]]", "1", -1, 0.5, 0}, /* the similarity itself */
        {"[[0,0.1,0.1,0.9,1]]", "1", -1, 0.35, 0},
        {"[[0,0,0.7,1],[0,0,0.4,0.8],[0,0,0,0.2]]", "10", -1, 0.45, 1},
        {"[[0,0,0.7,1],[0,0,0.4,0.8],[0,0,0.1,0.3]]", "7", 12, 0.25, 1},
        {"[[0.1,0.2,0.3],[0.25,0.3,0.3]]", "15", -1, 0.25, 1}, /* far ones always */
    };
    fixture_t *self = *state;
    make(self, 200, 7, 0.4);
    self->spec.min_weight = 0.5;
    assert_int_equal(run(self), OK);
    json_int_t plain = assert_as_all_pairs(self);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        self->spec.min_weight = ROWS[i].floor;
        self->spec.window_days = ROWS[i].window;
        assert_int_equal(job_spec_set_param(&self->spec, "weight_table", ROWS[i].table, NULL), OK);
        assert_int_equal(job_spec_set_param(&self->spec, "weight_days", ROWS[i].days, NULL), OK);
        assert_int_equal(run(self), OK);
        json_int_t pairs = assert_as_all_pairs(self);
        assert_true(i == 0 ? pairs == plain : pairs > 10);
        assert_int_equal(self->cluster.plan.day != NULL, ROWS[i].days_matter);
    }
}

static void floors_of_all_kinds(void **state)
{
    static const double FLOORS[] = {1, 0.999, 0.5, 0.0001};
    fixture_t *self = *state;
    for (uint32_t count = 1; count <= 40; count = count * 3 + 1) {
        for (size_t f = 0; f < sizeof FLOORS / sizeof *FLOORS; f++) {
            make(self, count, 3, 0.4);
            self->spec.min_weight = FLOORS[f];
            assert_int_equal(run(self), OK);
            assert_as_all_pairs(self);
        }
    }
    make(self, 30, 1, 0); /* all equal: every pair weighs 1 */
    self->spec.min_weight = 1;
    assert_int_equal(run(self), OK);
    assert_int_equal(assert_as_all_pairs(self), 435);
    assert_int_equal(self->cluster.cluster_count, 1);
}

/* Every row is in the sample here, so the estimate is the truth. */
static void too_many_pairs_are_foreseen_and_the_floor_that_would_do_is_named(void **state)
{
    fixture_t *self = *state;
    double floor = 0;
    make(self, ITEMS, 6, 0.9);
    assert_int_equal(run(self), OK);
    json_int_t pairs = assert_as_all_pairs(self);
    self->spec.max_pairs = (uint32_t)pairs;
    assert_int_equal(run(self), OK);
    assert_int_equal(reported(self, "pairs_expected"), pairs);
    assert_int_equal(self->cluster.kinds[TASK_PAIRS], 2);
    self->spec.max_pairs = (uint32_t)(pairs / 2);
    assert_int_equal(run(self), ERR_TOO_LARGE);
    assert_string_equal(self->error.field, "params.max_pairs");
    const char *words = strstr(self->error.message, "with min_weight ");
    assert_non_null(words);
    assert_int_equal(sscanf(words, "with min_weight %lf", &floor), 1);
    self->spec.min_weight = floor + 0.0005; /* it was rounded to three places */
    assert_int_equal(run(self), OK);
    assert_true(assert_as_all_pairs(self) <= (json_int_t)self->spec.max_pairs);
}

/* What the estimate lets pass is counted, to the last pair. */
static void one_pair_too_many_is_refused(void **state)
{
    fixture_t *self = *state;
    make(self, 100, 6, 0.9);
    assert_int_equal(run(self), OK);
    self->spec.max_pairs = (uint32_t)reported(self, "pairs_found") - 1;
    assert_int_equal(run(self), ERR_USAGE);
    assert_string_equal(self->error.field, "params.max_pairs");
}

static void bend(inline_cluster_t *cluster, const stage_t *stage, sha256_t *results)
{
    const char *const *bent = cluster->hook_context;
    uint8_t *bytes = NULL;
    size_t length, count;
    columns_t *columns = NULL;
    const void *values = NULL;
    if (stage->kind != TASK_PAIRS)
        return;
    assert_int_equal(spool_get(cluster->spool, INLINE_JOB, &results[0], &bytes, &length, NULL), OK);
    assert_int_equal(columns_open(bytes, length, "pairs", &columns, NULL), OK);
    column_type_t type = bent[0][0] == 'd' ? COLUMN_F32 : COLUMN_U32;
    assert_int_equal(columns_get(columns, bent[0], type, SIZE_MAX, &values, &count, NULL), OK);
    memset(bytes + ((const uint8_t *)values - bytes), 0xc0, 4); /* -6, or a large slot */
    columns_close(&columns);
    assert_int_equal(spool_put(cluster->spool, INLINE_JOB, bytes, length, &results[0], NULL), OK);
    free(bytes);
}

static void a_result_that_makes_no_sense_names_its_task(void **state)
{
    static const char *const COLUMNS[] = {"a", "b", "d2"};
    fixture_t *self = *state;
    make(self, 60, 3, 0.3);
    for (size_t i = 0; i < 3; i++) {
        self->cluster.hook = bend;
        self->cluster.hook_context = (void *)(uintptr_t)&COLUMNS[i];
        self->error = (error_t)ERROR_INIT;
        assert_int_equal(
            inline_cluster_run(&self->cluster, &self->spec, self->folder.path, &self->error),
            ERR_NOT_FOUND);
        assert_string_equal(self->error.field, "task:0");
        inline_cluster_clear(&self->cluster);
    }
}

static void a_table_ends_where_nothing_can_be_heavy_enough(void **state)
{
    job_spec_t spec;
    double *factor = NULL;
    pair_weight_t weight;
    (void)state;
    job_spec_init(&spec);
    spec.min_weight = 0.25;
    spec.window_days = 4;
    assert_int_equal(pair_table_make(&spec, &weight, &factor, NULL), OK);
    assert_int_equal(weight.count, 0);
    assert_int_equal(pair_table_window(&spec), 4);
    free(factor);
    spec.decay = DECAY_HALF_LIFE;
    spec.decay_days = 10;
    assert_int_equal(pair_table_make(&spec, &weight, &factor, NULL), OK);
    assert_int_equal(weight.count, 21); /* two half-lives: 20 days apart still weigh 0.25 */
    assert_true(factor[0] == 1 && factor[10] == 0.5 && factor[20] == 0.25);
    assert_int_equal(pair_table_window(&spec), 4);
    spec.window_days = -1;
    assert_int_equal(pair_table_window(&spec), 20);
    spec.window_days = 30;
    assert_int_equal(pair_table_window(&spec), 20);
    free(factor);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(windows_partitions_and_decays_weigh_as_documented),
        TEST(a_table_of_ones_own_weighs_as_documented),
        TEST(floors_of_all_kinds),
        TEST(too_many_pairs_are_foreseen_and_the_floor_that_would_do_is_named),
        TEST(one_pair_too_many_is_refused),
        TEST(a_result_that_makes_no_sense_names_its_task),
        TEST(a_table_ends_where_nothing_can_be_heavy_enough),
    };
    return cmocka_run_group_tests_name("pairs", tests, NULL, NULL);
}
