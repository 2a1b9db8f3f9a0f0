#include "common/graph/lightest.h"
#include "tests/unit/merge/geometry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ROUND_LIMIT 64

typedef struct {
    uint32_t rounds;
    size_t searched;
    edge_t *forest;
    size_t count;
} grown_t;

static void answer_queries(const geometry_t *geometry, const float *core, boruvka_t *tree)
{
    boruvka_queries_t queries = boruvka_queries(tree);
    for (size_t q = 0; q < queries.count; q++) {
        edge_t edge;
        assert_true(q == 0 || queries.slot[q - 1] < queries.slot[q]);
        int found = geometry_reach(geometry, core, boruvka_component(tree), queries.slot[q],
                                   queries.floor[q], &edge);
        assert_int_equal(boruvka_learn(tree, q, found ? &edge : NULL, NULL), OK);
    }
}

/* Through a state and back, as the coordinator does between two rounds. */
static void lay_down_and_take_up(const neighbour_lists_t *lists, boruvka_t **tree, int presume)
{
    boruvka_state_t state = boruvka_state(*tree);
    boruvka_t *again = NULL;
    assert_int_equal(boruvka_new(lists, &state, &again, NULL), OK);
    boruvka_destroy(tree);
    *tree = again;
    if (presume)
        boruvka_presume(*tree);
    assert_int_equal(boruvka_run(*tree, NULL, NULL), OK);
}

/* Lists end at radii in one of three. */
static grown_t grow(const geometry_t *geometry, uint32_t k, uint32_t min_samples, int restart)
{
    geometry_lists_t lists =
        geometry_lists_within(geometry, k, min_samples, (k + min_samples) % 3 == 0);
    boruvka_t *tree = NULL;
    grown_t out = {0};
    assert_int_equal(boruvka_new(&lists.lists, NULL, &tree, NULL), OK);
    assert_int_equal(boruvka_run(tree, NULL, NULL), OK);
    while (boruvka_queries(tree).count > 0) {
        assert_true(out.rounds++ < ROUND_LIMIT);
        if (restart)
            lay_down_and_take_up(&lists.lists, &tree, 0);
        out.searched += boruvka_queries(tree).count;
        answer_queries(geometry, lists.core, tree);
        assert_int_equal(boruvka_run(tree, NULL, NULL), OK);
    }
    boruvka_state_t state = boruvka_state(tree);
    out.count = state.forest_count;
    out.forest = malloc((out.count + 1) * sizeof *out.forest);
    memcpy(out.forest, state.forest, out.count * sizeof *out.forest);
    edge_sort(out.forest, out.count);
    boruvka_destroy(&tree);
    geometry_lists_clear(&lists);
    return out;
}

