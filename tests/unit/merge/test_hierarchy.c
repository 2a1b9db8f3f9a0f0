#include "coordinator/merge/hierarchy.h"
#include "tests/unit/merge/geometry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static hierarchy_options_t options_of(uint32_t min_cluster_size, selection_t method)
{
    job_spec_t spec;
    hierarchy_options_t options;
    job_spec_init(&spec);
    spec.min_cluster_size = min_cluster_size;
    spec.selection = method;
    spec.metric = METRIC_EUCLIDEAN;
    hierarchy_options_init(&options, &spec);
    job_spec_clear(&spec);
    return options;
}

static clustering_t cluster(const geometry_t *geometry, uint32_t min_samples,
                            const hierarchy_options_t *options)
{
    geometry_lists_t lists = geometry_lists(geometry, 8, min_samples);
    clustering_t out;
    size_t count;
    edge_t *forest = geometry_forest(geometry, lists.core, &count);
    assert_int_equal(clustering_init(&out, geometry->count, NULL), OK);
    assert_int_equal(hierarchy_cluster_all(forest, count, geometry->partition_begin,
                                           geometry->partition_count, options, &out, NULL),
                     OK);
    free(forest);
    geometry_lists_clear(&lists);
    return out;
}

/* Places on a line; d2 is the square of the gap. */
static geometry_t line(const float *places, uint32_t count)
{
    geometry_t self = geometry_new(count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i + 1; j < count; j++)
            geometry_set(&self, i, j, (places[i] - places[j]) * (places[i] - places[j]));
    return self;
}

static void assert_labels(const clustering_t *clustering, const int32_t *expected)
{
    for (uint32_t i = 0; i < clustering->count; i++)
        assert_int_equal(clustering->label[i], expected[i]);
}

/* The tree of these ten: (0 1 2) at 1, (3 4 5 6) at 1, (7 8) at 1; 0..6 join at 3, 7 8 at 11, 9
 * at 38. */
static const float PLACES[] = {0, 1, 2, 5, 6, 7, 8, 19, 20, 58};

