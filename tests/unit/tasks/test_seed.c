#include "naive.h"

#include "worker/tasks/random.h"

/* Runs the task and returns its centres; `count` is what there must be. */
static uint32_t *run_seed(fixture_t *fixture, uint32_t k, uint32_t seed, size_t count)
{
    size_t length;
    fixture->task.kind = TASK_SEED;
    fixture_param(fixture, "k", k);
    fixture_param(fixture, "seed", seed);
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "seeds");
    uint32_t *centres = malloc((count + 1) * sizeof *centres);
    memcpy(centres, fixture_column(columns, "centre_slot", COLUMN_U32, count),
           count * sizeof *centres);
    columns_close(&columns);
    free(payload);
    return centres;
}

static float naive_nearest(const fixture_t *fixture, uint32_t slot, const uint32_t *centres,
                           size_t count)
{
    float nearest = INFINITY;
    for (size_t c = 0; c < count; c++)
        nearest = fminf(nearest, naive_between(fixture, slot, centres[c]));
    return nearest;
}

/* k-means++ as documented, each step from scratch. */
static void naive_seed(const fixture_t *fixture, uint32_t partition, uint32_t k, uint32_t seed,
                       uint32_t *centres)
{
    uint32_t begin = fixture->begin[partition];
    uint32_t end = fixture->begin[partition + 1];
    random_t random = random_of(seed, partition);
    centres[0] = begin + (uint32_t)random_below(&random, end - begin);
    for (uint32_t c = 1; c < k; c++) {
        double total = 0;
        for (uint32_t slot = begin; slot < end; slot++)
            total += naive_nearest(fixture, slot, centres, c);
        double target = random_unit(&random) * total;
        double sum = 0;
        centres[c] = begin;
        while ((sum += naive_nearest(fixture, centres[c], centres, c)) <= target)
            centres[c]++;
    }
}

static void centres_are_those_of_the_naive_model(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 1200, 24, 3);
    fixture.partitions = 2;
    memcpy(fixture.begin, (uint32_t[]){0, 700, 1200}, 3 * sizeof(uint32_t));
    fixture_plan(&fixture);
    fixture_segment(&fixture, 1, 700, 1200);
    fixture_segment(&fixture, 0, 0, 700);
    uint32_t expected[12];
    naive_seed(&fixture, 1, 6, 42, expected);
    naive_seed(&fixture, 0, 6, 42, expected + 6);
    uint32_t *centres = run_seed(&fixture, 6, 42, 12);
    assert_memory_equal(centres, expected, sizeof expected);
    free(centres);
    fixture_clear(&fixture);
}

static void another_seed_gives_other_centres(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 800, 24, 3);
    fixture_segment(&fixture, 0, 0, 800);
    uint32_t *one = run_seed(&fixture, 8, 1, 8);
    uint32_t *two = run_seed(&fixture, 8, 2, 8);
    assert_memory_not_equal(one, two, 8 * sizeof *one);
    free(one);
    free(two);
    fixture_clear(&fixture);
}

static int is_among(uint32_t slot, const uint32_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == slot)
            return 1;
    }
    return 0;
}

/* Slots of 0, 1, 2, 0, 1, 2 ...: three distinct points. */
static void when_points_run_out_the_smallest_unused_slots_follow(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 30, 16, 3);
    memset(fixture.values, 0, 30 * 16 * sizeof(float));
    for (uint32_t slot = 0; slot < 30; slot++)
        fixture.values[slot * 16 + slot % 3] = 1;
    flat_index_close(&fixture.index);
    unlink(fixture.path);
    fixture_write_index(&fixture);
    fixture_open_index(&fixture, fixture.path);
    fixture_segment(&fixture, 0, 0, 30);
    uint32_t *centres = run_seed(&fixture, 9, 5, 9);
    int distinct = 0;
    for (size_t i = 0; i < 3; i++)
        distinct |= 1 << centres[i] % 3;
    assert_int_equal(distinct, 7);
    uint32_t next = 0;
    for (size_t i = 3; i < 9; i++, next++) {
        while (is_among(next, centres, 3))
            next++;
        assert_int_equal(centres[i], next);
    }
    free(centres);
    fixture_clear(&fixture);
}

