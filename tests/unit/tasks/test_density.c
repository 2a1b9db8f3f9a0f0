/* The all-points core distances, inner nodes and sparseness of clusters, against the definition in
 * long double and a tree by sorting all pairs. */
#include "naive.h"

#include "proto/job_spec.h"
#include "worker/tasks/all_points.h"

#define CLUSTERS 5u

/* Every second slot is in a cluster: of 1, 2, 3 and 40 members, and of all others. */
static void put_members(fixture_t *self, uint32_t begin[CLUSTERS + 1])
{
    uint32_t count = self->slots / 2;
    const uint32_t begins[CLUSTERS + 1] = {0, 1, 3, 6, 46, count};
    uint32_t *member = malloc((count + 1) * sizeof *member);
    for (uint32_t i = 0; i < count; i++)
        member[i] = 2 * i;
    memcpy(begin, begins, sizeof begins);
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, begins, CLUSTERS + 1);
    columns_put(writer, "member", COLUMN_U32, member, count);
    fixture_finish_input(self, "members", writer);
    self->task.kind = TASK_DENSITY;
    free(member);
}

/* ---- the definition ---- */

static double core_of(const fixture_t *self, uint32_t i, uint32_t begin, uint32_t end,
                      metric_t metric)
{
    long double sum = 0, nearest = INFINITY;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t j = begin; j < end; j++) {
            float d2 = j == i ? 0 : naive_between(self, 2 * i, 2 * j);
            long double away = metric_distance(metric, d2);
            if (away > 0 && pass == 0)
                nearest = fminl(nearest, away);
            else if (away > 0)
                sum += expl((long double)self->dimension * logl(nearest / away));
        }
    if (sum == 0)
        return 0;
    long double root = expl(logl((end - begin - 1) / sum) / self->dimension);
    return (double)(nearest * root);
}

typedef struct {
    float weight;
    uint32_t a, b;
} naive_edge_t;

static int by_order(const void *left, const void *right)
{
    const naive_edge_t *x = left, *y = right;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static uint32_t root_of(const uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i];
    return i;
}

/* The tree of members [begin, end) by Kruskal, its edges first in `edges`. */
static uint32_t tree_of(const fixture_t *self, uint32_t begin, uint32_t size, const float *core,
                        naive_edge_t *edges)
{
    uint32_t count = 0, kept = 0;
    uint32_t *parent = malloc((size + 1) * sizeof *parent);
    for (uint32_t i = 0; i < size; i++) {
        parent[i] = i;
        for (uint32_t j = i + 1; j < size; j++) {
            float d2 = naive_between(self, 2 * (begin + i), 2 * (begin + j));
            edges[count++] = (naive_edge_t){fmaxf(d2, fmaxf(core[i], core[j])), i, j};
        }
    }
    qsort(edges, count, sizeof *edges, by_order);
    for (uint32_t e = 0; e < count; e++) {
        uint32_t a = root_of(parent, edges[e].a), b = root_of(parent, edges[e].b);
        if (a == b)
            continue;
        parent[a] = b;
        edges[kept++] = edges[e];
    }
    free(parent);
    return kept;
}

static void assert_inside(const fixture_t *self, uint32_t begin, uint32_t end, const float *core,
                          const uint8_t *inner, float sparseness)
{
    uint32_t size = end - begin, nodes = 0;
    naive_edge_t *edges = malloc(((size_t)size * size + 1) * sizeof *edges);
    uint32_t *degree = calloc(size + 1, sizeof *degree), kept;
    float inside = -1, all = 0;
    kept = tree_of(self, begin, size, core, edges);
    for (uint32_t e = 0; e < kept; e++) {
        degree[edges[e].a]++;
        degree[edges[e].b]++;
    }
    for (uint32_t e = 0; e < kept; e++) {
        all = fmaxf(all, edges[e].weight);
        if (degree[edges[e].a] > 1 && degree[edges[e].b] > 1)
            inside = fmaxf(inside, edges[e].weight);
    }
    for (uint32_t i = 0; i < size; i++)
        nodes += degree[i] > 1;
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(inner[i], nodes > 0 ? degree[i] > 1 : size > 1);
    assert_true(sparseness == (inside < 0 ? all : inside));
    free(edges);
    free(degree);
}

