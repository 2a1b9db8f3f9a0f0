/* All pairs over a floor: by products, by codes and by looking at every pair they are the same. */
#include "coded_fixture.h"
#include "naive.h"

#include "proto/pair_weight.h"

static void put_weight(fixture_t *self, double floor, const double *factor, size_t count)
{
    columns_writer_t *writer = columns_writer_new("weight");
    columns_put(writer, "floor", COLUMN_F64, &floor, 1);
    columns_put(writer, "factor", COLUMN_F64, factor, count);
    fixture_finish_input(self, "weight", writer);
}

static void ask(fixture_t *self, int counting, double limit)
{
    self->task.kind = TASK_PAIRS;
    fixture_param(self, "counting", counting);
    fixture_param(self, "limit", limit);
    self->task.input_count = self->input_count;
}

/* The codes' input under another name is as good as none. */
static void with_codes(fixture_t *self, int wanted)
{
    for (size_t i = 0; i < self->input_count; i++)
        if (!strcmp(self->inputs[i].name, "codes"))
            snprintf(self->task.inputs[i].name, sizeof self->task.inputs[i].name,
                     wanted ? "codes" : "unused");
}

static double naive_weight(const fixture_t *self, const pair_weight_t *weight, uint32_t a,
                           uint32_t b)
{
    int dated = self->day && self->window[naive_partition(self, a)] >= 0;
    return pair_weight(weight, naive_between(self, a, b), dated ? self->day[a] - self->day[b] : 0);
}

static size_t expect_pairs(fixture_t *self, const pair_weight_t *weight)
{
    size_t length, count = 0, at = 0;
    uint8_t *payload = fixture_run(self, &length);
    columns_t *columns = fixture_result(payload, length, "pairs");
    for (uint32_t a = 0; a < self->slots; a++)
        for (uint32_t b = a + 1; b < self->slots; b++)
            count += naive_pair(self, a, b) && naive_weight(self, weight, a, b) >= weight->floor;
    const uint32_t *a_slot = fixture_column(columns, "a", COLUMN_U32, count);
    const uint32_t *b_slot = fixture_column(columns, "b", COLUMN_U32, count);
    const float *d2 = fixture_column(columns, "d2", COLUMN_F32, count);
    for (uint32_t a = 0; a < self->slots; a++)
        for (uint32_t b = a + 1; b < self->slots; b++) {
            if (!naive_pair(self, a, b) || naive_weight(self, weight, a, b) < weight->floor)
                continue;
            assert_int_equal(a_slot[at], a);
            assert_int_equal(b_slot[at], b);
            assert_true(d2[at++] == naive_between(self, a, b));
        }
    columns_close(&columns);
    free(payload);
    return count;
}

static void expect_counts(fixture_t *self, const pair_weight_t *weight)
{
    size_t length;
    uint64_t expected[PAIR_BINS] = {0};
    uint8_t *payload = fixture_run(self, &length);
    columns_t *columns = fixture_result(payload, length, "pair_counts");
    const uint64_t *rows = fixture_column(columns, "rows", COLUMN_U64, 1);
    const uint64_t *bins = fixture_column(columns, "bin", COLUMN_U64, PAIR_BINS);
    for (uint32_t a = 0; a < self->slots; a++)
        for (uint32_t b = 0; b < self->slots; b++) {
            double w = a != b && naive_pair(self, a, b) ? naive_weight(self, weight, a, b) : -2;
            if (w >= weight->floor)
                expected[pair_bin(weight->floor, w)]++;
        }
    assert_int_equal(*rows, self->slots);
    assert_memory_equal(bins, expected, sizeof expected);
    columns_close(&columns);
    free(payload);
}

/* Both ways, pairs and counts. */
static size_t check(fixture_t *self, double floor, const double *factor, size_t factors)
{
    pair_weight_t weight = {.floor = floor, .count = factors, .factor = factor};
    size_t count = 0;
    put_weight(self, floor, factor, factors);
    every_partition(self);
    for (int coded = 0; coded < 2; coded++) {
        ask(self, 0, 1e9);
        with_codes(self, coded);
        count = expect_pairs(self, &weight);
        ask(self, 1, 1e9);
        with_codes(self, coded);
        expect_counts(self, &weight);
    }
    return count;
}

static void hostile_geometry_gives_every_pair(void **state)
{
    static const uint32_t SLOTS[] = {1, 2, 65, 130};
    static const double FLOORS[] = {1, 0.9, 0.5, 0.01};
    (void)state;
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t s = 0; s < sizeof SLOTS / sizeof *SLOTS; s++) {
            fixture_t fixture;
            made_init(&fixture, SHAPES[shape].fill, SLOTS[s], s % 2 ? 64 : 100);
            put_codes(&fixture);
            check(&fixture, FLOORS[(s + shape) % 4], NULL, 0);
            fixture_clear(&fixture);
        }
}

