/* Both names of each level are read, and nothing else. */
#include "common/level.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void both_names_are_read(void **state)
{
    (void)state;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        level_t level = LEVEL_COUNT;
        assert_true(level_parse(level_plural((level_t)i), &level));
        assert_int_equal(level, i);
        level = LEVEL_COUNT;
        assert_true(level_parse(level_singular((level_t)i), &level));
        assert_int_equal(level, i);
    }
    assert_string_equal(level_plural(LEVEL_ENTITIES), "entities");
    assert_string_equal(level_singular(LEVEL_ENTITIES), "entity");
}

static void other_names_are_not(void **state)
{
    static const char *const bad[] = {"", "Events", "event ", "eventss", "entitie"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        level_t level = LEVEL_STORYLINES;
        assert_false(level_parse(bad[i], &level));
        assert_int_equal(level, LEVEL_STORYLINES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_names_are_read),
        cmocka_unit_test(other_names_are_not),
    };
    return cmocka_run_group_tests_name("level", tests, NULL, NULL);
}
