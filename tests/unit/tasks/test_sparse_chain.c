/* Average linkage over a sparse matrix is dense average linkage over the same matrix with the
 * missing pairs at weight 0, as far as anything is joined below distance 1. */
#include "worker/tasks/sparse_chain.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 120

typedef struct {
    uint32_t count;
    size_t pair_count;
    sparse_pair_t pair[ROWS * ROWS];
    double dense[ROWS * ROWS];
} matrix_t;

/* Weights of `steps` steps, so few that sums are exact both ways and ties are the rule. */
static void make(matrix_t *self, uint32_t count, uint32_t percent, uint32_t steps, random_t *random)
{
    self->count = count;
    self->pair_count = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i + 1; j < count; j++) {
            uint32_t step = 1 + random_below(random, steps);
            int there = random_below(random, 100) < percent;
            if (there)
                self->pair[self->pair_count++] =
                    (sparse_pair_t){i, j, (uint64_t)step * (SPARSE_ONE / steps)};
            self->dense[condensed_row(count, i) + j] = there ? 1 - (double)step / steps : 1;
        }
}

static void shuffle(matrix_t *self, random_t *random)
{
    for (size_t i = 0; i < self->pair_count; i++) {
        size_t j = random_below(random, (uint32_t)i + 1);
        sparse_pair_t moved = self->pair[i];
        self->pair[i] = self->pair[j];
        self->pair[j] = moved;
        if (random_below(random, 2))
            self->pair[j] = (sparse_pair_t){self->pair[j].b, self->pair[j].a, self->pair[j].weight};
    }
}

static uint32_t sparse(const matrix_t *self, merge_t *out)
{
    uint32_t merges = 77;
    assert_int_equal(
        sparse_chain(self->pair, self->pair_count, self->count, NULL, out, &merges, NULL), OK);
    return merges;
}

static void assert_as_dense(matrix_t *matrix)
{
    merge_t ours[ROWS], theirs[ROWS];
    uint32_t dense = 0, below = 0, count = sparse(matrix, ours);
    assert_int_equal(
        nn_chain(matrix->dense, matrix->count, LINKAGE_AVERAGE, NULL, theirs, &dense, NULL), OK);
    while (below < dense && theirs[below].distance < 1)
        below++;
    assert_int_equal(count, below);
    for (uint32_t m = 0; m < count; m++) {
        assert_int_equal(ours[m].a, theirs[m].a);
        assert_int_equal(ours[m].b, theirs[m].b);
        assert_true(fabs(ours[m].distance - theirs[m].distance) < 1e-12);
    }
}

static void missing_pairs_weigh_nothing(void **state)
{
    static matrix_t matrix; /* half a megabyte */
    random_t random = {5};
    (void)state;
    for (uint32_t round = 0; round < 400; round++) {
        make(&matrix, 1 + round % ROWS, round % 7 ? 3 + round * 11 % 60 : 100, 1u << round % 6,
             &random);
        assert_as_dense(&matrix);
    }
}

static void the_order_of_the_pairs_does_not_show(void **state)
{
    static matrix_t matrix;
    merge_t first[ROWS], again[ROWS];
    random_t random = {6};
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        make(&matrix, ROWS, 20, 1u << 20, &random);
        uint32_t count = sparse(&matrix, first);
        assert_true(count > ROWS / 2);
        shuffle(&matrix, &random);
        assert_int_equal(sparse(&matrix, again), count);
        assert_memory_equal(again, first, count * sizeof *first);
    }
}

static void the_smallest(void **state)
{
    merge_t merges[2];
    uint32_t count = 7;
    sparse_pair_t pair = {0, 1, SPARSE_ONE / 4};
    atomic_int stop = 1;
    (void)state;
    assert_int_equal(sparse_chain(NULL, 0, 0, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 0);
    assert_int_equal(sparse_chain(NULL, 0, 2, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 0);
    assert_int_equal(sparse_chain(&pair, 1, 2, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 1);
    assert_true(merges[0].a == 0 && merges[0].b == 1 && merges[0].distance == 0.75);
    pair.weight = 0;
    assert_int_equal(sparse_chain(&pair, 1, 2, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 0);
    assert_int_equal(sparse_chain(&pair, 1, 2, &stop, merges, &count, NULL), ERR_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_pairs_weigh_nothing),
        cmocka_unit_test(the_order_of_the_pairs_does_not_show),
        cmocka_unit_test(the_smallest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
