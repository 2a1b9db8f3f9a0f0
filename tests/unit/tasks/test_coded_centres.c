/* Centres and seeds that are found by codes are those that are found without. */
#include "coded_fixture.h"

#include "worker/tasks/random.h"

static void put_centres(fixture_t *self, const float *centre, const uint32_t *begin)
{
    columns_writer_t *writer = columns_writer_new("centres");
    columns_put(writer, "centre", COLUMN_F32, centre,
                (size_t)begin[self->partitions] * self->dimension);
    columns_put(writer, "centre_begin", COLUMN_U32, begin, self->partitions + 1);
    fixture_finish_input(self, "centres", writer);
}

/* Means of a few rows each, some of them rows, some of them twice. */
static float *make_centres(const fixture_t *self, uint32_t centres, uint64_t seed)
{
    size_t dimension = self->dimension;
    uint64_t state = seed * 2 + 1;
    float *centre = malloc((size_t)centres * dimension * sizeof *centre);
    for (uint32_t c = 0; c < centres; c++) {
        uint32_t members = 1 + fixture_random(&state) % 4;
        if (c % 5 == 4) {
            memcpy(centre + c * dimension, centre + (c - 3) * dimension,
                   dimension * sizeof *centre);
            continue;
        }
        memset(centre + c * dimension, 0, dimension * sizeof *centre);
        for (uint32_t m = 0; m < members; m++) {
            const float *row =
                self->values + (size_t)(fixture_random(&state) % self->slots) * dimension;
            for (size_t d = 0; d < dimension; d++)
                centre[c * dimension + d] += row[d] / (float)members;
        }
    }
    return centre;
}

static void put_guesses(fixture_t *self, const uint32_t *begin, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    uint32_t *label = malloc((self->slots + 1) * sizeof *label);
    for (uint32_t p = 0; p < self->partitions; p++)
        for (uint32_t slot = self->begin[p]; slot < self->begin[p + 1]; slot++)
            label[slot] = fixture_random(&state) % (begin[p + 1] - begin[p]);
    columns_writer_t *writer = columns_writer_new("assigned");
    columns_put(writer, "label", COLUMN_U32, label, self->slots);
    fixture_finish_input(self, "assigned", writer);
    free(label);
}

static void rename_input(fixture_t *self, size_t input, const char *name)
{
    snprintf(self->task.inputs[input].name, sizeof self->task.inputs[input].name, "%s", name);
}

/* The inputs are plan, rotation, order, codes, centres, assigned: with codes and guesses, without
 * guesses, without codes. */
static void check_assign(fixture_t *self, const float *centre, const uint32_t *begin)
{
    uint8_t *payload[3];
    size_t length[3];
    put_centres(self, centre, begin);
    put_guesses(self, begin, begin[self->partitions]);
    every_partition(self);
    turn_to(self, TASK_ASSIGN, 6);
    payload[0] = fixture_run(self, &length[0]);
    rename_input(self, 5, "unused");
    payload[1] = fixture_run(self, &length[1]);
    rename_input(self, 3, "unused");
    payload[2] = fixture_run(self, &length[2]);
    rename_input(self, 3, "codes");
    rename_input(self, 5, "assigned");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(length[i], length[2]);
        assert_memory_equal(payload[i], payload[2], length[2]);
    }
    for (int i = 0; i < 3; i++)
        free(payload[i]);
}

static void check_centres(fixture_t *self, uint32_t centres, uint64_t seed)
{
    const uint32_t begin[] = {0, centres};
    float *centre = make_centres(self, centres, seed);
    check_assign(self, centre, begin);
    free(centre);
}

static void check_seeds(fixture_t *self, uint32_t k, uint32_t seed)
{
    size_t coded_length, plain_length;
    every_partition(self);
    turn_to(self, TASK_SEED, 4);
    fixture_param(self, "k", k);
    fixture_param(self, "seed", seed);
    uint8_t *coded = fixture_run(self, &coded_length);
    turn_to(self, TASK_SEED, 1);
    uint8_t *plain = fixture_run(self, &plain_length);
    assert_int_equal(coded_length, plain_length);
    assert_memory_equal(coded, plain, plain_length);
    free(coded);
    free(plain);
}

