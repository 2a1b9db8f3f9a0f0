/* The nearest-neighbour chain against joining the nearest pair again and again, each distance taken
 * from its definition over all pairs of rows. */
#include "worker/tasks/nn_chain.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 48

typedef struct {
    uint32_t count;
    double pair[ROWS][ROWS]; /* squares for Ward's */
} matrix_t;

static void set(matrix_t *self, uint32_t i, uint32_t j, double distance)
{
    self->pair[i][j] = self->pair[j][i] = distance;
}

/* Whole numbers below `kinds`: sums are exact, and ties everywhere when there are few kinds. */
static void make_tied(matrix_t *self, uint32_t count, uint32_t kinds, random_t *random)
{
    memset(self, 0, sizeof *self);
    self->count = count;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            set(self, i, j, random_below(random, kinds));
}

/* Squared distances of points on a small grid: what Ward's linkage is meant for. */
static void make_points(matrix_t *self, uint32_t count, uint32_t side, random_t *random)
{
    double point[ROWS][3];
    memset(self, 0, sizeof *self);
    self->count = count;
    for (uint32_t i = 0; i < count; i++)
        for (int d = 0; d < 3; d++)
            point[i][d] = side ? random_below(random, side) : random_unit(random);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++) {
            double sum = 0;
            for (int d = 0; d < 3; d++)
                sum += (point[i][d] - point[j][d]) * (point[i][d] - point[j][d]);
            set(self, i, j, sum);
        }
}

static void keep_apart(matrix_t *self, uint32_t window)
{
    for (uint32_t i = 0; i < self->count; i++)
        for (uint32_t j = 0; j + window < i; j++)
            set(self, i, j, INFINITY);
}

/* ---- by definition ---- */

static double sum_of(const matrix_t *self, const uint32_t *home, uint32_t a, uint32_t b)
{
    double sum = 0;
    for (uint32_t i = 0; i < self->count; i++)
        for (uint32_t j = 0; j < self->count; j++)
            sum += home[i] == a && home[j] == b ? self->pair[i][j] : 0;
    return sum;
}

static double size_of(const matrix_t *self, const uint32_t *home, uint32_t a)
{
    double size = 0;
    for (uint32_t i = 0; i < self->count; i++)
        size += home[i] == a;
    return size;
}

static double defined(const matrix_t *self, const uint32_t *home, linkage_method_t method,
                      uint32_t a, uint32_t b)
{
    double size_a = size_of(self, home, a), size_b = size_of(self, home, b), largest = 0;
    if (method == LINKAGE_COMPLETE) {
        for (uint32_t i = 0; i < self->count; i++)
            for (uint32_t j = 0; j < self->count; j++)
                if (home[i] == a && home[j] == b && self->pair[i][j] > largest)
                    largest = self->pair[i][j];
        return largest;
    }
    double between = sum_of(self, home, a, b);
    if (method == LINKAGE_AVERAGE || isinf(between))
        return between / (size_a * size_b);
    /* Twice what joining adds to the sum of squares about the centres. */
    return 2 / (size_a + size_b) *
           (between - sum_of(self, home, a, a) / 2 * size_b / size_a -
            sum_of(self, home, b, b) / 2 * size_a / size_b);
}

/* Names rise, and only what is nearer replaces. */
static uint32_t greedy(const matrix_t *self, linkage_method_t method, merge_t *out)
{
    uint32_t home[ROWS], merges = 0;
    for (uint32_t i = 0; i < self->count; i++)
        home[i] = i;
    for (;;) {
        merge_t best = {0, 0, INFINITY};
        for (uint32_t a = 0; a < self->count; a++)
            for (uint32_t b = a + 1; b < self->count && home[a] == a; b++) {
                double distance = home[b] == b ? defined(self, home, method, a, b) : INFINITY;
                if (distance < best.distance)
                    best = (merge_t){a, b, distance};
            }
        if (isinf(best.distance))
            return merges;
        for (uint32_t i = 0; i < self->count; i++)
            home[i] = home[i] == best.b ? best.a : home[i];
        out[merges++] = best;
    }
}

static uint32_t chain(const matrix_t *self, linkage_method_t method, merge_t *out)
{
    double condensed[ROWS * ROWS];
    uint32_t merges = 0;
    error_t error = ERROR_INIT;
    for (uint32_t i = 0; i < self->count; i++)
        for (uint32_t j = i + 1; j < self->count; j++)
            condensed[condensed_row(self->count, i) + j] = self->pair[i][j];
    assert_int_equal(nn_chain(condensed, self->count, method, NULL, out, &merges, &error), OK);
    return merges;
}

