#include "coordinator/merge/validity.h"
#include "coordinator/merge/hierarchy.h"
#include "tests/lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

static clustering_t clustering_of(const int32_t *label, uint32_t count, uint32_t kinds)
{
    clustering_t out;
    assert_int_equal(clustering_init(&out, count, NULL), OK);
    for (uint32_t i = 0; i < count; i++)
        out.label[i] = label[i];
    assert_int_equal(clustering_append(&out, 0, 0, count, kinds, NULL, NULL), OK);
    return out;
}

/* Points on a line at 0 1 3 | 10 11 | 30 (noise) 50 52: the tree joins neighbours. Squared distances. */
static void clusters_are_measured_by_what_holds_and_what_parts_them(void **state)
{
    (void)state;
    const int32_t label[] = {0, 0, 0, 1, 1, -1, 2, 2};
    const edge_t forest[] = {{1, 0, 1},  {1, 3, 4},   {4, 1, 2},  {4, 6, 7},
                             {49, 2, 3}, {361, 4, 5}, {400, 5, 6}};
    clustering_t clustering = clustering_of(label, 8, 3);
    double validity[3], mean;
    assert_int_equal(
        validity_measure(forest, 7, METRIC_EUCLIDEAN, &clustering, validity, &mean, NULL), OK);
    /* through the noise: 20 away, not 19 */
    assert_true(fabs(validity[0] - (1 - 2.0 / 7)) < 1e-12);
    assert_true(fabs(validity[1] - (1 - 1.0 / 7)) < 1e-12);
    assert_true(fabs(validity[2] - (1 - 2.0 / 20)) < 1e-12);
    assert_true(fabs(mean - (3 * validity[0] + 2 * validity[1] + 2 * validity[2]) / 8) < 1e-12);
    clustering_clear(&clustering);
}

static void a_cluster_that_nothing_joins_is_wholly_valid(void **state)
{
    (void)state;
    const int32_t label[] = {0, 0, 0, 1, 1, 1};
    const edge_t forest[] = {{1, 0, 1}, {2, 3, 4}, {3, 4, 5}, {9, 1, 2}};
    clustering_t clustering = clustering_of(label, 6, 2);
    double validity[2], mean;
    assert_int_equal(validity_measure(forest, 4, METRIC_COSINE, &clustering, validity, &mean, NULL),
                     OK);
    assert_true(validity[0] == 1 && validity[1] == 1 && mean == 1);
    clustering_clear(&clustering);
}

#define COUNT 60

/* The least largest edge of a way from each to each, by Floyd and Warshall. */
static void find_ways(const edge_t *forest, size_t edges, double (*way)[COUNT])
{
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++)
            way[i][j] = i == j ? 0 : INFINITY;
    for (size_t e = 0; e < edges; e++)
        way[forest[e].a][forest[e].b] = way[forest[e].b][forest[e].a] =
            sqrt((double)forest[e].weight);
    for (size_t k = 0; k < COUNT; k++)
        for (size_t i = 0; i < COUNT; i++)
            for (size_t j = 0; j < COUNT; j++)
                way[i][j] = fmin(way[i][j], fmax(way[i][k], way[k][j]));
}

static double plain_validity(const clustering_t *clustering, double (*way)[COUNT], int32_t cluster)
{
    double sparseness = 0, separation = INFINITY;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            if (clustering->label[i] != cluster || clustering->label[j] < 0)
                continue;
            if (clustering->label[j] == cluster)
                sparseness = fmax(sparseness, way[i][j]);
            else
                separation = fmin(separation, way[i][j]);
        }
    return 1 - sparseness / separation;
}

static void clusters_of_random_trees_are_those_of_the_plain_model(void **state)
{
    static double way[COUNT][COUNT];
    uint32_t met = 0;
    random_t random = {7};
    (void)state;
    for (int run = 0; run < 60; run++) {
        edge_t forest[COUNT - 1];
        for (uint32_t i = 1; i < COUNT; i++) /* many ties */
            forest[i - 1] = edge_between(i, (uint32_t)random_below(&random, i),
                                         (float)(1 + random_below(&random, 12)));
        const uint32_t begin[] = {0, COUNT};
        clustering_t clustering;
        hierarchy_options_t options = {.metric = METRIC_EUCLIDEAN, .min_cluster_size = 3};
        assert_int_equal(clustering_init(&clustering, COUNT, NULL), OK);
        assert_int_equal(
            hierarchy_cluster_all(forest, COUNT - 1, begin, 1, &options, &clustering, NULL), OK);
        double validity[COUNT], mean, sum = 0;
        find_ways(forest, COUNT - 1, way);
        assert_int_equal(validity_measure(forest, COUNT - 1, METRIC_EUCLIDEAN, &clustering,
                                          validity, &mean, NULL),
                         OK);
        for (uint32_t c = 0; c < clustering.cluster_count && clustering.cluster_count > 1; c++) {
            double expected = plain_validity(&clustering, way, (int32_t)c);
            assert_true(fabs(validity[c] - expected) < 1e-12);
            sum += expected * clustering.cluster_size[c];
            met++;
        }
        if (clustering.cluster_count > 1)
            assert_true(fabs(mean - sum / COUNT) < 1e-12);
        clustering_clear(&clustering);
    }
    assert_true(met > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_are_measured_by_what_holds_and_what_parts_them),
        cmocka_unit_test(a_cluster_that_nothing_joins_is_wholly_valid),
        cmocka_unit_test(clusters_of_random_trees_are_those_of_the_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
