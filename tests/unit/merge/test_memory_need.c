#include "coordinator/plan/memory_need.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static memory_shape_t news(uint32_t rows)
{
    return (memory_shape_t){.rows = rows,
                            .dimension = 768,
                            .metadata_bytes = (uint64_t)rows * 390,
                            .code_width = memory_code_width(768),
                            .vectors = 1024 * MIB};
}

static job_spec_t spec_of(algorithm_t algorithm)
{
    job_spec_t spec;
    job_spec_init(&spec);
    spec.algorithm = algorithm;
    spec.k = 1000;
    return spec;
}

static void more_of_anything_needs_more(void **state)
{
    (void)state;
    memory_place_t one = {.workers = 1, .threads = 2}, four = {.workers = 4, .threads = 2};
    for (int algorithm = 0; algorithm < 2; algorithm++) {
        job_spec_t spec = spec_of((algorithm_t)algorithm);
        for (uint32_t rows = 100000; rows < 3000000; rows += 333333) {
            memory_shape_t some = news(rows), more = news(rows + 50000);
            assert_true(memory_need(&spec, &some, &one) < memory_need(&spec, &more, &one));
            assert_true(memory_need(&spec, &some, &one) < memory_need(&spec, &some, &four));
            assert_true(memory_need_worker(&spec, &some, 1) < memory_need_worker(&spec, &some, 9));
        }
        job_spec_clear(&spec);
    }
}

/* What the project promises: a million news vectors within 4.5 GB, both parts in one process. */
static void a_million_rows_fit_into_what_is_promised(void **state)
{
    (void)state;
    job_spec_t spec = spec_of(ALGORITHM_HDBSCAN);
    memory_shape_t million = news(1000000);
    memory_place_t place = {.limit = 4500 * 1000000ull, .workers = 1, .threads = 2};
    assert_int_equal(memory_check(&spec, &million, &place, NULL), OK);
    assert_true(memory_need(&spec, &million, &place) > 1000 * MIB); /* it is no small thing */
    job_spec_clear(&spec);
}

static void no_limit_lets_everything_through(void **state)
{
    (void)state;
    job_spec_t spec = spec_of(ALGORITHM_HDBSCAN);
    memory_shape_t huge = news(4000000000u);
    memory_place_t place = {.limit = 0, .workers = 1, .threads = 2};
    assert_int_equal(memory_check(&spec, &huge, &place, NULL), OK);
    place.limit = memory_of_machine();
    assert_true(place.limit > 64 * MIB);
    assert_int_equal(memory_check(&spec, &huge, &place, NULL), ERR_TOO_LARGE);
    job_spec_clear(&spec);
}

static void a_refusal_names_what_would_fit(void **state)
{
    (void)state;
    job_spec_t spec = spec_of(ALGORITHM_HDBSCAN);
    memory_shape_t shape = news(1000000);
    memory_place_t place = {.limit = 400 * MIB, .workers = 1, .threads = 2};
    error_t error = ERROR_INIT;
    unsigned rows = 0;
    assert_int_equal(memory_check(&spec, &shape, &place, &error), ERR_TOO_LARGE);
    assert_string_equal(error.field, "memory_limit_mib");
    assert_non_null(strstr(error.message, "memory_limit_mib is 400;"));
    const char *about = strstr(error.message, "; about ");
    assert_non_null(about);
    assert_int_equal(sscanf(about, "; about %u items would fit", &rows), 1);
    memory_shape_t fits = news(rows), over = news(rows + rows / 100);
    assert_int_equal(memory_check(&spec, &fits, &place, NULL), OK);
    assert_int_equal(memory_check(&spec, &over, &place, NULL), ERR_TOO_LARGE);
    job_spec_clear(&spec);
}

static void a_limit_below_an_idle_process_fits_nothing(void **state)
{
    (void)state;
    job_spec_t spec = spec_of(ALGORITHM_KMEANS);
    memory_shape_t shape = news(1000);
    memory_place_t place = {.limit = MIB};
    error_t error = ERROR_INIT;
    assert_int_equal(memory_check(&spec, &shape, &place, &error), ERR_TOO_LARGE);
    assert_non_null(strstr(error.message, "about 0 items would fit"));
    job_spec_clear(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_of_anything_needs_more),
        cmocka_unit_test(a_million_rows_fit_into_what_is_promised),
        cmocka_unit_test(no_limit_lets_everything_through),
        cmocka_unit_test(a_refusal_names_what_would_fit),
        cmocka_unit_test(a_limit_below_an_idle_process_fits_nothing),
    };
    return cmocka_run_group_tests_name("memory_need", tests, NULL, NULL);
}
