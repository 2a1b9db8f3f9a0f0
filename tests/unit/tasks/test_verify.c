/* What verify tasks find makes a spanning tree the lightest of all, on friendly and on hostile
 * geometry, whatever tree they begin with. */
#include "coded_fixture.h"
#include "naive.h"

#include "common/graph/bottleneck.h"
#include "common/graph/lightest.h"

/* What the coordinator would know, and what it ought to find. */
typedef struct {
    float *core;
    float *bound;
    edge_pile_t known;
    edge_pile_t all;
} truth_t;

static void add(edge_pile_t *pile, const truth_t *truth, uint32_t a, uint32_t b, float d2)
{
    edge_t edge = edge_between(a, b, fmaxf(d2, fmaxf(truth->core[a], truth->core[b])));
    if (edge.weight < INFINITY)
        assert_int_equal(edge_pile_add(pile, &edge, NULL), OK);
}

/* Lists of k neighbours; every fifth ends at half of its last distance, as a radius would end it. */
static void know_lists(const fixture_t *self, uint32_t k, truth_t *truth)
{
    naive_neighbour_t *lists = malloc(((size_t)self->slots * self->slots + 1) * sizeof *lists);
    size_t *counts = malloc((self->slots + 1) * sizeof *counts);
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        naive_neighbour_t *list = lists + (size_t)slot * self->slots;
        size_t count = counts[slot] = naive_neighbours(self, slot, list);
        truth->core[slot] = count > k / 2 ? list[k / 2].d2 : INFINITY;
        truth->bound[slot] = count > k ? list[k - 1].d2 : INFINITY;
        if (slot % 5 == 4 && count > k)
            truth->bound[slot] = fmaxf(truth->bound[slot] / 2, truth->core[slot]);
    }
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        const naive_neighbour_t *list = lists + (size_t)slot * self->slots;
        for (size_t i = 0; i < counts[slot]; i++) {
            add(&truth->all, truth, slot, list[i].slot, list[i].d2);
            if (i < k && (slot % 5 != 4 || list[i].d2 <= truth->bound[slot]))
                add(&truth->known, truth, slot, list[i].slot, list[i].d2);
        }
    }
    free(lists);
    free(counts);
}

/* Nothing but some spanning tree: what is unknown may weigh anything. */
static void know_little(const fixture_t *self, truth_t *truth)
{
    uint64_t random = 3;
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        uint32_t other = slot ? fixture_random(&random) % slot : 0;
        truth->bound[slot] = 0;
        if (slot && naive_pair(self, slot, other))
            add(&truth->known, truth, slot, other, naive_between(self, slot, other));
    }
}

/* The known forest is whole: what searches find joins its parts. */
static void join_parts(const fixture_t *self, truth_t *truth)
{
    assert_int_equal(edge_pile_reduce(&truth->all, NULL), OK);
    edge_pile_t joined = truth->known;
    truth->known = (edge_pile_t){.nodes = self->slots};
    assert_int_equal(edge_pile_reduce(&joined, NULL), OK);
    size_t known = joined.count;
    for (size_t i = 0; i < truth->all.count; i++) { /* behind all that was known */
        edge_t edge = truth->all.edges[i];
        edge.weight += 1e6f;
        assert_int_equal(edge_pile_add(&joined, &edge, NULL), OK);
    }
    assert_int_equal(edge_pile_reduce(&joined, NULL), OK);
    assert_true(joined.count >= known);
    for (size_t i = 0; i < joined.count; i++) {
        edge_t edge = joined.edges[i];
        if (i < known)
            assert_int_equal(edge_pile_add(&truth->known, &edge, NULL), OK);
        else
            add(&truth->known, truth, edge.a, edge.b, naive_between(self, edge.a, edge.b));
    }
    assert_int_equal(edge_pile_reduce(&truth->known, NULL), OK);
    edge_pile_clear(&joined);
}

static truth_t truth_of(const fixture_t *self, uint32_t k, int lists)
{
    truth_t truth = {malloc((self->slots + 1) * sizeof(float)),
                     malloc((self->slots + 1) * sizeof(float)),
                     {0},
                     {0}};
    edge_pile_init(&truth.known, self->slots);
    edge_pile_init(&truth.all, self->slots);
    know_lists(self, k, &truth);
    if (!lists) {
        edge_pile_clear(&truth.known);
        know_little(self, &truth);
    }
    join_parts(self, &truth);
    return truth;
}

