#include "naive.h"

typedef struct {
    uint32_t *query;
    uint32_t query_count;
    float *core;
    uint32_t *component;
    float *floor;
} reach_in_t;

static void reach_in_init(reach_in_t *in, const fixture_t *fixture)
{
    in->query = malloc(fixture->slots * sizeof *in->query);
    in->core = malloc(fixture->slots * sizeof *in->core);
    in->component = malloc(fixture->slots * sizeof *in->component);
    in->floor = malloc(fixture->slots * sizeof *in->floor);
    in->query_count = 0;
}

static void reach_in_clear(reach_in_t *in)
{
    free(in->query);
    free(in->core);
    free(in->component);
    free(in->floor);
}

static void reach_in_put(fixture_t *fixture, const reach_in_t *in)
{
    columns_writer_t *writer = columns_writer_new("reach_in");
    columns_put(writer, "query", COLUMN_U32, in->query, in->query_count);
    columns_put(writer, "core", COLUMN_F32, in->core, fixture->slots);
    columns_put(writer, "component", COLUMN_U32, in->component, fixture->slots);
    columns_put(writer, "floor", COLUMN_F32, in->floor, in->query_count);
    fixture_finish_input(fixture, "reach_in", writer);
}

/* The 4th neighbour's d2, as min_samples = 5 has it. */
static void find_cores(const fixture_t *fixture, float *core)
{
    naive_neighbour_t *list = malloc(fixture->slots * sizeof *list);
    for (uint32_t slot = 0; slot < fixture->slots; slot++)
        core[slot] = naive_neighbours(fixture, slot, list) >= 4 ? list[3].d2 : INFINITY;
    free(list);
}

typedef struct {
    uint32_t a;
    uint32_t b;
    float weight;
} edge_t;

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* 1 when the first comes before the second in (weight, smaller slot, larger slot). */
static int before(edge_t x, edge_t y)
{
    if (x.weight != y.weight)
        return x.weight < y.weight;
    if (smaller(x.a, x.b) != smaller(y.a, y.b))
        return smaller(x.a, x.b) < smaller(y.a, y.b);
    return larger(x.a, x.b) < larger(y.a, y.b);
}

static edge_t naive_edge(const fixture_t *fixture, const reach_in_t *in, uint32_t q, float floor)
{
    edge_t best = {q, SLOT_NONE, INFINITY};
    for (uint32_t other = 0; other < fixture->slots; other++) {
        if (!naive_pair(fixture, q, other) || in->component[q] == in->component[other])
            continue;
        float weight = fmaxf(naive_between(fixture, q, other), fmaxf(in->core[q], in->core[other]));
        edge_t edge = {q, other, weight};
        if (weight <= floor && isfinite(weight) && (best.b == SLOT_NONE || before(edge, best)))
            best = edge;
    }
    return best;
}

/* Returns the number of edges, every one of them right. */
static size_t check_reach(fixture_t *fixture, const reach_in_t *in)
{
    size_t length;
    fixture->task.kind = TASK_REACH;
    reach_in_put(fixture, in);
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "edges");
    size_t count;
    const void *first;
    assert_int_equal(columns_get(columns, "a", COLUMN_U32, SIZE_MAX, &first, &count, NULL), OK);
    const uint32_t *a = first;
    const uint32_t *b = fixture_column(columns, "b", COLUMN_U32, count);
    const float *weight = fixture_column(columns, "weight", COLUMN_F32, count);
    size_t place = 0;
    for (uint32_t s = 0; s < fixture->task.segment_count; s++) {
        for (uint32_t i = fixture->segments[s].begin; i < fixture->segments[s].end; i++) {
            edge_t expected = naive_edge(fixture, in, in->query[i], in->floor[i]);
            if (expected.b == SLOT_NONE)
                continue;
            assert_true(place < count);
            assert_int_equal(a[place], expected.a);
            assert_int_equal(b[place], expected.b);
            assert_true(weight[place] == expected.weight);
            place++;
        }
    }
    assert_int_equal(place, count);
    columns_close(&columns);
    free(payload);
    return count;
}

static void all_queries(const fixture_t *fixture, reach_in_t *in, float floor)
{
    in->query_count = fixture->slots;
    for (uint32_t i = 0; i < fixture->slots; i++) {
        in->query[i] = i;
        in->floor[i] = floor;
    }
}

static void every_slot_finds_its_lightest_edge_out(void **state)
{
    (void)state;
    for (uint32_t components = 2; components <= 500; components *= 5) {
        fixture_t fixture;
        reach_in_t in;
        fixture_init(&fixture, 900, 20, components);
        reach_in_init(&in, &fixture);
        find_cores(&fixture, in.core);
        uint64_t random = components;
        for (uint32_t i = 0; i < fixture.slots; i++)
            in.component[i] = fixture_random(&random) % components;
        all_queries(&fixture, &in, INFINITY);
        fixture_segment(&fixture, 0, 0, 450);
        fixture_segment(&fixture, 0, 450, 900);
        assert_int_equal(check_reach(&fixture, &in), 900);
        reach_in_clear(&in);
        fixture_clear(&fixture);
    }
}

static void an_edge_at_the_floor_counts_and_one_over_it_does_not(void **state)
{
    (void)state;
    fixture_t fixture;
    reach_in_t in;
    fixture_init(&fixture, 600, 17, 77);
    reach_in_init(&in, &fixture);
    find_cores(&fixture, in.core);
    for (uint32_t i = 0; i < fixture.slots; i++)
        in.component[i] = i % 3;
    all_queries(&fixture, &in, INFINITY);
    for (uint32_t i = 0; i < fixture.slots; i++) {
        in.floor[i] = naive_edge(&fixture, &in, i, INFINITY).weight;
        if (i % 2)
            in.floor[i] = nextafterf(in.floor[i], -1);
    }
    fixture_segment(&fixture, 0, 0, 600);
    assert_int_equal(check_reach(&fixture, &in), 300);
    reach_in_clear(&in);
    fixture_clear(&fixture);
}

