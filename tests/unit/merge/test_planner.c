#include "coordinator/plan/planner.h"

#include "common/input/catalog.h"
#include "common/clock.h"
#include "unit/merge/made_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ITEMS 12

/* Twelve events: two domains under three names, some without a type or a date. */
static const char *const METADATA[ITEMS] = {
    "\"domain\":\"diplomatic\",\"event_type\":\"contact_meet\",\"temporal_reference\":\"2015-09-"
    "03\"",
    "\"domain\":\"diplomatic_relations\",\"event_type\":\"contact_meet\",\"temporal_reference\":"
    "\"2015-09-01\"",
    "\"domain\":\"environmental\",\"event_type\":\"storm\",\"temporal_reference\":\"2015-09-02\"",
    "\"domain\":\"environmental\",\"confidence\":0.5",
    "\"tags\":[\"AI\",\"law\"],\"word_count\":7,\"temporal_reference\":\"2015-09-02T23:59:59Z\"",
    "\"domain\":\"environmental\",\"word_count\":7.0,\"checked\":true,\"note\":null",
    "\"domain\":\"made_up\",\"temporal_reference\":\"2015-09-20\"",
    "\"domain\":\"diplomatic\",\"event_type\":\"protest\",\"temporal_reference\":\"2015-09-03\"",
    "\"domain\":\"diplomatic\",\"tags\":\"AI\"",
    "\"domain\":\"environmental\",\"event_type\":\"storm\",\"temporal_reference\":\"2015-09-01\"",
    "\"domain\":\"environmental\",\"checked\":false",
    "\"domain\":\"diplomatic\",\"event_type\":\"contact_meet\"",
};