static void hostile_geometry_gives_the_plain_centres(void **state)
{
    static const uint32_t SLOTS[] = {1, 2, 63, 65, 400};
    static const uint32_t CENTRES[] = {1, 7, 64, 65, 130};
    (void)state;
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t s = 0; s < sizeof SLOTS / sizeof *SLOTS; s++) {
            fixture_t fixture;
            made_init(&fixture, SHAPES[shape].fill, SLOTS[s], s % 2 ? 64 : 100);
            print_message("%s, %u\n", SHAPES[shape].name, SLOTS[s]);
            put_codes(&fixture);
            check_centres(&fixture, CENTRES[(s + shape) % 5], s + shape);
            check_seeds(&fixture, 1 + SLOTS[s] / 3, (uint32_t)s);
            fixture_clear(&fixture);
        }
}

static void blocks_of_768_dimensions_give_the_plain_centres(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 4500, 768); /* three blocks */
    put_codes(&fixture);
    check_centres(&fixture, 150, 3);
    check_seeds(&fixture, 40, 9);
    fixture_clear(&fixture);
}

static void every_back_end_and_partition_gives_the_plain_centres(void **state)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    const uint32_t begin[] = {0, 3, 90, 100};
    (void)state;
    for (size_t b = 0; b < count; b++) {
        fixture_t fixture;
        made_init(&fixture, around_centres, 900, 192);
        fixture.partitions = 3;
        memcpy(fixture.begin, (uint32_t[]){0, 10, 500, 900}, 4 * sizeof(uint32_t));
        fixture_plan(&fixture);
        fixture_compute(&fixture, 1 + (uint32_t)b, &backends[b], b ? SCREEN_OWN : SCREEN_NONE);
        put_codes(&fixture);
        float *centre = make_centres(&fixture, 100, 8);
        check_assign(&fixture, centre, begin);
        check_seeds(&fixture, 12, 5);
        free(centre);
        fixture_clear(&fixture);
    }
}

/* Rows and centres whose codes claim nothing are measured. */
static void rows_and_centres_without_codes_are_measured(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 300, 64);
    put_codes(&fixture);
    columns_t *codes = fixture_result(fixture.inputs[3].bytes, fixture.inputs[3].length, "codes");
    float *head = (float *)(uintptr_t)fixture_column(codes, "residual_head", COLUMN_F32, 300);
    float *whole = (float *)(uintptr_t)fixture_column(codes, "residual", COLUMN_F32, 300);
    for (size_t place = 0; place < 300; place += 3)
        head[place] = whole[place] = place % 2 ? INFINITY : NAN;
    columns_close(&codes);
    float *centre = make_centres(&fixture, 80, 2);
    centre[5 * 64] = 1e16f; /* its norm is over what any bound is given for */
    check_assign(&fixture, centre, (const uint32_t[]){0, 80});
    check_seeds(&fixture, 30, 2);
    free(centre);
    fixture_clear(&fixture);
}

static void guesses_and_rotations_that_do_not_fit_are_refused(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 100, 64);
    put_codes(&fixture);
    put_centres(&fixture, fixture.values, (const uint32_t[]){0, 10});
    put_guesses(&fixture, (const uint32_t[]){0, 11}, 1); /* some are number 10 */
    every_partition(&fixture);
    turn_to(&fixture, TASK_ASSIGN, 6);
    fixture_refused(&fixture);
    turn_to(&fixture, TASK_ASSIGN, 5);
    rename_input(&fixture, 1, "unused");
    fixture_refused(&fixture);
    rename_input(&fixture, 1, "rotation");
    columns_t *rotation =
        fixture_result(fixture.inputs[1].bytes, fixture.inputs[1].length, "rotation");
    double *scale = (double *)(uintptr_t)fixture_column(rotation, "scale", COLUMN_F64, 1);
    columns_close(&rotation);
    *scale *= 2; /* codes of these centres would lie */
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_geometry_gives_the_plain_centres),
        cmocka_unit_test(blocks_of_768_dimensions_give_the_plain_centres),
        cmocka_unit_test(every_back_end_and_partition_gives_the_plain_centres),
        cmocka_unit_test(rows_and_centres_without_codes_are_measured),
        cmocka_unit_test(guesses_and_rotations_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