static void few_queries_of_several_partitions_within_their_windows(void **state)
{
    (void)state;
    fixture_t fixture;
    reach_in_t in;
    fixture_init(&fixture, 1400, 24, 5);
    fixture.partitions = 2;
    memcpy(fixture.begin, (uint32_t[]){0, 500, 1400}, 3 * sizeof(uint32_t));
    fixture_days(&fixture, 9);
    reach_in_init(&in, &fixture);
    find_cores(&fixture, in.core);
    for (uint32_t i = 0; i < fixture.slots; i++)
        in.component[i] = i / 50;
    uint32_t first_of_second = 0;
    for (uint32_t slot = 0; slot < fixture.slots; slot += 3) {
        first_of_second += slot < 500;
        in.floor[in.query_count] = slot % 2 ? 0.4f : INFINITY;
        in.query[in.query_count++] = slot;
    }
    fixture_segment(&fixture, 1, first_of_second, in.query_count);
    fixture_segment(&fixture, 0, 0, first_of_second);
    assert_true(check_reach(&fixture, &in) > 100);
    reach_in_clear(&in);
    fixture_clear(&fixture);
}

static void slots_without_a_core_distance_have_no_edge(void **state)
{
    (void)state;
    fixture_t fixture;
    reach_in_t in;
    fixture_init(&fixture, 300, 16, 6);
    reach_in_init(&in, &fixture);
    find_cores(&fixture, in.core);
    for (uint32_t i = 0; i < fixture.slots; i++)
        in.component[i] = i;
    for (uint32_t i = 0; i < fixture.slots; i += 2)
        in.core[i] = INFINITY;
    all_queries(&fixture, &in, INFINITY);
    fixture_segment(&fixture, 0, 0, 300);
    assert_int_equal(check_reach(&fixture, &in), 150);
    for (uint32_t i = 1; i < fixture.slots; i += 2)
        in.component[i] = 1; /* now only the others are left to be joined with */
    assert_int_equal(check_reach(&fixture, &in), 0);
    reach_in_clear(&in);
    fixture_clear(&fixture);
}

static void more_queries_than_a_block_are_grouped_by_component(void **state)
{
    (void)state;
    fixture_t fixture;
    reach_in_t in;
    fixture_init(&fixture, 2700, 12, 8);
    reach_in_init(&in, &fixture);
    find_cores(&fixture, in.core);
    uint64_t random = 3;
    for (uint32_t i = 0; i < fixture.slots; i++)
        in.component[i] = fixture_random(&random) % 20 ? UINT32_MAX : i; /* one giant, many small */
    all_queries(&fixture, &in, INFINITY);
    fixture_segment(&fixture, 0, 0, 2700);
    assert_int_equal(check_reach(&fixture, &in), 2700);
    reach_in_clear(&in);
    fixture_clear(&fixture);
}

static void a_single_component_has_no_edges(void **state)
{
    (void)state;
    fixture_t fixture;
    reach_in_t in;
    fixture_init(&fixture, 100, 16, 6);
    reach_in_init(&in, &fixture);
    find_cores(&fixture, in.core);
    memset(in.component, 0, fixture.slots * sizeof *in.component);
    all_queries(&fixture, &in, INFINITY);
    fixture_segment(&fixture, 0, 0, 100);
    assert_int_equal(check_reach(&fixture, &in), 0);
    reach_in_clear(&in);
    fixture_clear(&fixture);
}

static void unusable_inputs_are_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    reach_in_t in;
    fixture_init(&fixture, 50, 16, 6);
    reach_in_init(&in, &fixture);
    find_cores(&fixture, in.core);
    memset(in.component, 0, fixture.slots * sizeof *in.component);
    all_queries(&fixture, &in, INFINITY);
    fixture.task.kind = TASK_REACH;
    fixture_segment(&fixture, 0, 0, 50);
    fixture_refused(&fixture); /* no reach_in */
    in.query[7] = 50;
    reach_in_put(&fixture, &in);
    fixture_refused(&fixture); /* not a slot */
    in.query[7] = 6;
    reach_in_put(&fixture, &in);
    fixture_refused(&fixture); /* twice the same */
    in.query[7] = 7;
    in.query_count = 49;
    reach_in_put(&fixture, &in);
    fixture_refused(&fixture); /* the segment goes beyond */
    fixture.partitions = 2;
    memcpy(fixture.begin, (uint32_t[]){0, 20, 50}, 3 * sizeof(uint32_t));
    fixture_plan(&fixture);
    fixture.segments[0] = (segment_t){0, 0, 30};
    fixture_refused(&fixture); /* queries of another partition */
    fixture.segments[0] = (segment_t){2, 0, 10};
    fixture_refused(&fixture); /* no such partition */
    fixture.segments[0] = (segment_t){0, 10, 5};
    fixture_refused(&fixture);
    fixture_put(&fixture, "reach_in", calloc(1, 64), 64);
    fixture_refused(&fixture); /* not a payload */
    reach_in_clear(&in);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot_finds_its_lightest_edge_out),
        cmocka_unit_test(an_edge_at_the_floor_counts_and_one_over_it_does_not),
        cmocka_unit_test(few_queries_of_several_partitions_within_their_windows),
        cmocka_unit_test(slots_without_a_core_distance_have_no_edge),
        cmocka_unit_test(more_queries_than_a_block_are_grouped_by_component),
        cmocka_unit_test(a_single_component_has_no_edges),
        cmocka_unit_test(unusable_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