/* `blur`: how much two computations of one distance may differ. */
static void assert_greedy(const matrix_t *matrix, linkage_method_t method, double blur)
{
    merge_t ours[ROWS], theirs[ROWS];
    uint32_t count = greedy(matrix, method, theirs);
    assert_int_equal(chain(matrix, method, ours), count);
    for (uint32_t m = 0; m < count; m++) {
        assert_int_equal(ours[m].a, theirs[m].a);
        assert_int_equal(ours[m].b, theirs[m].b);
        assert_true(fabs(ours[m].distance - theirs[m].distance) <= blur);
    }
}

static void ties_are_joined_in_the_order_of_names(void **state)
{
    matrix_t matrix;
    random_t random = {1};
    (void)state;
    for (uint32_t round = 0; round < 300; round++) {
        make_tied(&matrix, 1 + round % 25, 1 + round % 7, &random);
        assert_greedy(&matrix, LINKAGE_AVERAGE, 0);
        assert_greedy(&matrix, LINKAGE_COMPLETE, 0);
    }
}

static void without_ties_all_linkages_are_as_defined(void **state)
{
    matrix_t matrix;
    random_t random = {2};
    (void)state;
    for (uint32_t round = 0; round < 40; round++) {
        make_points(&matrix, 2 + round, 0, &random);
        assert_greedy(&matrix, LINKAGE_AVERAGE, 1e-12);
        assert_greedy(&matrix, LINKAGE_COMPLETE, 0);
        assert_greedy(&matrix, LINKAGE_WARD, 1e-9);
    }
}

static void pairs_that_may_not_meet_keep_their_clusters_apart(void **state)
{
    matrix_t matrix;
    random_t random = {3};
    merge_t merges[ROWS];
    (void)state;
    for (uint32_t round = 0; round < 60; round++) {
        make_tied(&matrix, 30, 9, &random);
        keep_apart(&matrix, round % 12);
        assert_greedy(&matrix, LINKAGE_AVERAGE, 0);
        assert_greedy(&matrix, LINKAGE_COMPLETE, 0);
        make_points(&matrix, 30, 0, &random);
        keep_apart(&matrix, round % 12);
        assert_greedy(&matrix, LINKAGE_WARD, 1e-9);
    }
    keep_apart(&matrix, 0);
    assert_int_equal(chain(&matrix, LINKAGE_WARD, merges), 0);
}

/* Points that repeat, or stand on a grid: Ward's distances tie, up to rounding. */
static void grids_come_out_as_whole_trees_that_never_fall(void **state)
{
    matrix_t matrix;
    random_t random = {4};
    merge_t merges[ROWS];
    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        linkage_method_t method = round % 2 ? LINKAGE_WARD : LINKAGE_AVERAGE;
        make_points(&matrix, 2 + round % (ROWS - 2), 1 + round % 4, &random);
        uint32_t count = chain(&matrix, method, merges);
        uint32_t home[ROWS];
        assert_int_equal(count, matrix.count - 1);
        for (uint32_t i = 0; i < matrix.count; i++)
            home[i] = i;
        for (uint32_t m = 0; m < count; m++) {
            assert_true(m == 0 || merges[m].distance >= merges[m - 1].distance);
            uint32_t a = home[merges[m].a], b = home[merges[m].b];
            assert_int_not_equal(a, b);
            assert_true(fabs(defined(&matrix, home, method, a, b) - merges[m].distance) < 1e-9);
            for (uint32_t i = 0; i < matrix.count; i++)
                home[i] = home[i] == b ? a : home[i];
        }
    }
}

static void the_smallest_and_the_unsuitable(void **state)
{
    merge_t merges[2];
    uint32_t count = 7;
    double one = 3;
    (void)state;
    assert_int_equal(nn_chain(&one, 0, LINKAGE_AVERAGE, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 0);
    assert_int_equal(nn_chain(&one, 1, LINKAGE_WARD, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 0);
    assert_int_equal(nn_chain(&one, 2, LINKAGE_COMPLETE, NULL, merges, &count, NULL), OK);
    assert_int_equal(count, 1);
    assert_true(merges[0].a == 0 && merges[0].b == 1 && merges[0].distance == 3);
    assert_int_equal(nn_chain(&one, 2, LINKAGE_SINGLE, NULL, merges, &count, NULL), ERR_USAGE);
    atomic_int stop = 1;
    assert_int_equal(nn_chain(&one, 2, LINKAGE_WARD, &stop, merges, &count, NULL), ERR_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ties_are_joined_in_the_order_of_names),
        cmocka_unit_test(without_ties_all_linkages_are_as_defined),
        cmocka_unit_test(pairs_that_may_not_meet_keep_their_clusters_apart),
        cmocka_unit_test(grids_come_out_as_whole_trees_that_never_fall),
        cmocka_unit_test(the_smallest_and_the_unsuitable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