static void two_groups_and_noise(void **state)
{
    (void)state;
    geometry_t geometry = line(PLACES, 10);
    hierarchy_options_t options = options_of(3, SELECTION_EOM);
    clustering_t got = cluster(&geometry, 1, &options);
    /* The larger cluster is number 0 although its slots come later. */
    assert_labels(&got, (int32_t[]){1, 1, 1, 0, 0, 0, 0, -1, -1, -1});
    assert_int_equal(got.cluster_count, 2);
    /* Born at lambda 1/3, all members leave at 1: (1 - 1/3) times the size. */
    assert_true(fabs(got.persistence[0] - 4 * (1 - 1.0 / 3)) < 1e-12);
    assert_true(fabs(got.persistence[1] - 3 * (1 - 1.0 / 3)) < 1e-12);
    for (uint32_t i = 0; i < 7; i++) {
        assert_true(got.strength[i] == 1);
        assert_true(got.outlier[i] == 0);
    }
    assert_true(got.strength[8] == 0);
    /* GLOSH: the noise leaves the root at 1/11 and 1/38, the deepest below the root is 1. */
    assert_true(fabsf(got.outlier[8] - (1 - 1.0f / 11)) < 1e-6f);
    assert_true(fabsf(got.outlier[9] - (1 - 1.0f / 38)) < 1e-6f);
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static void a_member_that_leaves_early_is_weaker(void **state)
{
    (void)state;
    const float places[] = {0, 1, 2, 4, 20, 21, 22};
    geometry_t geometry = line(places, 7);
    hierarchy_options_t options = options_of(3, SELECTION_EOM);
    clustering_t got = cluster(&geometry, 1, &options);
    assert_labels(&got, (int32_t[]){0, 0, 0, 0, 1, 1, 1});
    assert_true(fabsf(got.strength[3] - 0.5f) < 1e-6f); /* left at lambda 1/2, the death is 1 */
    assert_true(got.strength[0] == 1);
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static void leaf_takes_what_eom_joins(void **state)
{
    (void)state;
    /* Two tight pairs of three, close together beside a third group far away. */
    const float places[] = {0, 1, 2, 3.5f, 4.5f, 5.5f, 60, 61, 62};
    geometry_t geometry = line(places, 9);
    hierarchy_options_t eom = options_of(3, SELECTION_EOM), leaf = options_of(3, SELECTION_LEAF);
    clustering_t joined = cluster(&geometry, 1, &eom), split = cluster(&geometry, 1, &leaf);
    assert_labels(&joined, (int32_t[]){0, 0, 0, 0, 0, 0, 1, 1, 1});
    assert_labels(&split, (int32_t[]){0, 0, 0, 1, 1, 1, 2, 2, 2});
    clustering_clear(&joined);
    clustering_clear(&split);
    /* Epsilon over the gap of 1.5 joins the leaves again; one below it does not. */
    leaf.selection.epsilon = 1.6;
    joined = cluster(&geometry, 1, &leaf);
    assert_labels(&joined, (int32_t[]){0, 0, 0, 0, 0, 0, 1, 1, 1});
    leaf.selection.epsilon = 1.4;
    split = cluster(&geometry, 1, &leaf);
    assert_labels(&split, (int32_t[]){0, 0, 0, 1, 1, 1, 2, 2, 2});
    clustering_clear(&joined);
    clustering_clear(&split);
    /* A maximum size under six takes the joined cluster away from eom. */
    eom.selection.max_cluster_size = 5;
    split = cluster(&geometry, 1, &eom);
    assert_labels(&split, (int32_t[]){0, 0, 0, 1, 1, 1, 2, 2, 2});
    clustering_clear(&split);
    geometry_clear(&geometry);
}

static void one_group_is_noise_unless_a_single_cluster_is_allowed(void **state)
{
    (void)state;
    const float places[] = {0, 1, 2, 3, 4, 9};
    geometry_t geometry = line(places, 6);
    hierarchy_options_t options = options_of(3, SELECTION_EOM);
    clustering_t got = cluster(&geometry, 1, &options);
    assert_int_equal(got.cluster_count, 0);
    clustering_clear(&got);
    options.selection.allow_single_cluster = 1;
    got = cluster(&geometry, 1, &options);
    assert_labels(&got, (int32_t[]){0, 0, 0, 0, 0, -1});
    clustering_clear(&got);
    options.selection.epsilon = 6; /* the last point leaves at 5, within epsilon */
    got = cluster(&geometry, 1, &options);
    assert_labels(&got, (int32_t[]){0, 0, 0, 0, 0, 0});
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static void a_tied_split_has_all_its_children_at_once(void **state)
{
    (void)state;
    /* Three groups with gaps of 5 and 5: a binary tree would join two of them first. */
    const float places[] = {0, 1, 2, 7, 8, 9, 14, 15, 16};
    geometry_t geometry = line(places, 9);
    hierarchy_options_t options = options_of(3, SELECTION_EOM);
    clustering_t got = cluster(&geometry, 1, &options);
    assert_labels(&got, (int32_t[]){0, 0, 0, 1, 1, 1, 2, 2, 2});
    for (uint32_t c = 0; c < 3; c++)
        assert_true(fabs(got.persistence[c] - 3 * (1 - 1.0 / 5)) < 1e-12);
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static void assert_finite(const clustering_t *got)
{
    for (uint32_t i = 0; i < got->count; i++) {
        assert_true(got->strength[i] >= 0 && got->strength[i] <= 1);
        assert_true(got->outlier[i] >= 0 && got->outlier[i] <= 1);
    }
    for (uint32_t c = 0; c < got->cluster_count; c++)
        assert_false(isnan(got->persistence[c]));
}

static void repeated_points_make_infinite_lambdas_and_no_nan(void **state)
{
    (void)state;
    const float places[] = {0, 0, 0, 0, 3, 9, 9, 9, 9, 40};
    geometry_t geometry = line(places, 10);
    for (int method = 0; method < 2; method++) {
        hierarchy_options_t options = options_of(3, (selection_t)method);
        clustering_t got = cluster(&geometry, 2, &options);
        assert_labels(&got, (int32_t[]){0, 0, 0, 0, 0, 1, 1, 1, 1, -1});
        assert_true(got.strength[0] == 1);
        assert_true(got.strength[4] == 0); /* its lambda over an infinite death */
        assert_true(got.outlier[4] == 1);
        assert_true(isinf(got.persistence[0]));
        assert_finite(&got);
        clustering_clear(&got);
    }
    geometry_clear(&geometry);
}

static void all_equal_points_are_one_root(void **state)
{
    (void)state;
    const float places[8] = {0};
    geometry_t geometry = line(places, 8);
    hierarchy_options_t options = options_of(2, SELECTION_EOM);
    clustering_t got = cluster(&geometry, 3, &options);
    assert_int_equal(got.cluster_count, 0);
    assert_finite(&got);
    clustering_clear(&got);
    options.selection.allow_single_cluster = 1;
    got = cluster(&geometry, 3, &options);
    assert_int_equal(got.cluster_count, 1);
    assert_int_equal(got.cluster_size[0], 8);
    assert_finite(&got);
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static void a_forest_is_split_at_lambda_zero(void **state)
{
    (void)state;
    geometry_t geometry = line(PLACES, 10);
    geometry_window(&geometry, 0);
    for (uint32_t i = 0; i < 10; i++)
        for (uint32_t j = i + 1; j < 10; j++)
            if (i / 4 == j / 4)
                geometry_set(&geometry, i, j, (float)(1 + (j - i)));
    hierarchy_options_t options = options_of(3, SELECTION_EOM);
    clustering_t got = cluster(&geometry, 1, &options);
    assert_labels(&got, (int32_t[]){0, 0, 0, 0, 1, 1, 1, 1, -1, -1});
    assert_finite(&got);
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static void clusters_are_numbered_by_partition_then_size_then_slot(void **state)
{
    (void)state;
    const float places[] = {0, 1, 2, 30, 31, 32, 60, 61, 62, 63, 0, 1, 2, 3, 4, 30, 31, 32, 33, 34};
    geometry_t geometry = line(places, 20);
    geometry.partition_count = 3;
    geometry.partition_begin[1] = 10;
    geometry.partition_begin[2] = 10; /* an empty one between them */
    geometry.partition_begin[3] = 20;
    for (uint32_t i = 0; i < 10; i++)
        for (uint32_t j = 10; j < 20; j++)
            geometry_set(&geometry, i, j, INFINITY);
    hierarchy_options_t options = options_of(3, SELECTION_LEAF);
    clustering_t got = cluster(&geometry, 1, &options);
    assert_labels(&got, (int32_t[]){1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4});
    assert_int_equal(got.cluster_partition[2], 0);
    assert_int_equal(got.cluster_partition[3], 2);
    uint32_t *begin, *member;
    assert_int_equal(clustering_members(&got, &begin, &member, NULL), OK);
    assert_int_equal(begin[5], 20);
    assert_int_equal(member[0], 6);
    assert_int_equal(member[begin[1]], 0);
    free(begin);
    free(member);
    clustering_clear(&got);
    geometry_clear(&geometry);
}

static geometry_t shuffled(const geometry_t *from, const uint32_t *order)
{
    geometry_t out = geometry_new(from->count);
    for (uint32_t i = 0; i < from->count; i++)
        for (uint32_t j = i + 1; j < from->count; j++)
            geometry_set(&out, i, j, geometry_d2(from, order[i], order[j]));
    return out;
}

static void assert_same_clusters(const clustering_t *plain, const clustering_t *moved,
                                 const uint32_t *order)
{
    int32_t to[256];
    memset(to, 0xff, sizeof to);
    assert_int_equal(plain->cluster_count, moved->cluster_count);
    for (uint32_t i = 0; i < moved->count; i++) {
        int32_t before = plain->label[order[i]], after = moved->label[i];
        assert_int_equal(before < 0, after < 0);
        if (before >= 0 && to[before] < 0)
            to[before] = after;
        if (before >= 0)
            assert_int_equal(to[before], after);
        assert_true(plain->strength[order[i]] == moved->strength[i]);
        assert_true(plain->outlier[order[i]] == moved->outlier[i]);
    }
}

/* The point of contracting equal weights: whichever tied edges the order of the slots lets into the
 * tree, the clusters are the same. */
static void the_order_of_the_slots_changes_nothing(void **state)
{
    (void)state;
    random_t random = {5};
    uint32_t order[200], clusters = 0;
    for (int i = 0; i < 200; i++) {
        uint32_t count = 10 + random_below(&random, 100);
        geometry_t geometry = geometry_grid(&random, count, 2, 4 + random_below(&random, 40), 1);
        for (uint32_t j = 0; j < count; j++) {
            uint32_t k = random_below(&random, j + 1);
            order[j] = order[k];
            order[k] = j;
        }
        geometry_t moved = shuffled(&geometry, order);
        hierarchy_options_t options =
            options_of(2 + random_below(&random, 5), (selection_t)(i % 2));
        uint32_t min_samples = 1 + random_below(&random, 8);
        clustering_t one = cluster(&geometry, min_samples, &options);
        clustering_t two = cluster(&moved, min_samples, &options);
        assert_same_clusters(&one, &two, order);
        clusters += one.cluster_count;
        clustering_clear(&one);
        clustering_clear(&two);
        geometry_clear(&geometry);
        geometry_clear(&moved);
    }
    assert_true(clusters > 200);
}

static void edges_that_are_no_forest_are_refused(void **state)
{
    (void)state;
    linkage_t tree;
    const edge_t circle[] = {{1, 0, 1}, {1, 1, 2}, {1, 0, 2}}, outside[] = {{1, 0, 3}};
    assert_int_equal(linkage_build(circle, 3, 0, 3, METRIC_COSINE, &tree, NULL), ERR_SHAPE);
    assert_int_equal(linkage_build(outside, 1, 0, 3, METRIC_COSINE, &tree, NULL), ERR_SHAPE);
    assert_int_equal(linkage_build(circle, 1, 1, 3, METRIC_COSINE, &tree, NULL), ERR_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_groups_and_noise),
        cmocka_unit_test(a_member_that_leaves_early_is_weaker),
        cmocka_unit_test(leaf_takes_what_eom_joins),
        cmocka_unit_test(one_group_is_noise_unless_a_single_cluster_is_allowed),
        cmocka_unit_test(a_tied_split_has_all_its_children_at_once),
        cmocka_unit_test(repeated_points_make_infinite_lambdas_and_no_nan),
        cmocka_unit_test(all_equal_points_are_one_root),
        cmocka_unit_test(a_forest_is_split_at_lambda_zero),
        cmocka_unit_test(clusters_are_numbered_by_partition_then_size_then_slot),
        cmocka_unit_test(the_order_of_the_slots_changes_nothing),
        cmocka_unit_test(edges_that_are_no_forest_are_refused),
    };
    return cmocka_run_group_tests_name("hierarchy", tests, NULL, NULL);
}
