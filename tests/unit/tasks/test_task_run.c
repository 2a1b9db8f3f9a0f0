#include "naive.h"

#include <pthread.h>
#include <sched.h>

typedef struct {
    fixture_t fixture;
    uint64_t done_at_stop;
} stopped_t;

/* As soon as the task has begun. */
static void *stop_soon(void *context)
{
    stopped_t *stopped = context;
    while (!atomic_load(&stopped->fixture.work_done))
        sched_yield();
    atomic_store(&stopped->fixture.stop, 1);
    stopped->done_at_stop = atomic_load(&stopped->fixture.work_done);
    return NULL;
}

/* The slowest back end there is, on work of minutes: after the stop each thread may finish what it
 * is at, some rows against a tile, and no more. */
static void a_running_task_stops_soon(void **state)
{
    (void)state;
    stopped_t stopped;
    fixture_t *fixture = &stopped.fixture;
    fixture_init(fixture, 20000, 768, 1);
    const dist2_backend_t *backends;
    dist2_backends(&backends);
    fixture_compute(fixture, 2, &backends[0], SCREEN_NONE);
    fixture->task.kind = TASK_KNN;
    fixture_param(fixture, "k", 8);
    fixture_segment(fixture, 0, 0, 20000);
    fixture->task.work = 20000ull * 20000;
    pthread_t thread;
    uint8_t *payload;
    size_t length;
    error_t error = ERROR_INIT;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stopped), 0);
    assert_int_equal(fixture_try(fixture, &payload, &length, &error), ERR_CANCELLED);
    pthread_join(thread, NULL);
    assert_null(payload);
    assert_true(atomic_load(&fixture->work_done) - stopped.done_at_stop <= 2 * 16 * 512);
    fixture_clear(fixture);
}

static void a_stopped_task_does_not_begin(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 20, 16, 1);
    fixture_param(&fixture, "k", 8);
    fixture_param(&fixture, "seed", 8);
    fixture_segment(&fixture, 0, 0, 20);
    atomic_store(&fixture.stop, 1);
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++) {
        uint8_t *payload;
        size_t length;
        fixture.task.kind = (task_kind_t)kind;
        assert_int_equal(fixture_try(&fixture, &payload, &length, NULL), ERR_CANCELLED);
    }
    fixture_clear(&fixture);
}

static void an_unusable_task_is_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 20, 16, 1);
    fixture.task.kind = TASK_KNN;
    fixture_segment(&fixture, 0, 0, 20);
    fixture_refused(&fixture); /* no k */
    fixture_param(&fixture, "k", 0);
    fixture_refused(&fixture);
    fixture_param(&fixture, "k", 1e12);
    fixture_refused(&fixture);
    fixture_param(&fixture, "k", 3);
    fixture.segments[0].end = 21;
    fixture_refused(&fixture); /* beyond the partition */
    fixture.segments[0] = (segment_t){1, 0, 20};
    fixture_refused(&fixture); /* no such partition */
    fixture.segments[0] = (segment_t){0, 5, 4};
    fixture_refused(&fixture);
    fixture.segments[0] = (segment_t){0, 0, 20};
    fixture.task.dimension = 17;
    fixture_refused(&fixture);
    fixture.task.dimension = 16;
    fixture.task.kind = TASK_KIND_COUNT;
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

static void an_unusable_plan_is_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 20, 16, 1);
    fixture.task.kind = TASK_KNN;
    fixture_param(&fixture, "k", 3);
    fixture_segment(&fixture, 0, 0, 20);
    fixture.rows[3] = 20;
    fixture_plan(&fixture);
    fixture_refused(&fixture); /* not a row of the index */
    fixture.rows[3] = 3;
    fixture.begin[1] = 19;
    fixture_plan(&fixture);
    fixture_refused(&fixture); /* a slot without partition */
    fixture.partitions = 2;
    memcpy(fixture.begin, (uint32_t[]){0, 25, 20}, 3 * sizeof(uint32_t));
    fixture_plan(&fixture);
    fixture_refused(&fixture); /* falling */
    fixture.partitions = 1;
    fixture.begin[1] = 20;
    fixture.window[0] = 5;
    fixture_plan(&fixture);
    fixture_refused(&fixture); /* a window without days */
    fixture_days(&fixture, 5);
    fixture.day[7] = 0;
    fixture_plan(&fixture);
    fixture_refused(&fixture); /* days that fall */
    fixture.dimension = 17;
    fixture_plan(&fixture);
    fixture_refused(&fixture);
    fixture.dimension = 16;
    uint8_t *garbage = malloc(64);
    memset(garbage, 0xa5, 64);
    fixture_put(&fixture, "plan", garbage, 64);
    fixture_refused(&fixture);
    fixture.task.input_count = 0;
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

/* Every byte of a plan in turn has a bit turned: any answer but a crash will do. */
static void a_damaged_plan_does_no_harm(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 30, 16, 1);
    fixture_days(&fixture, 3);
    fixture.task.kind = TASK_KNN;
    fixture_param(&fixture, "k", 3);
    fixture_segment(&fixture, 0, 0, 30);
    fixture_input_t *plan = &fixture.inputs[0];
    for (size_t i = 0; i < plan->length; i++) {
        uint8_t *payload = NULL;
        size_t length;
        plan->bytes[i] ^= (uint8_t)(1 << i % 8);
        int code = fixture_try(&fixture, &payload, &length, NULL);
        assert_true(code == OK || code == ERR_PROTOCOL);
        free(payload);
        plan->bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_task_stops_soon),
        cmocka_unit_test(a_stopped_task_does_not_begin),
        cmocka_unit_test(an_unusable_task_is_refused),
        cmocka_unit_test(an_unusable_plan_is_refused),
        cmocka_unit_test(a_damaged_plan_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
