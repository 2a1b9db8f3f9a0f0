#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/exposition.h"

#include <stdlib.h>
#include <string.h>

static void tell(const histogram_t *histogram, const char *labels, char **text)
{
    size_t length = 0;
    FILE *out = open_memstream(text, &length);
    assert_non_null(out);
    exposition_family(out, "seconds", "histogram", "How long.");
    exposition_histogram(out, "seconds", labels, histogram);
    fclose(out);
}

static void a_histogram_adds_its_counts_up(void **state)
{
    (void)state;
    histogram_t histogram = {.sum = 0};
    const double durations[] = {.004, .005, .0051, 60, 3600, 3601};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        histogram_add(&histogram, durations[i]);
    char *text = NULL;
    tell(&histogram, "route=\"/\"", &text);
    assert_non_null(strstr(text, "# HELP seconds How long.\n# TYPE seconds histogram\n"));
    assert_non_null(strstr(text, "seconds_bucket{route=\"/\",le=\"0.005\"} 2\n"));
    assert_non_null(strstr(text, "seconds_bucket{route=\"/\",le=\"0.01\"} 3\n"));
    assert_non_null(strstr(text, "seconds_bucket{route=\"/\",le=\"30\"} 3\n"));
    assert_non_null(strstr(text, "seconds_bucket{route=\"/\",le=\"60\"} 4\n"));
    assert_non_null(strstr(text, "seconds_bucket{route=\"/\",le=\"3600\"} 5\n"));
    assert_non_null(strstr(text, "seconds_bucket{route=\"/\",le=\"+Inf\"} 6\n"));
    assert_non_null(strstr(text, "seconds_count{route=\"/\"} 6\n"));
    const char *sum = strstr(text, "seconds_sum{route=\"/\"} ");
    assert_non_null(sum);
    assert_true(strtod(strchr(sum, ' '), NULL) == .004 + .005 + .0051 + 60 + 3600 + 3601);
    free(text);
}

static void without_labels_there_are_no_braces(void **state)
{
    (void)state;
    histogram_t histogram = {.sum = 0};
    char *text = NULL;
    tell(&histogram, "", &text);
    assert_non_null(strstr(text, "seconds_bucket{le=\"+Inf\"} 0\n"));
    assert_non_null(strstr(text, "seconds_sum 0\nseconds_count 0\n"));
    free(text);
}

static void a_process_tells_of_itself(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    exposition_process(out, "it");
    fclose(out);
    const char *memory = strstr(text, "\nit_resident_memory_bytes ");
    const char *files = strstr(text, "\nit_open_fds ");
    assert_non_null(strstr(text, "\nit_cpu_seconds_total "));
    assert_true(memory && strtod(strchr(memory + 1, ' '), NULL) > 100000);
    assert_true(files && strtod(strchr(files + 1, ' '), NULL) >= 3);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_histogram_adds_its_counts_up),
        cmocka_unit_test(without_labels_there_are_no_braces),
        cmocka_unit_test(a_process_tells_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
