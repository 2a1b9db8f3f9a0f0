/* The payload of a task is the same byte by byte over back ends, screens and threads. */
#include "naive.h"
#include "proto/job_spec.h"

typedef struct {
    uint8_t *bytes;
    size_t length;
} payload_t;

/* Runs the fixture's task on every combination and compares with the first. */
static void check_all(fixture_t *fixture)
{
    static const int screens[] = {SCREEN_NONE, SCREEN_OWN, SCREEN_OPENBLAS};
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    payload_t first = {0};
    for (size_t b = 0; b < count; b++) {
        for (size_t s = 0; s < 3; s++) {
            for (uint32_t threads = 1; threads <= 2; threads++) {
                size_t length;
                fixture_compute(fixture, threads, &backends[b], screens[s]);
                uint8_t *bytes = fixture_run(fixture, &length);
                if (!first.bytes) {
                    first = (payload_t){bytes, length};
                    continue;
                }
                assert_int_equal(length, first.length);
                assert_memory_equal(bytes, first.bytes, length);
                free(bytes);
            }
        }
    }
    free(first.bytes);
}

static void put_reach_in(fixture_t *fixture)
{
    uint32_t slots = fixture->slots;
    uint32_t *query = malloc(slots * sizeof *query);
    uint32_t *component = malloc(slots * sizeof *component);
    float *core = malloc(slots * sizeof *core);
    float *floor = malloc(slots * sizeof *floor);
    for (uint32_t i = 0; i < slots; i++) {
        query[i] = i;
        component[i] = i % 5;
        core[i] = i % 7 ? naive_between(fixture, i, (i + 11) % slots) : 0;
        floor[i] = i % 3 ? INFINITY : 1;
    }
    columns_writer_t *writer = columns_writer_new("reach_in");
    columns_put(writer, "query", COLUMN_U32, query, slots);
    columns_put(writer, "core", COLUMN_F32, core, slots);
    columns_put(writer, "component", COLUMN_U32, component, slots);
    columns_put(writer, "floor", COLUMN_F32, floor, slots);
    fixture_finish_input(fixture, "reach_in", writer);
    free(query);
    free(component);
    free(core);
    free(floor);
}

static void put_centres_and_members(fixture_t *fixture)
{
    const uint32_t begin[] = {0, 20};
    columns_writer_t *writer = columns_writer_new("centres");
    columns_put(writer, "centre", COLUMN_F32, fixture->values, 20 * (size_t)fixture->dimension);
    columns_put(writer, "centre_begin", COLUMN_U32, begin, 2);
    fixture_finish_input(fixture, "centres", writer);
    const uint32_t cluster_begin[] = {0, 100, 103, 420};
    writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, cluster_begin, 4);
    uint32_t member[420];
    for (uint32_t i = 0; i < 420; i++)
        member[i] = i;
    columns_put(writer, "member", COLUMN_U32, member, 420);
    fixture_finish_input(fixture, "members", writer);
}

static void check_kinds(fixture_t *fixture)
{
    fixture_segment(fixture, 0, 0, fixture->slots);
    fixture_param(fixture, "k", 9);
    fixture_param(fixture, "seed", 9);
    put_reach_in(fixture);
    put_centres_and_members(fixture);
    static const task_kind_t kinds[] = {TASK_KNN, TASK_REACH, TASK_SEED, TASK_ASSIGN, TASK_LINKAGE};
    fixture_param(fixture, "method", LINKAGE_WARD);
    fixture_param(fixture, "metric", METRIC_EUCLIDEAN);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fixture->task.kind = kinds[i];
        check_all(fixture);
    }
    fixture->task.kind = TASK_SUMMARISE;
    fixture->segments[0] = (segment_t){0, 0, 3};
    check_all(fixture);
}

static void made_vectors_with_many_ties_and_duplicates(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 900, 35, 8);
    check_kinds(&fixture);
    fixture_clear(&fixture);
}

static void real_vectors(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init_file(&fixture, TEST_DATA "/wiki2015/events.index");
    check_kinds(&fixture);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_vectors_with_many_ties_and_duplicates),
        cmocka_unit_test(real_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
