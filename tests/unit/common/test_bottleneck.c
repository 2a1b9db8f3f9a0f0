/* Lightest forests, and the last edge on the ways through them, beside the plainest counterparts. */
#include "common/graph/bottleneck.h"
#include "common/graph/lightest.h"
#include "tests/lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NODES_MOST 150

/* Edges of few different weights, so that numbers decide. */
static size_t some_edges(random_t *random, uint32_t nodes, size_t count, edge_t *edges)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t a = random_below(random, nodes), b = random_below(random, nodes);
        if (a != b)
            edges[made++] = edge_between(a, b, (float)random_below(random, 7));
    }
    return made;
}

/* way[i * nodes + j]: the least last edge of all ways, by Floyd and Warshall. */
static edge_t *all_ways(const edge_t *edges, size_t count, uint32_t nodes)
{
    edge_t *way = malloc((size_t)nodes * nodes * sizeof *way);
    for (size_t i = 0; i < (size_t)nodes * nodes; i++)
        way[i] = edge_none();
    for (size_t i = 0; i < count; i++) {
        edge_t *there = &way[(size_t)edges[i].a * nodes + edges[i].b];
        if (edge_compare(&edges[i], there) < 0)
            *there = way[(size_t)edges[i].b * nodes + edges[i].a] = edges[i];
    }
    for (uint32_t via = 0; via < nodes; via++)
        for (uint32_t i = 0; i < nodes; i++)
            for (uint32_t j = 0; j < nodes; j++) {
                edge_t first = way[(size_t)i * nodes + via], then = way[(size_t)via * nodes + j];
                edge_t last = edge_compare(&first, &then) > 0 ? first : then;
                if (edge_compare(&last, &way[(size_t)i * nodes + j]) < 0)
                    way[(size_t)i * nodes + j] = last;
            }
    return way;
}

static void assert_ways(const bottleneck_t *ways, const edge_t *expected, uint32_t nodes)
{
    const uint32_t *order = bottleneck_order(ways), *position = bottleneck_positions(ways);
    uint32_t begin[NODES_MOST];
    float heaviest[NODES_MOST];
    bottleneck_before(ways, begin, heaviest);
    for (uint32_t to = 0; to < nodes; to++) {
        float most = -1;
        assert_int_equal(position[order[to]], to);
        for (uint32_t from = 0; from < to; from++) {
            edge_t way = bottleneck_between(ways, from, to);
            const edge_t *plain = &expected[(size_t)order[from] * nodes + order[to]];
            assert_int_equal(edge_compare(&way, plain), 0);
            assert_int_equal(from >= begin[to], plain->weight < INFINITY);
            if (plain->weight < INFINITY && plain->weight > most)
                most = plain->weight;
        }
        assert_true(heaviest[to] == most);
    }
}

/* A way through the lightest forest is the lightest of all ways: that is what makes it one. */
static void ways_through_the_forest_are_the_lightest_of_all(void **state)
{
    random_t random = {5};
    (void)state;
    for (int round = 0; round < 60; round++) {
        uint32_t nodes = 1 + random_below(&random, NODES_MOST), parent[NODES_MOST];
        edge_t edges[3 * NODES_MOST];
        size_t count = some_edges(&random, nodes, random_below(&random, 3 * nodes + 1), edges);
        edge_t *expected = all_ways(edges, count, nodes);
        bottleneck_t *ways = NULL;
        count = lightest_forest(edges, count, parent, nodes);
        assert_int_equal(bottleneck_new(nodes, edges, count, &ways, NULL), OK);
        assert_ways(ways, expected, nodes);
        bottleneck_destroy(&ways);
        free(expected);
    }
}

static void the_larger_comes_first_and_parts_go_by_their_smallest_node(void **state)
{
    static const edge_t EDGES[] = {{1, 3, 4}, {2, 0, 4}, {3, 1, 5}};
    static const uint32_t ORDER[] = {3, 4, 0, 1, 5, 2};
    bottleneck_t *ways = NULL;
    (void)state;
    assert_int_equal(bottleneck_new(6, EDGES, 3, &ways, NULL), OK);
    assert_memory_equal(bottleneck_order(ways), ORDER, sizeof ORDER);
    bottleneck_destroy(&ways);
    assert_int_equal(bottleneck_new(0, NULL, 0, &ways, NULL), OK);
    bottleneck_destroy(&ways);
}

static void what_is_no_forest_is_refused(void **state)
{
    static const edge_t WRONG[][3] = {
        {{1, 0, 1}, {1, 0, 2}, {1, 1, 2}},  /* a circle */
        {{1, 0, 1}, {2, 0, 2}, {1, 0, 3}},  /* not sorted */
        {{1, 0, 1}, {1, 0, 1}, {2, 1, 2}},  /* twice */
        {{1, 0, 1}, {1, 0, 2}, {1, 0, 9}},  /* no such node */
        {{1, 1, 1}, {1, 0, 2}, {1, 0, 3}},  /* to itself */
        {{1, 2, 1}, {2, 0, 2}, {3, 0, 3}},  /* the larger first */
        {{-1, 0, 1}, {1, 0, 2}, {1, 0, 3}}, /* below 0 */
        {{NAN, 0, 1}, {1, 0, 2}, {1, 0, 3}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        bottleneck_t *ways = NULL;
        assert_int_equal(bottleneck_new(9, WRONG[i], 3, &ways, NULL), ERR_SHAPE);
        assert_null(ways);
    }
}

/* However large a pile grew, its forest is that of all that was added, and it stays small. */
static void a_pile_keeps_the_lightest_forest(void **state)
{
    enum { EDGES = 20000, NODES = 60 };
    random_t random = {6};
    edge_t *edges = malloc(EDGES * sizeof *edges);
    uint32_t parent[NODES];
    edge_pile_t pile;
    (void)state;
    edge_pile_init(&pile, NODES);
    size_t count = some_edges(&random, NODES, EDGES, edges);
    for (size_t i = 0; i < count; i++) {
        edges[i].weight += 1 - (float)i / EDGES; /* later ones are lighter */
        assert_int_equal(edge_pile_add(&pile, &edges[i], NULL), OK);
    }
    assert_true(pile.capacity < 2000);
    assert_int_equal(edge_pile_reduce(&pile, NULL), OK);
    count = lightest_forest(edges, count, parent, NODES);
    assert_int_equal(pile.count, count);
    assert_memory_equal(pile.edges, edges, count * sizeof *edges);
    edge_pile_clear(&pile);
    free(edges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ways_through_the_forest_are_the_lightest_of_all),
        cmocka_unit_test(the_larger_comes_first_and_parts_go_by_their_smallest_node),
        cmocka_unit_test(what_is_no_forest_is_refused),
        cmocka_unit_test(a_pile_keeps_the_lightest_forest),
    };
    return cmocka_run_group_tests_name("bottleneck", tests, NULL, NULL);
}
