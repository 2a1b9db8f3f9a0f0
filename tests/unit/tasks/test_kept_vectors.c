/* Vectors are read once, by whoever asks first, and are those of the file. */
#include "task_fixture.h"

#include "worker/compute/pool.h"

#define ROWS 300
#define DIMENSION 48

typedef struct {
    fixture_t fixture;
    kept_vectors_t *kept;
    atomic_int wrong;
} made_t;

static void make(made_t *self)
{
    uint64_t state = 3;
    memset(self, 0, sizeof *self);
    fixture_t *fixture = &self->fixture;
    fixture->slots = ROWS;
    fixture->dimension = DIMENSION;
    fixture->values = malloc((size_t)ROWS * DIMENSION * sizeof *fixture->values);
    fixture->rows = malloc(ROWS * sizeof *fixture->rows);
    for (uint32_t i = 0; i < ROWS; i++)
        fixture->rows[i] = i;
    for (size_t i = 0; i < (size_t)ROWS * DIMENSION; i++)
        fixture->values[i] = fixture_unit(&state);
    fixture_write_index(fixture);
    fixture_open_index(fixture, fixture->path);
}

/* The fixture's file has its slots from the last to the first. */
static const float *vector_of(const made_t *self, uint32_t row)
{
    return self->fixture.values + (size_t)(ROWS - 1 - row) * DIMENSION;
}

static void look(void *context, size_t item, uint32_t thread)
{
    made_t *self = context;
    uint32_t rows[] = {(uint32_t)(item * 7 % ROWS), (uint32_t)(item % ROWS), 5};
    const float *found[3];
    float room[3 * DIMENSION];
    (void)thread;
    int code = kept_vectors_find(self->kept, self->fixture.index, rows, 3, room, found, NULL);
    for (size_t i = 0; i < 3; i++)
        if (code || memcmp(found[i], vector_of(self, rows[i]), DIMENSION * sizeof(float)) != 0)
            atomic_fetch_add(&self->wrong, 1);
}

static void all_threads_find_the_vectors_of_the_file(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        made_t made;
        pool_t *pool;
        make(&made);
        made.kept = kept ? kept_vectors_new(made.fixture.index, SIZE_MAX) : NULL;
        assert_int_equal(pool_new(4, &pool, NULL), OK);
        pool_run(pool, 2000, look, &made);
        assert_int_equal(atomic_load(&made.wrong), 0);
        pool_destroy(&pool);
        kept_vectors_destroy(&made.kept);
        fixture_clear(&made.fixture);
    }
}

/* Those that are not kept come in the caller's room, each in its own place. */
static void of_an_index_over_the_limit_the_first_rows_are_kept(void **state)
{
    made_t made;
    const float *found[3];
    float room[3 * DIMENSION], copy[3 * DIMENSION];
    const uint32_t rows[] = {7, 6, ROWS - 1};
    (void)state;
    make(&made);
    assert_null(kept_vectors_new(made.fixture.index, DIMENSION * 4 - 1));
    made.kept = kept_vectors_new(made.fixture.index, (size_t)7 * DIMENSION * 4 + 5);
    assert_int_equal(kept_vectors_find(made.kept, made.fixture.index, rows, 3, room, found, NULL),
                     OK);
    assert_ptr_equal(found[0], room);
    assert_true(found[1] < room || found[1] >= room + 3 * DIMENSION);
    assert_ptr_equal(found[2], room + 2 * DIMENSION);
    assert_int_equal(kept_vectors_copy(made.kept, made.fixture.index, rows, 3, copy, NULL), OK);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(found[i], vector_of(&made, rows[i]), DIMENSION * sizeof(float));
        assert_memory_equal(copy + i * DIMENSION, found[i], DIMENSION * sizeof(float));
    }
    kept_vectors_destroy(&made.kept);
    fixture_clear(&made.fixture);
}

static void what_was_read_is_not_read_again_and_a_short_file_is_an_error(void **state)
{
    made_t made;
    const float *found;
    float copy[DIMENSION];
    uint32_t first = 0, last = ROWS - 1;
    (void)state;
    make(&made);
    flat_index_t *index = made.fixture.index;
    made.kept = kept_vectors_new(index, SIZE_MAX);
    assert_int_equal(kept_vectors_find(made.kept, index, &first, 1, NULL, &found, NULL), OK);
    assert_int_equal(truncate(made.fixture.path, 100), 0);
    assert_int_equal(kept_vectors_copy(made.kept, index, &first, 1, copy, NULL), OK);
    assert_memory_equal(copy, vector_of(&made, first), sizeof copy);
    for (int again = 0; again < 2; again++)
        assert_int_equal(kept_vectors_copy(made.kept, index, &last, 1, copy, NULL), ERR_CHANGED);
    kept_vectors_destroy(&made.kept);
    fixture_clear(&made.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_find_the_vectors_of_the_file),
        cmocka_unit_test(of_an_index_over_the_limit_the_first_rows_are_kept),
        cmocka_unit_test(what_was_read_is_not_read_again_and_a_short_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
