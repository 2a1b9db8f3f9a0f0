/* The inputs a worker keeps: least recently used first out, pinned ones never. */
#include "worker/input_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sha256_t name_of(int number) { return sha256_of(&number, sizeof number); }

static void add(input_cache_t *cache, int number, size_t length)
{
    uint8_t *bytes = malloc(length);
    sha256_t name = name_of(number);
    memset(bytes, number, length);
    assert_true(input_cache_add(cache, &name, bytes, length));
}

static void unpin(input_cache_t *cache, int number)
{
    sha256_t name = name_of(number);
    input_cache_unpin(cache, &name);
}

static int is_there(input_cache_t *cache, int number)
{
    sha256_t name = name_of(number);
    input_view_t view;
    if (!input_cache_pin(cache, &name, &view))
        return 0;
    assert_true(sha256_equal(&view.sha256, &name));
    assert_true(!view.length || view.bytes[view.length - 1] == (uint8_t)number);
    input_cache_unpin(cache, &name);
    return 1;
}

static void the_least_recently_used_goes_first(void **state)
{
    (void)state;
    input_cache_t *cache = input_cache_new(300);
    for (int i = 0; i < 3; i++) {
        add(cache, i, 100);
        unpin(cache, i);
    }
    assert_true(is_there(cache, 0)); /* used again: 1 is the oldest now */
    add(cache, 3, 100);
    unpin(cache, 3);
    assert_false(is_there(cache, 1));
    assert_true(is_there(cache, 0));
    assert_true(is_there(cache, 2));
    assert_true(is_there(cache, 3));
    assert_int_equal(input_cache_bytes(cache), 300);
    input_cache_destroy(&cache);
    assert_null(cache);
}

static void what_is_pinned_stays_over_the_limit(void **state)
{
    (void)state;
    input_cache_t *cache = input_cache_new(150);
    input_view_t view;
    sha256_t first = name_of(1);
    add(cache, 1, 100);
    assert_true(input_cache_pin(cache, &first, &view)); /* twice pinned */
    const uint8_t *bytes = view.bytes;
    add(cache, 2, 100);
    assert_int_equal(input_cache_bytes(cache), 200);
    unpin(cache, 1);
    assert_true(input_cache_pin(cache, &first, &view));
    assert_ptr_equal(view.bytes, bytes);
    unpin(cache, 1);
    unpin(cache, 1);
    assert_int_equal(input_cache_bytes(cache), 100); /* now it could go */
    assert_false(is_there(cache, 1));
    input_cache_destroy(&cache);
}

static void the_same_input_twice_is_kept_once(void **state)
{
    (void)state;
    input_cache_t *cache = input_cache_new(1000);
    add(cache, 7, 100);
    add(cache, 7, 100);
    assert_int_equal(input_cache_bytes(cache), 100);
    input_cache_destroy(&cache);
}

static void an_empty_input_is_an_input(void **state)
{
    (void)state;
    input_cache_t *cache = input_cache_new(10);
    add(cache, 1, 0);
    assert_true(is_there(cache, 1));
    assert_false(is_there(cache, 2));
    input_cache_destroy(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(what_is_pinned_stays_over_the_limit),
        cmocka_unit_test(the_same_input_twice_is_kept_once),
        cmocka_unit_test(an_empty_input_is_an_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
