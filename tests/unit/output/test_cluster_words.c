/* What a cluster is said to be: counted strings and labels. */
#include "coordinator/output/cluster_build.h"
#include "coordinator/output/cluster_label.h"
#include "coordinator/output/tally.h"
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static string_view_t view(const char *text) { return (string_view_t){text, strlen(text)}; }

static void expect(const tally_t *tally, size_t at, const char *text, uint32_t count)
{
    assert_true(at < tally->count);
    assert_int_equal(tally->entries[at].text.length, strlen(text));
    assert_memory_equal(tally->entries[at].text.text, text, strlen(text));
    assert_int_equal(tally->entries[at].count, count);
}

static void a_tally_counts_and_orders(void **state)
{
    (void)state;
    tally_t tally = {0};
    const char *texts[] = {"b", "a", "", "c", "b", "ab", "c", "b", "a\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        tally_add(&tally, view(texts[i]));
    tally_by_count(&tally);
    assert_int_equal(tally.count, 5);
    expect(&tally, 0, "b", 3);
    expect(&tally, 1, "c", 2);
    expect(&tally, 2, "a", 1);
    expect(&tally, 3, "ab", 1);
    expect(&tally, 4, "a\xff", 1);
    tally_by_bytes(&tally); /* counts stay */
    expect(&tally, 0, "a", 1);
    expect(&tally, 3, "b", 3);
    tally_clear(&tally);
}

static void a_tally_does_not_depend_on_the_order_of_adding(void **state)
{
    (void)state;
    for (uint32_t step = 1; step < 100; step += 2) { /* odd: goes through all of 64 */
        tally_t tally = {0};
        for (uint32_t i = 0; i < 64; i++) {
            char text[8];
            snprintf(text, sizeof text, "t%u", (i * step % 64) * (i * step % 64) % 7);
            tally_add_copy(&tally, text, strlen(text));
        }
        tally_by_count(&tally);
        assert_int_equal(tally.count, 4);
        expect(&tally, 0, "t1", 18);
        expect(&tally, 3, "t0", 10);
        tally_reset(&tally);
        assert_int_equal(tally.count, 0);
        tally_clear(&tally);
    }
}

static void long_texts_are_copied_whole(void **state)
{
    (void)state;
    tally_t tally = {0};
    char *text = malloc(200000);
    memset(text, 'x', 200000);
    tally_add_copy(&tally, text, 200000);
    tally_add_copy(&tally, text, 65536);
    memset(text, 'y', 200000);
    tally_by_bytes(&tally);
    assert_int_equal(tally.entries[0].text.length, 65536);
    assert_int_equal(tally.entries[1].text.text[199999], 'x');
    free(text);
    tally_clear(&tally);
}

static void a_label_is_cut_before_a_word(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"Short and whole", "Short and whole"},
        {"  spaces\n\tand   lines ", "spaces and lines"},
        {"", ""},
        {"12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345",
         "12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345"},
        {"12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345678 123",
         "12345678 12345678 12345678 12345678 12345678 12345678 12345678 12345678\xe2\x80\xa6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[LABEL_SIZE];
        label_cut(view(cases[i].in), out);
        assert_string_equal(out, cases[i].out);
    }
}

static void a_word_without_end_is_cut_between_characters(void **state)
{
    (void)state;
    char in[600] = "";
    char out[LABEL_SIZE];
    for (int i = 0; i < 150; i++)
        strcat(in, "\xe2\x82\xac");
    label_cut(view(in), out);
    assert_int_equal(strlen(out), (LABEL_CHARACTERS - 1) * 3 + 3);
    assert_memory_equal(out, in, (LABEL_CHARACTERS - 1) * 3);
    in[0] = '\0';
    for (int i = 0; i < 140; i++)
        strcat(in, "\xf0\x9f\x8c\x8d");
    label_cut(view(in), out);
    assert_memory_equal(out, in, (LABEL_CHARACTERS - 1) * 4);
}

/* A cluster whose typical members have no text at all. */
static void without_text_the_names_and_days_say_what_it_is(void **state)
{
    (void)state;
    job_spec_t spec = {.level = LEVEL_DOCUMENTS};
    cluster_source_t source = {.spec = &spec};
    uint32_t typical[TYPICAL_COUNT] = {SLOT_NONE, SLOT_NONE, SLOT_NONE, SLOT_NONE, SLOT_NONE};
    cluster_t cluster = {.id = "document_cluster_0123456789abcdef",
                         .from = {.typical = typical},
                         .time_start_ms = TIME_NONE,
                         .time_end_ms = TIME_NONE};
    char out[LABEL_SIZE];
    cluster_label(&cluster, &source, out);
    assert_string_equal(out, "document_cluster_0123456789abcdef");
    tally_add(&cluster.categories, view("politics"));
    tally_by_count(&cluster.categories);
    cluster_label(&cluster, &source, out);
    assert_string_equal(out, "politics");
    cluster.time_start_ms = cluster.time_end_ms = 1442016000000;
    cluster_label(&cluster, &source, out);
    assert_string_equal(out, "politics (2015-09-12)");
    cluster.time_end_ms += 3 * 86400000;
    for (const char *name = "DCBA"; *name; name++)
        tally_add(&cluster.entities, (string_view_t){name, 1});
    tally_by_count(&cluster.entities);
    cluster_label(&cluster, &source, out);
    assert_string_equal(out, "A, B, C (2015-09-12 to 2015-09-15)");
    cluster_clear(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tally_counts_and_orders),
        cmocka_unit_test(a_tally_does_not_depend_on_the_order_of_adding),
        cmocka_unit_test(long_texts_are_copied_whole),
        cmocka_unit_test(a_label_is_cut_before_a_word),
        cmocka_unit_test(a_word_without_end_is_cut_between_characters),
        cmocka_unit_test(without_text_the_names_and_days_say_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