static void partitions_windows_and_decay_bound_who_pairs(void **state)
{
    static const double FACTORS[] = {1, 0.9, 0.8, 0.6, 0.5, 0.2};
    (void)state;
    for (int32_t window = -1; window <= 9; window += 5) {
        fixture_t fixture;
        made_init(&fixture, around_centres, 250, 128);
        fixture.partitions = 3;
        memcpy(fixture.begin, (uint32_t[]){0, 10, 100, 250}, 4 * sizeof(uint32_t));
        fixture_plan(&fixture);
        if (window >= 0)
            fixture_days(&fixture, window);
        put_codes(&fixture);
        assert_true(check(&fixture, 0.3, FACTORS, 6) > 100);
        assert_true(check(&fixture, 0.3, NULL, 0) > 100);
        fixture_clear(&fixture);
    }
}

static void a_real_set_gives_every_pair(void **state)
{
    fixture_t fixture;
    (void)state;
    fixture_init_file(&fixture, TEST_DATA "/wiki2015/events.index");
    put_codes(&fixture);
    size_t some = check(&fixture, 0.6, NULL, 0);
    assert_true(some > 10 && check(&fixture, 0.3, NULL, 0) > some);
    fixture_clear(&fixture);
}

/* Segments cut anywhere, in several blocks' worth of rows: together they are the whole. */
static void cut_segments_find_the_same(void **state)
{
    fixture_t fixture;
    pair_weight_t weight = {.floor = 0.4, .count = 0, .factor = NULL};
    (void)state;
    made_init(&fixture, around_centres, 333, 64);
    put_codes(&fixture);
    put_weight(&fixture, weight.floor, NULL, 0);
    ask(&fixture, 0, 1e9);
    fixture.task.segment_count = 0;
    for (uint32_t at = 0, width = 1; at < 333; at += width, width = width * 3 % 97) {
        uint32_t end = at + width < 333 ? at + width : 333;
        if (fixture.task.segment_count == 15)
            end = 333;
        fixture_segment(&fixture, 0, at, end);
        if (end == 333)
            break;
    }
    for (int coded = 0; coded < 2; coded++) {
        with_codes(&fixture, coded);
        assert_true(expect_pairs(&fixture, &weight) > 100);
    }
    fixture_clear(&fixture);
}

static void more_pairs_than_allowed_fail_the_job_in_words(void **state)
{
    fixture_t fixture;
    uint8_t *payload = NULL;
    size_t length;
    (void)state;
    made_init(&fixture, around_centres, 300, 64);
    put_codes(&fixture);
    size_t count = check(&fixture, 0.4, NULL, 0);
    for (int coded = 0; coded < 2; coded++) {
        error_t error = ERROR_INIT;
        ask(&fixture, 0, (double)count);
        with_codes(&fixture, coded);
        assert_int_equal(fixture_try(&fixture, &payload, &length, &error), OK);
        free(payload);
        ask(&fixture, 0, (double)count - 1);
        with_codes(&fixture, coded);
        assert_int_equal(fixture_try(&fixture, &payload, &length, &error), ERR_USAGE);
        assert_string_equal(error.field, "params.max_pairs");
    }
    fixture_clear(&fixture);
}

static void weights_that_make_no_sense_are_refused(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 20, 64);
    every_partition(&fixture);
    ask(&fixture, 0, 100);
    fixture_refused(&fixture);
    for (size_t i = 0; i < 3; i++) {
        put_weight(&fixture, (double[]){0, 1.5, NAN}[i], NULL, 0);
        ask(&fixture, 0, 100);
        fixture_refused(&fixture);
    }
    put_weight(&fixture, 0.5, (double[]){1, 1.5}, 2);
    ask(&fixture, 0, 100);
    fixture_refused(&fixture);
    put_weight(&fixture, 0.5, NULL, 0);
    ask(&fixture, 2, 100);
    fixture_refused(&fixture);
    ask(&fixture, 0, 0);
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_geometry_gives_every_pair),
        cmocka_unit_test(partitions_windows_and_decay_bound_who_pairs),
        cmocka_unit_test(a_real_set_gives_every_pair),
        cmocka_unit_test(cut_segments_find_the_same),
        cmocka_unit_test(more_pairs_than_allowed_fail_the_job_in_words),
        cmocka_unit_test(weights_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