static void truth_clear(truth_t *truth)
{
    free(truth->core);
    free(truth->bound);
    edge_pile_clear(&truth->known);
    edge_pile_clear(&truth->all);
}

static void put_tree(fixture_t *self, const truth_t *truth)
{
    size_t count = truth->known.count;
    columns_writer_t *writer = columns_writer_new("tree");
    uint32_t *a = columns_make(writer, "a", COLUMN_U32, count);
    for (size_t i = 0; i < count; i++)
        a[i] = truth->known.edges[i].a;
    uint32_t *b = columns_make(writer, "b", COLUMN_U32, count);
    for (size_t i = 0; i < count; i++)
        b[i] = truth->known.edges[i].b;
    float *weight = columns_make(writer, "weight", COLUMN_F32, count);
    for (size_t i = 0; i < count; i++)
        weight[i] = truth->known.edges[i].weight;
    columns_put(writer, "core", COLUMN_F32, truth->core, self->slots);
    columns_put(writer, "bound", COLUMN_F32, truth->bound, self->slots);
    fixture_finish_input(self, "tree", writer);
}

/* Runs the segments as one task; what it found goes into the pile. */
static void take_found(fixture_t *self, edge_pile_t *pile)
{
    size_t length, count;
    uint8_t *bytes = fixture_run(self, &length);
    columns_t *edges = fixture_result(bytes, length, "edges");
    const void *a;
    assert_int_equal(columns_get(edges, "a", COLUMN_U32, SIZE_MAX, &a, &count, NULL), OK);
    const uint32_t *b = fixture_column(edges, "b", COLUMN_U32, count);
    const float *weight = fixture_column(edges, "weight", COLUMN_F32, count);
    edge_t last = {-1, 0, 0};
    for (size_t i = 0; i < count; i++) {
        edge_t edge = {weight[i], ((const uint32_t *)a)[i], b[i]};
        assert_true(edge_compare(&last, &edge) < 0);
        assert_int_equal(edge_pile_add(pile, &edge, NULL), OK);
        last = edge;
    }
    columns_close(&edges);
    free(bytes);
}

/* Positions of all partitions, each cut at `cuts` places; a task a piece, or one task of all. */
static edge_pile_t verify(fixture_t *self, const truth_t *truth, uint32_t cuts, int one_task)
{
    edge_pile_t out;
    edge_pile_init(&out, self->slots);
    for (size_t i = 0; i < truth->known.count; i++)
        assert_int_equal(edge_pile_add(&out, &truth->known.edges[i], NULL), OK);
    self->task.segment_count = 0;
    for (uint32_t p = 0; p < self->partitions; p++)
        for (uint32_t c = 0; c <= cuts; c++) {
            uint32_t begin = self->begin[p], size = self->begin[p + 1] - begin;
            fixture_segment(self, p, begin + size * c / (cuts + 1),
                            begin + size * (c + 1) / (cuts + 1));
            if (one_task)
                continue;
            take_found(self, &out);
            self->task.segment_count = 0;
        }
    if (one_task)
        take_found(self, &out);
    assert_int_equal(edge_pile_reduce(&out, NULL), OK);
    return out;
}

static size_t check(fixture_t *self, uint32_t k, int lists, uint32_t cuts, int one_task)
{
    truth_t truth = truth_of(self, k, lists);
    size_t missing = 0;
    put_tree(self, &truth);
    turn_to(self, TASK_VERIFY, 5);
    edge_pile_t found = verify(self, &truth, cuts, one_task);
    assert_int_equal(found.count, truth.all.count);
    for (size_t i = 0; i < found.count; i++)
        assert_int_equal(edge_compare(&found.edges[i], &truth.all.edges[i]), 0);
    for (size_t i = 0; i < truth.known.count; i++)
        missing += edge_compare(&truth.known.edges[i], &truth.all.edges[i]) != 0;
    edge_pile_clear(&found);
    truth_clear(&truth);
    return missing;
}