typedef struct {
    test_folder_t folder;
    made_item_t items[ITEMS];
    job_spec_t spec;
    planned_t planned;
    error_t error;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    random_t random = {11};
    self->folder = folder_new();
    made_items(&random, self->items, ITEMS, 3, 0.3);
    for (uint32_t i = 0; i < ITEMS; i++) {
        snprintf(self->items[i].id, sizeof self->items[i].id, "id_%02u", (i * 5) % ITEMS);
        snprintf(self->items[i].metadata, sizeof self->items[i].metadata, "%s", METADATA[i]);
    }
    made_write(&self->folder, LEVEL_EVENTS, self->items, ITEMS, NULL);
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = MADE_DIMENSION;
    self->spec.min_cluster_size = 2;
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    planned_clear(&self->planned);
    job_spec_clear(&self->spec);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static int plan(fixture_t *self)
{
    planned_clear(&self->planned);
    self->error = (error_t)ERROR_INIT;
    return planner_run(&self->spec, self->folder.path, NULL, NULL, &self->planned, &self->error);
}

static void want(fixture_t *self, const char *key, const char *value)
{
    metadata_filter_t *filter = &self->spec.filter[self->spec.filter_count++];
    filter->key = strdup(key);
    filter->value = strdup(value);
}

static void assert_rows(const fixture_t *self, const uint32_t *rows, uint32_t count)
{
    assert_int_equal(self->planned.plan.count, count);
    for (uint32_t i = 0; i < count; i++) {
        int found = 0;
        for (uint32_t slot = 0; slot < count; slot++)
            found |= self->planned.plan.rows[slot] == rows[i];
        assert_true(found);
    }
}

static void slots_stand_in_the_order_of_the_ids(void **state)
{
    fixture_t *self = *state;
    uint32_t order[ITEMS];
    random_t random = {3};
    for (int round = 0; round < 5; round++) {
        made_shuffle(&random, order, ITEMS);
        made_write(&self->folder, LEVEL_EVENTS, self->items, ITEMS, order);
        assert_int_equal(plan(self), OK);
        const plan_t *made = &self->planned.plan;
        assert_int_equal(made->count, ITEMS);
        assert_int_equal(made->partition_count, 1);
        assert_string_equal(made->partition_name[0], "");
        for (uint32_t i = 0; i < ITEMS; i++)
            assert_int_equal(made->rows[(i * 5) % ITEMS], order[i]);
    }
}

static void partitions_go_by_the_long_domain_and_the_type(void **state)
{
    fixture_t *self = *state;
    self->spec.partition_by = PARTITION_DOMAIN | PARTITION_EVENT_TYPE;
    assert_int_equal(plan(self), OK);
    const plan_t *made = &self->planned.plan;
    static const char *const NAMES[] = {"domain=diplomatic_relations,event_type=contact_meet",
                                        "domain=diplomatic_relations,event_type=protest",
                                        "domain=diplomatic_relations,event_type=unknown",
                                        "domain=environmental,event_type=storm",
                                        "domain=environmental,event_type=unknown",
                                        "domain=made_up,event_type=unknown",
                                        "domain=unknown,event_type=unknown"};
    static const uint32_t SIZES[] = {3, 1, 1, 2, 3, 1, 1};
    assert_int_equal(made->partition_count, 7);
    for (uint32_t p = 0; p < 7; p++) {
        assert_string_equal(made->partition_name[p], NAMES[p]);
        assert_int_equal(plan_partition_size(made, p), SIZES[p]);
        assert_int_equal(made->partition_window[p], -1);
    }
}

static void undated_rows_of_a_window_stand_apart_without_one(void **state)
{
    fixture_t *self = *state;
    self->spec.window_days = 1;
    assert_int_equal(plan(self), OK);
    const plan_t *made = &self->planned.plan;
    assert_int_equal(made->partition_count, 2);
    assert_string_equal(made->partition_name[1], "undated");
    assert_int_equal(made->partition_window[0], 1);
    assert_int_equal(made->partition_window[1], -1);
    assert_int_equal(plan_partition_size(made, 1), 5);
    for (uint32_t i = 1; i < 7; i++)
        assert_true(made->day[i - 1] <= made->day[i]);
    assert_int_equal(made->day[11], DAY_NONE);
    assert_int_equal(json_integer_value(json_object_get(self->planned.report, "undated")), 5);
    /* Days 1 1 2 2 3 3 20: bands of 4, 4, 6, 6, 4, 4, 1. */
    assert_int_equal(plan_pairs(made, 0), 4 + 4 + 6 + 6 + 4 + 4 + 1);
    assert_int_equal(plan_pairs(made, 1), 25);
}

static void a_filter_matches_values_of_any_kind(void **state)
{
    fixture_t *self = *state;
    static const struct {
        const char *key, *value;
        uint32_t count, rows[6];
    } CASES[] = {
        {"domain", "\"diplomatic\"", 5, {0, 1, 7, 8, 11}},
        {"domain", "\"diplomatic_relations\"", 5, {0, 1, 7, 8, 11}},
        {"domain", "\"made_up\"", 1, {6}},
        {"event_type", "\"storm\"", 2, {2, 9}},
        {"tags", "\"AI\"", 2, {4, 8}},
        {"word_count", "7", 2, {4, 5}},
        {"checked", "true", 1, {5}},
        {"confidence", "0.5", 1, {3}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        job_spec_clear(&self->spec);
        job_spec_init(&self->spec);
        self->spec.level = LEVEL_EVENTS;
        self->spec.dimension = MADE_DIMENSION;
        self->spec.algorithm = ALGORITHM_KMEANS;
        self->spec.k = 1;
        want(self, CASES[i].key, CASES[i].value);
        assert_int_equal(plan(self), OK);
        assert_rows(self, CASES[i].rows, CASES[i].count);
    }
}

static void conditions_are_all_to_hold_and_null_means_absent(void **state)
{
    fixture_t *self = *state;
    want(self, "domain", "\"environmental\"");
    want(self, "event_type", "null");
    want(self, "confidence", "null");
    assert_int_equal(plan(self), OK);
    assert_rows(self, (uint32_t[]){5, 10}, 2);
}

static void dates_are_inclusive_and_leave_the_undated_out(void **state)
{
    fixture_t *self = *state;
    assert_true(time_parse("2015-09-02", 10, &self->spec.date_from_ms));
    assert_true(time_parse("2015-09-03", 10, &self->spec.date_to_ms));
    assert_int_equal(plan(self), OK);
    assert_rows(self, (uint32_t[]){0, 2, 4, 7}, 4);
}

static void what_cannot_be_clustered_is_said_with_its_numbers(void **state)
{
    fixture_t *self = *state;
    want(self, "domain", "\"nowhere\"");
    assert_int_equal(plan(self), ERR_INPUT);
    assert_non_null(strstr(self->error.message, "no items match"));
    job_spec_clear(&self->spec);
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_EVENTS;
    self->spec.dimension = MADE_DIMENSION;
    self->spec.min_cluster_size = 13;
    assert_int_equal(plan(self), ERR_USAGE);
    assert_string_equal(self->error.field, "params.min_cluster_size");
    assert_non_null(strstr(self->error.message, "12"));
    self->spec.min_cluster_size = 3;
    self->spec.min_samples = 13;
    assert_int_equal(plan(self), ERR_USAGE);
    assert_string_equal(self->error.field, "params.min_samples");
    self->spec.algorithm = ALGORITHM_KMEANS;
    self->spec.k = 13;
    assert_int_equal(plan(self), ERR_USAGE);
    assert_string_equal(self->error.field, "params.k");
    self->spec.partition_by = PARTITION_DOMAIN; /* clamped in each partition instead */
    assert_int_equal(plan(self), OK);
}

static void bad_rows_are_left_out_and_counted(void **state)
{
    fixture_t *self = *state;
    self->items[2].vector[0] = NAN;
    self->items[5].vector[1] += 0.5f;
    made_write(&self->folder, LEVEL_EVENTS, self->items, ITEMS, NULL);
    assert_int_equal(plan(self), ERR_INPUT);
    assert_non_null(strstr(self->error.message, "2 of 12"));
    assert_non_null(strstr(self->error.message, "row "));
    self->spec.max_bad_fraction = 0.2;
    assert_int_equal(plan(self), OK);
    assert_int_equal(self->planned.plan.count, 10);
    const json_t *counts = json_object_get(self->planned.report, "left_out");
    assert_int_equal(json_integer_value(json_object_get(counts, problem_name(PROBLEM_NOT_FINITE))),
                     1);
    assert_int_equal(json_integer_value(json_object_get(counts, problem_name(PROBLEM_NORM))), 1);
    const json_t *list = json_object_get(self->planned.report, "problems");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "row")), 2);
}

