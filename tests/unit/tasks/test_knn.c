#include "naive.h"

/* Runs knn over the fixture's segments and compares every list with the naive one. */
static void check_knn(fixture_t *fixture, uint32_t k)
{
    size_t length;
    size_t slots = 0;
    fixture->task.kind = TASK_KNN;
    fixture_param(fixture, "k", k);
    for (uint32_t s = 0; s < fixture->task.segment_count; s++)
        slots += fixture->segments[s].end - fixture->segments[s].begin;
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "knn");
    const uint32_t *neighbour = fixture_column(columns, "neighbour", COLUMN_U32, slots * k);
    const float *d2 = fixture_column(columns, "d2", COLUMN_F32, slots * k);
    naive_neighbour_t *expected = malloc(fixture->slots * sizeof *expected);
    for (uint32_t s = 0; s < fixture->task.segment_count; s++) {
        const segment_t *segment = &fixture->segments[s];
        for (uint32_t slot = segment->begin; slot < segment->end; slot++) {
            size_t count = naive_neighbours(fixture, slot, expected);
            for (uint32_t i = 0; i < k; i++, neighbour++, d2++) {
                assert_int_equal(*neighbour, i < count ? expected[i].slot : SLOT_NONE);
                assert_true(*d2 == (i < count ? expected[i].d2 : INFINITY));
            }
        }
    }
    free(expected);
    columns_close(&columns);
    free(payload);
}

static void lists_are_those_of_the_naive_model(void **state)
{
    (void)state;
    const uint32_t dimensions[] = {1, 3, 16, 37, 100};
    for (size_t i = 0; i < 5; i++) {
        fixture_t fixture;
        fixture_init(&fixture, 700, dimensions[i], 5 + i);
        fixture_segment(&fixture, 0, 0, 700);
        check_knn(&fixture, 7);
        fixture_clear(&fixture);
    }
}

static void several_blocks_and_tiles_agree_with_it(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 2600, 18, 3);
    fixture_segment(&fixture, 0, 0, 2600);
    check_knn(&fixture, 4);
    fixture_clear(&fixture);
}

static void segments_of_several_partitions_stand_in_order(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 900, 20, 11);
    fixture.partitions = 4;
    memcpy(fixture.begin, (uint32_t[]){0, 1, 300, 300, 900}, 5 * sizeof(uint32_t));
    fixture_plan(&fixture);
    fixture_segment(&fixture, 3, 850, 900);
    fixture_segment(&fixture, 0, 0, 1);
    fixture_segment(&fixture, 2, 300, 300);
    fixture_segment(&fixture, 1, 1, 300);
    check_knn(&fixture, 5);
    fixture_clear(&fixture);
}

static void a_window_is_a_band_of_slots(void **state)
{
    (void)state;
    for (int32_t window = 0; window <= 40; window += 20) {
        fixture_t fixture;
        fixture_init(&fixture, 1500, 24, 17);
        fixture.partitions = 2;
        memcpy(fixture.begin, (uint32_t[]){0, 300, 1500}, 3 * sizeof(uint32_t));
        fixture_days(&fixture, window);
        fixture_segment(&fixture, 0, 0, 300);
        fixture_segment(&fixture, 1, 400, 1500);
        check_knn(&fixture, 6);
        fixture_clear(&fixture);
    }
}

static void a_list_longer_than_the_partition_is_padded(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 40, 16, 2);
    fixture_segment(&fixture, 0, 0, 40);
    check_knn(&fixture, 39);
    check_knn(&fixture, 64);
    fixture_clear(&fixture);
}

static void long_lists_cross_tiles(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 1300, 16, 23);
    fixture_segment(&fixture, 0, 100, 160);
    check_knn(&fixture, 600);
    fixture_clear(&fixture);
}

static void real_vectors_agree_with_the_naive_model(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init_file(&fixture, TEST_DATA "/wiki2015/entities.index");
    fixture_segment(&fixture, 0, 0, 150);
    fixture_segment(&fixture, 0, 1000, 1100);
    check_knn(&fixture, 15);
    fixture_clear(&fixture);
}

/* Rows that differ by less than the screen's margin: only the canonical distance tells them apart.
 */
static void neighbours_within_the_margin_are_told_apart(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 800, 768, 31);
    uint64_t random = 1;
    for (uint32_t slot = 1; slot < fixture.slots; slot++) {
        float *vector = fixture.values + (size_t)slot * fixture.dimension;
        memcpy(vector, fixture.values, fixture.dimension * sizeof *vector);
        for (int change = 0; change < 3; change++) {
            float *value = &vector[fixture_random(&random) % fixture.dimension];
            *value = nextafterf(*value, fixture_unit(&random));
        }
    }
    flat_index_close(&fixture.index);
    unlink(fixture.path);
    fixture_write_index(&fixture);
    fixture_open_index(&fixture, fixture.path);
    fixture_segment(&fixture, 0, 0, 200);
    check_knn(&fixture, 9);
    fixture_clear(&fixture);
}

/* Not what planning lets through, but the answer must not depend on it. */
static void vectors_of_any_length_give_the_same_lists(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 640, 33, 41);
    uint64_t random = 7;
    for (uint32_t slot = 0; slot < fixture.slots; slot++) {
        float scale = ldexpf(1, (int)(fixture_random(&random) % 120) - 60);
        for (uint32_t d = 0; d < fixture.dimension; d++)
            fixture.values[(size_t)slot * fixture.dimension + d] *= scale;
    }
    flat_index_close(&fixture.index);
    unlink(fixture.path);
    fixture_write_index(&fixture);
    fixture_open_index(&fixture, fixture.path);
    fixture_segment(&fixture, 0, 0, 640);
    check_knn(&fixture, 12);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_those_of_the_naive_model),
        cmocka_unit_test(several_blocks_and_tiles_agree_with_it),
        cmocka_unit_test(segments_of_several_partitions_stand_in_order),
        cmocka_unit_test(a_window_is_a_band_of_slots),
        cmocka_unit_test(a_list_longer_than_the_partition_is_padded),
        cmocka_unit_test(long_lists_cross_tiles),
        cmocka_unit_test(real_vectors_agree_with_the_naive_model),
        cmocka_unit_test(neighbours_within_the_margin_are_told_apart),
        cmocka_unit_test(vectors_of_any_length_give_the_same_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
