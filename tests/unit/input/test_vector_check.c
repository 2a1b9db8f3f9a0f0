/* Rows that may not be clustered are found, wherever they stand, and no others. */
#include "common/input/vector_check.h"

#include "input_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void check(float *vectors, uint32_t rows, uint32_t dimension, uint8_t *states)
{
    test_folder_t folder = folder_new();
    char path[512];
    size_t length;
    flat_index_t *index;
    uint8_t *bytes = make_index("IxFI", (int32_t)dimension, rows, 0, vectors, &length);
    write_file(folder_path(&folder, "x.index", path), bytes, length);
    assert_int_equal(flat_index_open(path, dimension, &index, NULL), OK);
    assert_int_equal(vector_check(index, states, NULL), OK);
    flat_index_close(&index);
    free(bytes);
    folder_destroy(&folder);
}

static void the_sample_is_clean(void **state)
{
    flat_index_t *index;
    uint8_t states[428];
    (void)state;
    memset(states, 9, sizeof states);
    assert_int_equal(flat_index_open(TEST_DATA "/wiki2015/events.index", 768, &index, NULL), OK);
    assert_int_equal(vector_check(index, states, NULL), OK);
    for (size_t i = 0; i < sizeof states; i++)
        assert_int_equal(states[i], VECTOR_OK);
    flat_index_close(&index);
}

static void bad_rows_are_found_where_they_stand(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    random_t random = {12};
    (void)state;
    for (int round = 0; round < 40; round++) {
        uint32_t dimension = 1 + random_below(&random, 30), rows = 9000; /* over one chunk */
        dimension = round == 0 ? 768 : dimension;
        rows = round == 0 ? 900 : rows;
        float *vectors = make_vectors(&random, rows, dimension);
        uint8_t *states = malloc(rows);
        uint8_t *expected = calloc(rows, 1);
        for (int i = 0; i < 20; i++) {
            uint32_t row = random_below(&random, rows);
            if (expected[row] != VECTOR_OK)
                continue;
            float *vector = vectors + (size_t)row * dimension;
            expected[row] = (uint8_t)(1 + random_below(&random, 2));
            if (expected[row] == VECTOR_NOT_FINITE) {
                vector[random_below(&random, dimension)] = bad[random_below(&random, 3)];
            } else {
                float factor = random_below(&random, 2) ? 1.002f : 0.998f;
                for (uint32_t k = 0; k < dimension; k++)
                    vector[k] *= factor;
            }
        }
        check(vectors, rows, dimension, states);
        assert_memory_equal(states, expected, rows);
        free(vectors);
        free(states);
        free(expected);
    }
}

static void extreme_values_are_judged(void **state)
{
    float vectors[] = {0, 0, 3e38f, 3e38f, 1e-40f, 1, 0.6f, 0.8f, 1.0005f, 0};
    uint8_t states[5];
    static const uint8_t expected[] = {VECTOR_NORM, VECTOR_NORM, VECTOR_OK, VECTOR_OK, VECTOR_OK};
    (void)state;
    check(vectors, 5, 2, states);
    assert_memory_equal(states, expected, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_clean),
        cmocka_unit_test(bad_rows_are_found_where_they_stand),
        cmocka_unit_test(extreme_values_are_judged),
    };
    return cmocka_run_group_tests_name("vector_check", tests, NULL, NULL);
}
