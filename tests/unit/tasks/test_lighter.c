/* A forest that gets lighter: its ways while edges are offered, and what is new in the end. */
#include "worker/tasks/lighter.h"

#include "tests/lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NODES 400
#define OFFERS 12000

/* 0 - 1 - 2 - ...: heavier than anything that is offered. */
static void make_chain(edge_t *edges)
{
    for (uint32_t i = 0; i + 1 < NODES; i++)
        edges[i] = (edge_t){1000 + (float)i, i, i + 1};
}

static edge_t offer_of(random_t *random)
{
    uint32_t a = random_below(random, NODES), b = random_below(random, NODES - 1);
    return edge_between(a, b < a ? b : b + 1, 1 + (float)random_below(random, 50));
}

/* As soon as some thousands were offered the ways are lighter; in the end the new edges are those of
 * the lightest forest of all, whoever offered them. */
static void ways_get_lighter_and_the_end_is_the_one_forest(void **state)
{
    edge_t chain[NODES - 1], *all = malloc((NODES + OFFERS) * sizeof *all);
    uint32_t parent[NODES];
    random_t random = {8};
    bottleneck_t *ways = NULL;
    lighter_t *lighter = NULL;
    const edge_t *new_edges;
    size_t count, of_all;
    (void)state;
    make_chain(chain);
    memcpy(all, chain, sizeof chain);
    assert_int_equal(bottleneck_new(NODES, chain, NODES - 1, &ways, NULL), OK);
    assert_int_equal(lighter_new(NODES, chain, NODES - 1, ways, 3, &lighter, NULL), OK);
    for (uint32_t i = 0; i < OFFERS; i++) {
        all[NODES - 1 + i] = offer_of(&random);
        lighter_offer(lighter, i % 3, &all[NODES - 1 + i]);
        assert_int_equal(lighter_renew(lighter, NULL), OK);
        if (i == 10)
            assert_true(lighter_way(lighter, 0, NODES - 1).weight == 1000 + NODES - 2);
    }
    assert_true(lighter_way(lighter, NODES - 1, 0).weight < 50);
    assert_int_equal(lighter_finish(lighter, &new_edges, &count, NULL), OK);
    of_all = lightest_forest(all, NODES - 1 + OFFERS, parent, NODES);
    assert_int_equal(count, of_all);
    assert_memory_equal(new_edges, all, count * sizeof *all);
    lighter_destroy(&lighter);
    bottleneck_destroy(&ways);
    free(all);
}

static void what_the_first_forest_had_is_not_new(void **state)
{
    edge_t chain[NODES - 1];
    bottleneck_t *ways = NULL;
    lighter_t *lighter = NULL;
    const edge_t *new_edges;
    size_t count;
    (void)state;
    make_chain(chain);
    assert_int_equal(bottleneck_new(NODES, chain, NODES - 1, &ways, NULL), OK);
    assert_int_equal(lighter_new(NODES, chain, NODES - 1, ways, 1, &lighter, NULL), OK);
    lighter_offer(lighter, 0, &(edge_t){1002.5f, 0, 9}); /* heavier than some of the way */
    lighter_offer(lighter, 0, &(edge_t){1009.5f, 0, 7}); /* heavier than all of it */
    assert_int_equal(lighter_finish(lighter, &new_edges, &count, NULL), OK);
    assert_int_equal(count, 1);
    assert_int_equal(new_edges[0].b, 9);
    lighter_destroy(&lighter);
    bottleneck_destroy(&ways);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ways_get_lighter_and_the_end_is_the_one_forest),
        cmocka_unit_test(what_the_first_forest_had_is_not_new),
    };
    return cmocka_run_group_tests_name("lighter", tests, NULL, NULL);
}
