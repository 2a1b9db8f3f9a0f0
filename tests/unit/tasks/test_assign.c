#include "naive.h"

static void put_centres(fixture_t *fixture, const float *centre, const uint32_t *begin)
{
    columns_writer_t *writer = columns_writer_new("centres");
    columns_put(writer, "centre", COLUMN_F32, centre,
                (size_t)begin[fixture->partitions] * fixture->dimension);
    columns_put(writer, "centre_begin", COLUMN_U32, begin, fixture->partitions + 1);
    fixture_finish_input(fixture, "centres", writer);
}

static uint32_t naive_label(const fixture_t *fixture, uint32_t slot, const float *centres,
                            uint32_t count, float *d2)
{
    uint32_t best = 0;
    *d2 = INFINITY;
    for (uint32_t c = 0; c < count; c++) {
        float distance = naive_dist2(fixture->values + (size_t)slot * fixture->dimension,
                                     centres + (size_t)c * fixture->dimension, fixture->dimension);
        if (distance < *d2) {
            *d2 = distance;
            best = c;
        }
    }
    return best;
}

static void check_sums(const fixture_t *fixture, const columns_t *columns, const double *sum,
                       const uint32_t *count, uint32_t centres)
{
    uint32_t touched = 0;
    for (uint32_t c = 0; c < centres; c++)
        touched += count[c] > 0;
    const uint32_t *list = fixture_column(columns, "touched", COLUMN_U32, touched);
    const uint32_t *counts = fixture_column(columns, "count", COLUMN_U32, touched);
    const double *sums =
        fixture_column(columns, "sum", COLUMN_F64, (size_t)touched * fixture->dimension);
    for (uint32_t c = 0, t = 0; c < centres; c++) {
        if (!count[c])
            continue;
        assert_int_equal(list[t], c);
        assert_int_equal(counts[t], count[c]);
        assert_memory_equal(sums + (size_t)t * fixture->dimension,
                            sum + (size_t)c * fixture->dimension, fixture->dimension * sizeof *sum);
        t++;
    }
}

static void check_assign(fixture_t *fixture, const float *centre, const uint32_t *begin)
{
    size_t length;
    size_t slots = 0;
    uint32_t centres = begin[fixture->partitions];
    fixture->task.kind = TASK_ASSIGN;
    put_centres(fixture, centre, begin);
    for (uint32_t s = 0; s < fixture->task.segment_count; s++)
        slots += fixture->segments[s].end - fixture->segments[s].begin;
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "assign");
    const uint32_t *label = fixture_column(columns, "label", COLUMN_U32, slots);
    const float *d2 = fixture_column(columns, "d2", COLUMN_F32, slots);
    double *sum = calloc((size_t)centres * fixture->dimension, sizeof *sum);
    uint32_t *count = calloc(centres, sizeof *count);
    for (uint32_t s = 0; s < fixture->task.segment_count; s++) {
        const segment_t *segment = &fixture->segments[s];
        uint32_t first = begin[segment->partition];
        for (uint32_t slot = segment->begin; slot < segment->end; slot++, label++, d2++) {
            float expected;
            assert_int_equal(*label,
                             naive_label(fixture, slot, centre + (size_t)first * fixture->dimension,
                                         begin[segment->partition + 1] - first, &expected));
            assert_true(*d2 == expected);
            count[first + *label]++;
            for (uint32_t d = 0; d < fixture->dimension; d++)
                sum[(size_t)(first + *label) * fixture->dimension + d] +=
                    (double)fixture->values[(size_t)slot * fixture->dimension + d];
        }
    }
    check_sums(fixture, columns, sum, count, centres);
    free(sum);
    free(count);
    columns_close(&columns);
    free(payload);
}

static void labels_and_sums_are_those_of_the_naive_model(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 2500, 19, 4);
    fixture_segment(&fixture, 0, 0, 2300);
    const uint32_t begin[] = {0, 30};
    check_assign(&fixture, fixture.values + 50 * 19, begin);
    fixture_clear(&fixture);
}

/* Every second vector of the fixture has a copy: centres that are copies tie. */
static void ties_go_to_the_smaller_centre(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 900, 32, 9);
    for (uint32_t c = 350; c < 700; c++)
        memcpy(fixture.values + c * 32, fixture.values + (c - 350) * 32, 32 * sizeof(float));
    flat_index_close(&fixture.index);
    unlink(fixture.path);
    fixture_write_index(&fixture);
    fixture_open_index(&fixture, fixture.path);
    fixture_segment(&fixture, 0, 0, 900);
    const uint32_t begin[] = {0, 700}; /* the copies lie in another tile */
    check_assign(&fixture, fixture.values, begin);
    fixture_clear(&fixture);
}

static void each_partition_has_centres_of_its_own(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 600, 40, 12);
    fixture.partitions = 3;
    memcpy(fixture.begin, (uint32_t[]){0, 100, 110, 600}, 4 * sizeof(uint32_t));
    fixture_plan(&fixture);
    fixture_segment(&fixture, 2, 110, 600);
    fixture_segment(&fixture, 0, 20, 90);
    fixture_segment(&fixture, 1, 100, 110);
    const uint32_t begin[] = {0, 4, 5, 12};
    check_assign(&fixture, fixture.values + 300 * 40, begin);
    fixture_clear(&fixture);
}

static void unusable_centres_are_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 60, 16, 1);
    fixture.task.kind = TASK_ASSIGN;
    fixture_segment(&fixture, 0, 0, 60);
    fixture_refused(&fixture);
    put_centres(&fixture, fixture.values, (uint32_t[]){0, 0});
    fixture_refused(&fixture); /* none */
    put_centres(&fixture, fixture.values, (uint32_t[]){1, 3});
    fixture_refused(&fixture); /* the first is not 0 */
    columns_writer_t *writer = columns_writer_new("centres");
    columns_put(writer, "centre", COLUMN_F32, fixture.values, 31);
    columns_put(writer, "centre_begin", COLUMN_U32, (uint32_t[]){0, 2}, 2);
    fixture_finish_input(&fixture, "centres", writer);
    fixture_refused(&fixture); /* one number short */
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_and_sums_are_those_of_the_naive_model),
        cmocka_unit_test(ties_go_to_the_smaller_centre),
        cmocka_unit_test(each_partition_has_centres_of_its_own),
        cmocka_unit_test(unusable_centres_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