static void metadata_past_the_index_counts_as_lost(void **state)
{
    fixture_t *self = *state;
    char path[512];
    made_write_index(folder_path(&self->folder, "events.index", path), self->items, ITEMS - 3,
                     NULL);
    assert_int_equal(plan(self), ERR_INPUT);
    assert_non_null(strstr(self->error.message, "3 of 9"));
}

static void a_missing_file_is_not_found(void **state)
{
    fixture_t *self = *state;
    self->spec.level = LEVEL_DOCUMENTS;
    assert_int_equal(plan(self), ERR_NOT_FOUND);
    assert_int_equal(strncmp(self->error.field, "task:", 5) == 0, 0);
}

static void a_plan_survives_encoding_and_a_broken_one_is_refused(void **state)
{
    fixture_t *self = *state;
    uint8_t *bytes = NULL;
    size_t length;
    plan_t back;
    self->spec.partition_by = PARTITION_DOMAIN;
    self->spec.window_days = 3;
    assert_int_equal(plan(self), OK);
    plan_t *made = &self->planned.plan;
    assert_int_equal(plan_encode(made, &bytes, &length, NULL), OK);
    assert_int_equal(plan_decode(bytes, length, &back, NULL), OK);
    assert_int_equal(back.count, made->count);
    assert_memory_equal(back.rows, made->rows, made->count * sizeof *back.rows);
    assert_memory_equal(back.day, made->day, made->count * sizeof *back.day);
    assert_int_equal(back.partition_count, made->partition_count);
    for (uint32_t p = 0; p < back.partition_count; p++)
        assert_string_equal(back.partition_name[p], made->partition_name[p]);
    plan_clear(&back);
    free(bytes);
    made->partition_begin[1] = made->count + 1;
    assert_int_equal(plan_encode(made, &bytes, &length, NULL), OK);
    assert_int_equal(plan_decode(bytes, length, &back, NULL), ERR_PROTOCOL);
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(slots_stand_in_the_order_of_the_ids),
        TEST(partitions_go_by_the_long_domain_and_the_type),
        TEST(undated_rows_of_a_window_stand_apart_without_one),
        TEST(a_filter_matches_values_of_any_kind),
        TEST(conditions_are_all_to_hold_and_null_means_absent),
        TEST(dates_are_inclusive_and_leave_the_undated_out),
        TEST(what_cannot_be_clustered_is_said_with_its_numbers),
        TEST(bad_rows_are_left_out_and_counted),
        TEST(metadata_past_the_index_counts_as_lost),
        TEST(a_missing_file_is_not_found),
        TEST(a_plan_survives_encoding_and_a_broken_one_is_refused),
    };
    return cmocka_run_group_tests_name("planner", tests, NULL, NULL);
}
