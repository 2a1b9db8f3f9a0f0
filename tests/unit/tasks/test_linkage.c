/* The linkage task: partitions and windows as the plan has them, distances as the metric has them. */
#include "naive.h"

#include "proto/job_spec.h"
#include "worker/tasks/nn_chain.h"

static void describe(fixture_t *fixture, linkage_method_t method, metric_t metric)
{
    fixture->task.kind = TASK_LINKAGE;
    fixture_param(fixture, "method", method);
    fixture_param(fixture, "metric", metric);
}

/* The chain over distances taken one by one; what it makes of them is test_nn_chain.c's business. */
static uint32_t expected_of(const fixture_t *fixture, const segment_t *segment,
                            linkage_method_t method, metric_t metric, merge_t *out)
{
    uint32_t count = segment->end - segment->begin, merges = 0;
    double *matrix = malloc((condensed_size(count) + 1) * sizeof *matrix);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i + 1; j < count; j++) {
            uint32_t a = segment->begin + i, b = segment->begin + j;
            float d2 = naive_between(fixture, a, b);
            double value = method == LINKAGE_AVERAGE ? metric_distance(metric, d2) : (double)d2;
            matrix[condensed_row(count, i) + j] = naive_pair(fixture, a, b) ? value : INFINITY;
        }
    assert_int_equal(nn_chain(matrix, count, method, NULL, out, &merges, NULL), OK);
    for (uint32_t m = 0; m < merges; m++) {
        double value = out[m].distance;
        if (method != LINKAGE_AVERAGE)
            out[m].distance = metric == METRIC_COSINE ? value / 2 : sqrt(value);
    }
    free(matrix);
    return merges;
}

static void check(fixture_t *fixture, linkage_method_t method, metric_t metric)
{
    size_t length, at = 0;
    describe(fixture, method, metric);
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "merges");
    const uint32_t *begin =
        fixture_column(columns, "merge_begin", COLUMN_U32, fixture->task.segment_count + 1);
    size_t total = begin[fixture->task.segment_count];
    const uint32_t *a = fixture_column(columns, "a", COLUMN_U32, total);
    const uint32_t *b = fixture_column(columns, "b", COLUMN_U32, total);
    const double *distance = fixture_column(columns, "distance", COLUMN_F64, total);
    merge_t *expected = malloc((fixture->slots + 1) * sizeof *expected);
    for (uint32_t s = 0; s < fixture->task.segment_count; s++) {
        const segment_t *segment = &fixture->segments[s];
        uint32_t count = expected_of(fixture, segment, method, metric, expected);
        assert_int_equal(begin[s], at);
        assert_int_equal(begin[s + 1], at + count);
        for (uint32_t m = 0; m < count; m++, at++) {
            assert_int_equal(a[at], expected[m].a + segment->begin);
            assert_int_equal(b[at], expected[m].b + segment->begin);
            assert_true(distance[at] == expected[m].distance);
        }
    }
    free(expected);
    columns_close(&columns);
    free(payload);
}

static void several_partitions_have_a_tree_each(void **state)
{
    fixture_t fixture;
    (void)state;
    fixture_init(&fixture, 333, 40, 3);
    fixture.partitions = 4;
    memcpy(fixture.begin, (uint32_t[]){0, 1, 3, 130, 333}, 5 * sizeof(uint32_t));
    fixture_plan(&fixture);
    for (uint32_t p = 0; p < 4; p++)
        fixture_segment(&fixture, p, fixture.begin[p], fixture.begin[p + 1]);
    for (int metric = 0; metric < 2; metric++) {
        check(&fixture, LINKAGE_AVERAGE, (metric_t)metric);
        check(&fixture, LINKAGE_COMPLETE, (metric_t)metric);
        check(&fixture, LINKAGE_WARD, (metric_t)metric);
    }
    fixture_days(&fixture, 2);
    check(&fixture, LINKAGE_AVERAGE, METRIC_COSINE);
    check(&fixture, LINKAGE_WARD, METRIC_EUCLIDEAN);
    fixture_clear(&fixture);
}

static void what_makes_no_sense_is_refused(void **state)
{
    fixture_t fixture;
    (void)state;
    fixture_init(&fixture, 20, 8, 4);
    fixture_segment(&fixture, 0, 0, 20);
    fixture.task.kind = TASK_LINKAGE;
    fixture_refused(&fixture);
    describe(&fixture, LINKAGE_SINGLE, METRIC_COSINE);
    fixture_refused(&fixture);
    fixture_param(&fixture, "method", 4);
    fixture_refused(&fixture);
    describe(&fixture, LINKAGE_WARD, METRIC_COSINE);
    fixture_param(&fixture, "metric", 0.5);
    fixture_refused(&fixture);
    describe(&fixture, LINKAGE_WARD, METRIC_COSINE);
    fixture.segments[0].end = 21;
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

static void a_stopped_task_gives_up(void **state)
{
    fixture_t fixture;
    uint8_t *payload = NULL;
    size_t length;
    (void)state;
    fixture_init(&fixture, 200, 16, 5);
    fixture_segment(&fixture, 0, 0, 200);
    describe(&fixture, LINKAGE_COMPLETE, METRIC_COSINE);
    atomic_store(&fixture.stop, 1);
    assert_int_equal(fixture_try(&fixture, &payload, &length, NULL), ERR_CANCELLED);
    assert_null(payload);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_partitions_have_a_tree_each),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_stopped_task_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
