/* Twelve domains, their short forms, and everything else left alone. */
#include "common/input/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const char *long_form(const char *name) { return domain_long_form(name, strlen(name)); }

static void the_contract_s_domains_are_their_own_long_form(void **state)
{
    static const char *const domains[] = {"diplomatic_relations",
                                          "military_operations",
                                          "economic_activity",
                                          "political_events",
                                          "legal_judicial",
                                          "health_medical",
                                          "environmental",
                                          "technology_science",
                                          "cultural_social",
                                          "sports_entertainment",
                                          "infrastructure_development",
                                          "general_news"};
    (void)state;
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
        assert_string_equal(long_form(domains[i]), domains[i]);
}

static void short_forms_have_a_long_one(void **state)
{
    (void)state;
    assert_string_equal(long_form("diplomatic"), "diplomatic_relations");
    assert_string_equal(long_form("military"), "military_operations");
    assert_string_equal(long_form("economic"), "economic_activity");
    assert_string_equal(domain_long_form("militaryxx", 8), "military_operations");
}

static void unknown_values_have_none(void **state)
{
    (void)state;
    assert_null(long_form("weather"));
    assert_null(long_form("Diplomatic"));
    assert_null(long_form(""));
    assert_null(domain_long_form("diplomatic", 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contract_s_domains_are_their_own_long_form),
        cmocka_unit_test(short_forms_have_a_long_one),
        cmocka_unit_test(unknown_values_have_none),
    };
    return cmocka_run_group_tests_name("domains", tests, NULL, NULL);
}