static void check_all(fixture_t *self, uint32_t k)
{
    check(self, k, 1, 0, 1);
    check(self, k, 1, 2, 0);
    check(self, k, 0, 1, 1);
}

static void hostile_geometry_gives_the_one_tree(void **state)
{
    static const uint32_t SLOTS[] = {1, 2, 5, 63, 65, 200};
    static const uint32_t DIMENSIONS[] = {64, 100, 200};
    (void)state;
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t s = 0; s < sizeof SLOTS / sizeof *SLOTS; s++) {
            fixture_t fixture;
            made_init(&fixture, SHAPES[shape].fill, SLOTS[s], DIMENSIONS[(s + shape) % 3]);
            print_message("%s, %u\n", SHAPES[shape].name, SLOTS[s]);
            put_codes(&fixture);
            check_all(&fixture, 1 + (uint32_t)(s + shape) % 5);
            fixture_clear(&fixture);
        }
}

/* The lists miss edges of the tree: else nothing would be tested. */
static void groups_larger_than_the_lists_are_joined(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 900, 128);
    put_codes(&fixture);
    assert_true(check(&fixture, 3, 1, 1, 0) > 5);
    fixture_clear(&fixture);
}

/* From a tree of nothing but wrong edges thousands of lighter ones are found and taken in. */
static void any_tree_will_do_to_begin_with(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 1500, 64);
    put_codes(&fixture);
    assert_true(check(&fixture, 3, 0, 0, 1) > 1000);
    fixture_clear(&fixture);
}

static void partitions_and_windows_give_the_one_forest(void **state)
{
    (void)state;
    for (int window = 0; window < 2; window++) {
        fixture_t fixture;
        made_init(&fixture, around_centres, 600, 128);
        fixture.partitions = 3;
        fixture.begin[1] = 10;
        fixture.begin[2] = 350;
        fixture.begin[3] = 600;
        fixture_plan(&fixture);
        if (window)
            fixture_days(&fixture, 7);
        put_codes(&fixture);
        check_all(&fixture, 4);
        fixture_clear(&fixture);
    }
}

static void every_back_end_gives_the_one_tree(void **state)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    (void)state;
    for (size_t b = 0; b < count; b++)
        for (uint32_t threads = 1; threads <= 3; threads += 2) {
            fixture_t fixture;
            made_init(&fixture, around_centres, 300, 192);
            fixture_compute(&fixture, threads, &backends[b], b ? SCREEN_OWN : SCREEN_NONE);
            if (threads > 1) /* and vectors are read once */
                fixture.vectors = kept_vectors_new(fixture.index, SIZE_MAX);
            put_codes(&fixture);
            check_all(&fixture, 3);
            fixture_clear(&fixture);
        }
}

static void refuse_tree(fixture_t *self, const truth_t *truth)
{
    put_tree(self, truth);
    turn_to(self, TASK_VERIFY, 5);
    fixture_refused(self);
}

static void a_tree_that_is_none_is_refused(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 100, 64);
    fixture.partitions = 2;
    fixture.begin[1] = 40;
    fixture.begin[2] = 100;
    fixture_plan(&fixture);
    put_codes(&fixture);
    every_partition(&fixture);
    truth_t truth = truth_of(&fixture, 3, 1);
    edge_t *edges = truth.known.edges, second = edges[1];
    edges[1] = edges[0];
    refuse_tree(&fixture, &truth); /* twice */
    edges[1] = second;
    edges[97].b = 100;
    refuse_tree(&fixture, &truth); /* beyond all slots */
    edges[97] = (edge_t){1e9f, 39, 40};
    refuse_tree(&fixture, &truth); /* into another partition */
    truth_clear(&truth);
    fixture.task.input_count = 4;
    fixture_refused(&fixture); /* without one */
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_geometry_gives_the_one_tree),
        cmocka_unit_test(groups_larger_than_the_lists_are_joined),
        cmocka_unit_test(any_tree_will_do_to_begin_with),
        cmocka_unit_test(partitions_and_windows_give_the_one_forest),
        cmocka_unit_test(every_back_end_gives_the_one_tree),
        cmocka_unit_test(a_tree_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
