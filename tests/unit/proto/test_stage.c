/* A stage comes back as it went, and a damaged one is refused rather than believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "proto/task.h"

static void encode_sample(uint8_t **bytes, size_t *length)
{
    uint32_t begin[] = {0, 2, 2, 3};
    segment_t segments[] = {{0, 0, 10}, {1, 10, 15}, {2, 20, 20}};
    uint64_t work[] = {100, 0, 7};
    stage_t stage = {.kind = TASK_KNN,
                     .task_count = 3,
                     .segment_begin = begin,
                     .segments = segments,
                     .work = work,
                     .input_count = 1,
                     .param_count = 2};
    strcpy(stage.inputs[0].name, "plan");
    stage.inputs[0].sha256.bytes[31] = 9;
    strcpy(stage.params[0].name, "k");
    stage.params[0].value = 31;
    strcpy(stage.params[1].name, "seed");
    assert_int_equal(stage_encode(&stage, bytes, length, NULL), OK);
}

static void a_stage_comes_back_as_it_went(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t length;
    stage_t stage;
    encode_sample(&bytes, &length);
    assert_int_equal(stage_decode(bytes, length, &stage, NULL), OK);
    assert_int_equal(stage.kind, TASK_KNN);
    assert_int_equal(stage.task_count, 3);
    assert_int_equal(stage.segment_begin[3], 3);
    assert_int_equal(stage.segments[1].begin, 10);
    assert_int_equal(stage.segments[1].end, 15);
    assert_int_equal(stage.work[2], 7);
    assert_int_equal(stage.input_count, 1);
    assert_string_equal(stage.inputs[0].name, "plan");
    assert_int_equal(stage.inputs[0].sha256.bytes[31], 9);
    assert_string_equal(stage.params[0].name, "k");
    assert_true(stage.params[0].value == 31);
    stage_clear(&stage);
    free(bytes);
}

static void a_damaged_stage_is_refused_or_consistent(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t length;
    random_t random = {11};
    encode_sample(&bytes, &length);
    uint8_t *copy = malloc(length);
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, bytes, length);
        for (uint32_t n = 1 + random_below(&random, 4); n > 0; n--)
            copy[random_below(&random, (uint32_t)length)] = (uint8_t)random_next(&random);
        stage_t stage;
        error_t error = ERROR_INIT;
        if (stage_decode(copy, length, &stage, &error)) {
            assert_true(error.message[0] != 0);
            continue;
        }
        for (uint32_t t = 0; t < stage.task_count; t++)
            for (uint32_t s = stage.segment_begin[t]; s < stage.segment_begin[t + 1]; s++)
                assert_true(stage.segments[s].begin <= stage.segments[s].end);
        stage_clear(&stage);
    }
    free(copy);
    free(bytes);
}

static void a_task_finds_its_inputs_and_params_by_name(void **state)
{
    (void)state;
    task_t task = {.input_count = 1, .param_count = 1};
    strcpy(task.inputs[0].name, "plan");
    strcpy(task.params[0].name, "k");
    task.params[0].value = 4;
    assert_ptr_equal(task_input(&task, "plan"), &task.inputs[0].sha256);
    assert_null(task_input(&task, "core"));
    assert_true(task_param(&task, "k", 1) == 4);
    assert_true(task_param(&task, "seed", 1) == 1);
}

static void every_task_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++) {
        task_kind_t back;
        assert_true(task_kind_parse(task_kind_name((task_kind_t)kind), &back));
        assert_int_equal(back, kind);
    }
    task_kind_t untouched;
    assert_false(task_kind_parse("small", &untouched));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_comes_back_as_it_went),
        cmocka_unit_test(a_damaged_stage_is_refused_or_consistent),
        cmocka_unit_test(a_task_finds_its_inputs_and_params_by_name),
        cmocka_unit_test(every_task_kind_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