/* The forest is the one that Kruskal finds over all pairs, edge by edge. */
static grown_t check(const geometry_t *geometry, uint32_t k, uint32_t min_samples, int restart)
{
    geometry_lists_t lists = geometry_lists(geometry, k, min_samples);
    size_t count;
    edge_t *expected = geometry_forest(geometry, lists.core, &count);
    grown_t grown = grow(geometry, k, min_samples, restart);
    assert_int_equal(grown.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(edge_compare(&grown.forest[i], &expected[i]), 0);
    free(expected);
    free(grown.forest);
    grown.forest = NULL;
    geometry_lists_clear(&lists);
    return grown;
}

static void random_data_with_many_ties_gives_the_one_tree(void **state)
{
    (void)state;
    random_t random = {1};
    size_t searched = 0, rounds = 0;
    for (int i = 0; i < 300; i++) {
        uint32_t count = 2 + random_below(&random, 60), k = 1 + random_below(&random, 6);
        uint32_t min_samples = 1 + random_below(&random, k + 1);
        geometry_t geometry = geometry_grid(&random, count, 1 + random_below(&random, 3),
                                            2 + random_below(&random, 12), 0.37f);
        grown_t grown = check(&geometry, k, min_samples, i % 2);
        searched += grown.searched;
        rounds += grown.rounds;
        geometry_clear(&geometry);
    }
    /* The searches are what is being tested: they must have happened. */
    assert_true(searched > 1000);
    assert_true(rounds > 300);
}

static void partitions_and_windows_leave_forests(void **state)
{
    (void)state;
    random_t random = {2};
    size_t searched = 0;
    for (int i = 0; i < 300; i++) {
        uint32_t count = 4 + random_below(&random, 60), k = 1 + random_below(&random, 5);
        geometry_t geometry = geometry_grid(&random, count, 2, 2 + random_below(&random, 30), 1);
        if (i % 3)
            geometry_divide(&geometry, &random, 2 + random_below(&random, 4));
        if (i % 2)
            geometry_window(&geometry, random_below(&random, 5));
        searched += check(&geometry, k, 1 + random_below(&random, k + 1), i % 2).searched;
        geometry_clear(&geometry);
    }
    assert_true(searched > 500);
}

static void equal_points_need_no_search(void **state)
{
    (void)state;
    geometry_t geometry = geometry_new(200);
    for (uint32_t i = 0; i < 200; i++)
        for (uint32_t j = i + 1; j < 200; j++)
            geometry_set(&geometry, i, j, 0);
    assert_int_equal(check(&geometry, 5, 3, 0).searched, 0);
    geometry_clear(&geometry);
}

static void an_equidistant_simplex_is_a_star_at_slot_zero(void **state)
{
    (void)state;
    geometry_t geometry = geometry_new(50);
    for (uint32_t i = 0; i < 50; i++)
        for (uint32_t j = i + 1; j < 50; j++)
            geometry_set(&geometry, i, j, 2);
    grown_t grown = grow(&geometry, 4, 4, 0);
    assert_int_equal(grown.count, 49);
    for (uint32_t i = 0; i < 49; i++) {
        assert_int_equal(grown.forest[i].a, 0);
        assert_int_equal(grown.forest[i].b, i + 1);
    }
    free(grown.forest);
    geometry_clear(&geometry);
}

static void two_points_and_one_point(void **state)
{
    (void)state;
    geometry_t two = geometry_new(2), one = geometry_new(1);
    geometry_set(&two, 0, 1, 0.5f);
    grown_t grown = grow(&two, 1, 2, 0);
    assert_int_equal(grown.count, 1);
    assert_true(grown.forest[0].weight == 0.5f);
    free(grown.forest);
    grown = grow(&one, 1, 1, 0);
    assert_int_equal(grown.count, 0);
    free(grown.forest);
    geometry_clear(&two);
    geometry_clear(&one);
}

static void clusters_of_a_ten_millionth_are_joined_by_searches(void **state)
{
    (void)state;
    random_t random = {3};
    geometry_t geometry = geometry_new(120);
    for (uint32_t i = 0; i < 120; i++)
        for (uint32_t j = i + 1; j < 120; j++)
            geometry_set(&geometry, i, j,
                         (float)(i / 20 == j / 20 ? 1e-14 * (1 + random_unit(&random))
                                                  : 1 + random_unit(&random)));
    grown_t grown = check(&geometry, 5, 3, 1);
    assert_true(grown.searched > 0);
    assert_true(grown.searched < 3 * 120);
    geometry_clear(&geometry);
}

static void a_row_with_too_few_neighbours_stays_alone(void **state)
{
    (void)state;
    geometry_t geometry = geometry_new(6);
    for (uint32_t i = 0; i < 5; i++)
        for (uint32_t j = i + 1; j < 5; j++)
            geometry_set(&geometry, i, j, (float)(1 + i + j));
    geometry_set(&geometry, 4, 5, 0.1f); /* one neighbour only: no core distance */
    grown_t grown = check(&geometry, 5, 4, 0);
    assert_int_equal(grown.count, 4);
    geometry_clear(&geometry);
}

static void an_answer_that_cannot_be_true_is_refused(void **state)
{
    (void)state;
    random_t random = {4};
    geometry_t geometry = geometry_grid(&random, 200, 3, 40, 1);
    geometry_lists_t lists = geometry_lists(&geometry, 3, 2);
    boruvka_t *tree = NULL;
    assert_int_equal(boruvka_new(&lists.lists, NULL, &tree, NULL), OK);
    assert_int_equal(boruvka_run(tree, NULL, NULL), OK);
    boruvka_queries_t queries = boruvka_queries(tree);
    const uint32_t *component = boruvka_component(tree);
    size_t q = 0;
    while (q < queries.count && isinf(queries.floor[q]))
        q++;
    assert_true(q < queries.count && queries.count > 1);
    uint32_t slot = queries.slot[q], inside = 0, outside = 0;
    while (inside == slot || component[inside] != component[slot])
        inside++;
    while (component[outside] == component[slot])
        outside++;
    float over = nextafterf(queries.floor[q], INFINITY);
    const edge_t wrong[] = {
        edge_between(slot, outside, INFINITY), edge_between(slot, inside, 0),
        edge_between(inside, outside, 0),      edge_between(slot, 200, 0),
        edge_between(slot, outside, NAN),      edge_between(slot, outside, over),
        edge_between(slot, outside, -1),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(boruvka_learn(tree, q, &wrong[i], NULL), ERR_SHAPE);
    assert_int_equal(boruvka_learn(tree, queries.count, NULL, NULL), ERR_SHAPE);
    edge_t right = edge_between(slot, outside, queries.floor[q]);
    assert_int_equal(boruvka_learn(tree, q, &right, NULL), OK);
    boruvka_destroy(&tree);
    geometry_lists_clear(&lists);
    geometry_clear(&geometry);
}

static void a_stored_forest_with_a_circle_is_refused(void **state)
{
    (void)state;
    geometry_t geometry = geometry_new(3);
    geometry_set(&geometry, 0, 1, 1);
    geometry_lists_t lists = geometry_lists(&geometry, 1, 1);
    edge_t forest[] = {{1, 0, 1}, {1, 1, 2}, {1, 0, 2}};
    edge_t bound[3] = {{0}};
    boruvka_state_t stored = {forest, 3, NULL, 0, bound};
    boruvka_t *tree = NULL;
    assert_int_equal(boruvka_new(&lists.lists, &stored, &tree, NULL), ERR_SHAPE);
    assert_null(tree);
    geometry_lists_clear(&lists);
    geometry_clear(&geometry);
}

static void a_stop_is_heeded(void **state)
{
    (void)state;
    geometry_t geometry = geometry_new(3);
    geometry_lists_t lists = geometry_lists(&geometry, 1, 1);
    boruvka_t *tree = NULL;
    atomic_int stop = 1;
    assert_int_equal(boruvka_new(&lists.lists, NULL, &tree, NULL), OK);
    assert_int_equal(boruvka_run(tree, &stop, NULL), ERR_CANCELLED);
    boruvka_destroy(&tree);
    geometry_lists_clear(&lists);
    geometry_clear(&geometry);
}

/* What a radius cuts off is not taken for what is not there. */
static void a_list_that_ends_at_its_radius_is_searched_beyond(void **state)
{
    (void)state;
    random_t random = {9};
    for (int i = 0; i < 100; i++) {
        geometry_t geometry = geometry_grid(&random, 40, 2, 6, 0.5f);
        geometry_lists_t whole = geometry_lists(&geometry, 39, 2);
        geometry_lists_t within = geometry_lists_within(&geometry, 39, 2, 1);
        boruvka_t *all = NULL, *some = NULL;
        assert_int_equal(boruvka_new(&whole.lists, NULL, &all, NULL), OK);
        assert_int_equal(boruvka_new(&within.lists, NULL, &some, NULL), OK);
        assert_int_equal(boruvka_run(all, NULL, NULL), OK);
        assert_int_equal(boruvka_run(some, NULL, NULL), OK);
        assert_int_equal(boruvka_queries(all).count, 0); /* nothing is unlisted */
        while (boruvka_queries(some).count > 0) {
            answer_queries(&geometry, within.core, some);
            assert_int_equal(boruvka_run(some, NULL, NULL), OK);
        }
        boruvka_state_t x = boruvka_state(all), y = boruvka_state(some);
        assert_int_equal(x.forest_count, y.forest_count);
        edge_sort(x.forest, x.forest_count);
        edge_sort(y.forest, y.forest_count);
        for (size_t e = 0; e < x.forest_count; e++)
            assert_int_equal(edge_compare(&x.forest[e], &y.forest[e]), 0);
        boruvka_destroy(&all);
        boruvka_destroy(&some);
        geometry_lists_clear(&whole);
        geometry_lists_clear(&within);
        geometry_clear(&geometry);
    }
}

/* ---- trees of what is known ---- */

/* All pairs that the lists say nothing of: what is in none weighs at least the bounds of both. */
static void add_unknown(const geometry_t *geometry, const neighbour_lists_t *lists,
                        edge_pile_t *pile)
{
    float *bound = malloc(geometry->count * sizeof *bound);
    boruvka_list_bounds(lists, bound);
    for (uint32_t i = 0; i < geometry->count; i++)
        for (uint32_t j = i + 1; j < geometry->count; j++) {
            edge_t edge = geometry_edge(geometry, lists->core, i, j);
            if (edge.weight < INFINITY && edge.weight >= bound[i] && edge.weight >= bound[j])
                assert_int_equal(edge_pile_add(pile, &edge, NULL), OK);
        }
    free(bound);
}

/* The presumed tree joins all that can be joined, and with what is unknown it has the one tree in
 * it. Returns the rows that searched. */
static size_t check_presumed(const geometry_t *geometry, uint32_t k, uint32_t min_samples,
                             int restart)
{
    geometry_lists_t lists =
        geometry_lists_within(geometry, k, min_samples, (k + min_samples) % 3 == 0);
    boruvka_t *tree = NULL;
    size_t searched = 0, count, rounds = 0;
    edge_pile_t pile;
    assert_int_equal(boruvka_new(&lists.lists, NULL, &tree, NULL), OK);
    boruvka_presume(tree);
    assert_int_equal(boruvka_run(tree, NULL, NULL), OK);
    while (boruvka_queries(tree).count > 0) {
        assert_true(rounds++ < ROUND_LIMIT);
        searched += boruvka_queries(tree).count;
        if (restart) {
            count = boruvka_queries(tree).count;
            lay_down_and_take_up(&lists.lists, &tree, 1);
            assert_int_equal(boruvka_queries(tree).count, count);
        }
        answer_queries(geometry, lists.core, tree);
        assert_int_equal(boruvka_run(tree, NULL, NULL), OK);
    }
    boruvka_state_t state = boruvka_state(tree);
    edge_t *expected = geometry_forest(geometry, lists.core, &count);
    assert_int_equal(state.forest_count, count);
    edge_pile_init(&pile, geometry->count);
    for (size_t i = 0; i < state.forest_count; i++)
        assert_int_equal(edge_pile_add(&pile, &state.forest[i], NULL), OK);
    add_unknown(geometry, &lists.lists, &pile);
    assert_int_equal(edge_pile_reduce(&pile, NULL), OK);
    assert_int_equal(pile.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(edge_compare(&pile.edges[i], &expected[i]), 0);
    edge_pile_clear(&pile);
    free(expected);
    boruvka_destroy(&tree);
    geometry_lists_clear(&lists);
    return searched;
}

static void a_presumed_tree_lacks_nothing_that_is_known(void **state)
{
    (void)state;
    random_t random = {12};
    size_t searched = 0;
    for (int i = 0; i < 400; i++) {
        uint32_t count = 4 + random_below(&random, 60), k = 1 + random_below(&random, 5);
        geometry_t geometry = geometry_grid(&random, count, 1 + random_below(&random, 3),
                                            2 + random_below(&random, 30), 1);
        if (i % 3)
            geometry_divide(&geometry, &random, 2 + random_below(&random, 4));
        if (i % 2)
            geometry_window(&geometry, random_below(&random, 5));
        searched += check_presumed(&geometry, k, 1 + random_below(&random, k + 1), i % 4 > 1);
        geometry_clear(&geometry);
    }
    assert_true(searched > 500);
}

/* Of large groups some rows search at a time: all of them only where nothing is to be found. */
static void some_rows_of_a_large_component_search(void **state)
{
    (void)state;
    for (int apart = 0; apart < 2; apart++) {
        geometry_t geometry = geometry_new(600);
        for (uint32_t i = 0; i < 600; i++)
            for (uint32_t j = i + 1; j < 600; j++)
                if (i / 300 == j / 300)
                    geometry_set(&geometry, i, j, 1 + (float)((i * j) % 7));
                else if (!apart)
                    geometry_set(&geometry, i, j, 100);
        size_t searched = check_presumed(&geometry, 4, 2, 0);
        assert_int_equal(searched, apart ? 300 : 60);
        geometry_clear(&geometry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_data_with_many_ties_gives_the_one_tree),
        cmocka_unit_test(partitions_and_windows_leave_forests),
        cmocka_unit_test(equal_points_need_no_search),
        cmocka_unit_test(an_equidistant_simplex_is_a_star_at_slot_zero),
        cmocka_unit_test(two_points_and_one_point),
        cmocka_unit_test(clusters_of_a_ten_millionth_are_joined_by_searches),
        cmocka_unit_test(a_row_with_too_few_neighbours_stays_alone),
        cmocka_unit_test(an_answer_that_cannot_be_true_is_refused),
        cmocka_unit_test(a_stored_forest_with_a_circle_is_refused),
        cmocka_unit_test(a_list_that_ends_at_its_radius_is_searched_beyond),
        cmocka_unit_test(a_stop_is_heeded),
        cmocka_unit_test(a_presumed_tree_lacks_nothing_that_is_known),
        cmocka_unit_test(some_rows_of_a_large_component_search),
    };
    return cmocka_run_group_tests_name("boruvka", tests, NULL, NULL);
}