static void assert_as_defined(const fixture_t *self, const uint32_t *begin, metric_t metric,
                              const columns_t *columns)
{
    uint32_t count = self->slots / 2;
    const float *core = fixture_column(columns, "core", COLUMN_F32, count);
    const uint8_t *inner = fixture_column(columns, "inner", COLUMN_U8, count);
    const float *sparseness = fixture_column(columns, "sparseness", COLUMN_F32, CLUSTERS);
    for (uint32_t c = 0; c < CLUSTERS; c++) {
        for (uint32_t i = begin[c]; i < begin[c + 1]; i++) {
            double expected = core_of(self, i, begin[c], begin[c + 1], metric);
            double found = metric_distance(metric, core[i]);
            assert_true(fabs(found - expected) <= 1e-7 * expected);
        }
        assert_inside(self, begin[c], begin[c + 1], core + begin[c], inner + begin[c],
                      sparseness[c]);
    }
}

/* ---- what is checked ---- */

/* The last cluster is one that all threads do together; a third of the vectors are copies. */
static void densities_are_those_of_the_definition(void **state)
{
    (void)state;
    static const struct {
        uint32_t slots, dimension, threads;
        metric_t metric;
    } RUNS[] = {
        {300, 3, 1, METRIC_COSINE},      {300, 768, 2, METRIC_COSINE},
        {300, 768, 3, METRIC_EUCLIDEAN}, {300, 1, 2, METRIC_EUCLIDEAN},
        {2300, 5, 1, METRIC_EUCLIDEAN},  {2300, 40, 3, METRIC_COSINE},
    };
    for (size_t run = 0; run < sizeof RUNS / sizeof *RUNS; run++) {
        size_t length;
        uint32_t begin[CLUSTERS + 1];
        fixture_t fixture;
        fixture_init(&fixture, RUNS[run].slots, RUNS[run].dimension, 6);
        fixture_compute(&fixture, RUNS[run].threads, NULL, SCREEN_AUTO);
        put_members(&fixture, begin);
        fixture_param(&fixture, "euclidean", RUNS[run].metric == METRIC_EUCLIDEAN);
        fixture_segment(&fixture, 0, 0, CLUSTERS);
        uint8_t *payload = fixture_run(&fixture, &length);
        columns_t *columns = fixture_result(payload, length, "density");
        assert_as_defined(&fixture, begin, RUNS[run].metric, columns);
        columns_close(&columns);
        free(payload);
        fixture_clear(&fixture);
    }
}

static void clusters_of_other_tasks_do_not_count(void **state)
{
    (void)state;
    size_t length, rest;
    uint32_t begin[CLUSTERS + 1];
    fixture_t fixture;
    fixture_init(&fixture, 300, 16, 6);
    put_members(&fixture, begin);
    fixture_segment(&fixture, 0, 0, CLUSTERS);
    uint8_t *whole = fixture_run(&fixture, &length);
    fixture.segments[0] = (segment_t){0, 3, 4};
    uint8_t *part = fixture_run(&fixture, &rest);
    columns_t *all = fixture_result(whole, length, "density");
    columns_t *some = fixture_result(part, rest, "density");
    const float *core = fixture_column(all, "core", COLUMN_F32, 150);
    assert_memory_equal(fixture_column(some, "core", COLUMN_F32, 40), core + begin[3],
                        40 * sizeof *core);
    fixture_column(some, "sparseness", COLUMN_F32, 1);
    columns_close(&all);
    columns_close(&some);
    free(whole);
    free(part);
    fixture.segments[0].end = CLUSTERS + 1;
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

/* At 768 dimensions the sum of the definition is 10^1536 at a distance of .01: it is never formed. */
static void no_dimension_overflows(void **state)
{
    (void)state;
    static const uint32_t DIMENSIONS[] = {1, 2, 3, 17, 768, 2048};
    for (size_t i = 0; i < sizeof DIMENSIONS / sizeof *DIMENSIONS; i++)
        for (float d2 = 1e-20f; d2 < 5; d2 *= 17)
            for (int metric = 0; metric < 2; metric++) {
                all_points_t points;
                float same[] = {d2, 0, d2, d2}, apart[] = {0, d2, 4, 4, 4, 4};
                all_points_init(&points, (metric_t)metric, DIMENSIONS[i]);
                float core = all_points_core(&points, same, 4);
                assert_true(fabsf(core - d2) <= 2e-7f * d2);
                core =
                    all_points_core(&points, apart, 6); /* at most 5^(1/d) times, as a distance */
                assert_true(core >= d2 && core <= 25.01f * d2);
            }
    all_points_t points;
    all_points_init(&points, METRIC_COSINE, 768);
    assert_true(all_points_core(&points, (const float[]){0, 0, 0}, 3) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(densities_are_those_of_the_definition),
        cmocka_unit_test(clusters_of_other_tasks_do_not_count),
        cmocka_unit_test(no_dimension_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