static void no_more_centres_than_slots(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 12, 16, 3);
    fixture_segment(&fixture, 0, 0, 12);
    uint32_t *centres = run_seed(&fixture, 50, 5, 12);
    for (uint32_t slot = 0; slot < 12; slot++)
        assert_true(is_among(slot, centres, 12));
    free(centres);
    fixture_clear(&fixture);
}

/* 70,000 slots are more than a sample holds: the result is a draw from it, still all distinct. */
static void a_large_partition_is_sampled(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 70000, 2, 3);
    fixture_segment(&fixture, 0, 0, 70000);
    uint32_t *centres = run_seed(&fixture, 20, 5, 20);
    uint32_t *again = run_seed(&fixture, 20, 5, 20);
    assert_memory_equal(centres, again, 20 * sizeof *centres);
    for (size_t i = 0; i < 20; i++) {
        assert_true(centres[i] < 70000);
        assert_false(is_among(centres[i], centres, i));
    }
    free(centres);
    free(again);
    fixture_clear(&fixture);
}

/* 2,048 dimensions: 32,768 vectors would fill the memory that a sample may take. */
static void a_sample_that_does_not_fit_is_read_piece_by_piece(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 33000, 2048, 3);
    fixture_segment(&fixture, 0, 0, 33000);
    uint32_t expected[3];
    naive_seed(&fixture, 0, 3, 8, expected);
    uint32_t *centres = run_seed(&fixture, 3, 8, 3);
    assert_memory_equal(centres, expected, sizeof expected);
    free(centres);
    fixture_clear(&fixture);
}

/* 20,000 draws of 4 of 10 slots: each slot comes as often as every other, and never twice. */
static void random_seeds_are_slots_drawn_alike(void **state)
{
    (void)state;
    fixture_t fixture;
    uint32_t drawn[10] = {0};
    fixture_init(&fixture, 10, 16, 3);
    fixture_segment(&fixture, 0, 0, 10);
    fixture_param(&fixture, "uniform", 1);
    for (uint32_t seed = 0; seed < 20000; seed++) {
        uint32_t *centres = run_seed(&fixture, 4, seed, 4);
        for (size_t i = 0; i < 4; i++) {
            assert_true(centres[i] < 10 && (i == 0 || centres[i] > centres[i - 1]));
            drawn[centres[i]]++;
        }
        free(centres);
    }
    for (uint32_t slot = 0; slot < 10; slot++)
        assert_true(drawn[slot] > 7700 && drawn[slot] < 8300); /* 8,000, and 69 of deviation */
    fixture_clear(&fixture);
}

static void a_part_of_a_partition_and_unusable_parameters_are_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 100, 16, 3);
    fixture.task.kind = TASK_SEED;
    fixture_segment(&fixture, 0, 0, 99);
    fixture_param(&fixture, "k", 5);
    fixture_refused(&fixture); /* no seed */
    fixture_param(&fixture, "seed", 1);
    fixture_refused(&fixture); /* not the whole partition */
    fixture.segments[0].end = 100;
    fixture_param(&fixture, "k", 0);
    fixture_refused(&fixture);
    fixture_param(&fixture, "k", 2.5);
    fixture_refused(&fixture);
    fixture_param(&fixture, "k", NAN);
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(centres_are_those_of_the_naive_model),
        cmocka_unit_test(another_seed_gives_other_centres),
        cmocka_unit_test(when_points_run_out_the_smallest_unused_slots_follow),
        cmocka_unit_test(no_more_centres_than_slots),
        cmocka_unit_test(a_large_partition_is_sampled),
        cmocka_unit_test(a_sample_that_does_not_fit_is_read_piece_by_piece),
        cmocka_unit_test(random_seeds_are_slots_drawn_alike),
        cmocka_unit_test(a_part_of_a_partition_and_unusable_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
