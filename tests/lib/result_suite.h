/* result_suite.h - what every result store must do, as cmocka tests over a factory.
 *
 * A back end's test program fills a result_factory_t, includes this file and runs
 * result_suite(&factory). `open` is called many times on one place, from several processes at once:
 * each handle sees what was committed there. */
#ifndef STAGE4_TESTS_LIB_RESULT_SUITE_H
#define STAGE4_TESTS_LIB_RESULT_SUITE_H

#include "lib/result_fixture.h"
#include "lib/result_suite_crash.h"
#include "lib/result_suite_fence.h"

static void nothing_is_there_before_the_commit(void **state)
{
    result_fixture_t *self = *state;
    cluster_query_t query = result_any();
    result_job_row_t row = result_row(&TWENTY);
    char *json = NULL;
    result_statistics_t statistics;
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_add_all(self->writer, &TWENTY), OK);
    result_store_t *handles[] = {self->reader, self->writer};
    for (size_t i = 0; i < 2; i++) {
        const result_store_verbs_t *verbs = handles[i]->verbs;
        assert_int_equal(result_count(handles[i], &query), 0);
        assert_int_equal(verbs->cluster(handles[i], "event_cluster_0001", NULL, &json, NULL),
                         ERR_NOT_FOUND);
        assert_int_equal(verbs->job(handles[i], "job-1", &json, NULL), ERR_NOT_FOUND);
        assert_int_equal(verbs->statistics(handles[i], &statistics, NULL), OK);
        assert_int_equal(statistics.jobs, 0);
    }
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), OK);
    assert_int_equal(result_count(self->reader, &query), 20);
}

static void a_rollback_leaves_nothing(void **state)
{
    result_fixture_t *self = *state;
    cluster_query_t query = result_any();
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_add_all(self->writer, &TWENTY), OK);
    self->writer->verbs->rollback_job(self->writer);
    assert_int_equal(result_count(self->reader, &query), 0);
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_count(self->reader, &query), 20);
}

static void a_second_commit_of_an_epoch_replaces_nothing(void **state)
{
    result_fixture_t *self = *state;
    result_job_t again = TWENTY;
    char *json = NULL;
    again.mark = "b";
    again.clusters = 5;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_write(self->writer, &again), OK);
    cluster_query_t query = result_any();
    assert_int_equal(result_count(self->reader, &query), 20);
    assert_int_equal(
        self->reader->verbs->cluster(self->reader, "event_cluster_0003", NULL, &json, NULL), OK);
    assert_non_null(strstr(json, "\"mark\":\"a\""));
    free(json);
}

static void a_later_epoch_replaces_and_an_older_one_conflicts(void **state)
{
    result_fixture_t *self = *state;
    result_job_t later = TWENTY;
    result_job_t older = TWENTY;
    cluster_query_t query = result_any();
    char *json = NULL;
    later.epoch = 3;
    later.mark = "later";
    later.clusters = 7;
    older.epoch = 2;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_write(self->writer, &later), OK);
    assert_int_equal(result_count(self->reader, &query), 7);
    assert_int_equal(result_write(self->writer, &older), ERR_CONFLICT);
    assert_int_equal(result_count(self->reader, &query), 7);
    assert_int_equal(
        self->reader->verbs->cluster(self->reader, "event_cluster_0003", NULL, &json, NULL), OK);
    assert_non_null(strstr(json, "later"));
    free(json);
}

static void an_epoch_overtaken_while_writing_conflicts(void **state)
{
    result_fixture_t *self = *state;
    result_store_t *other = NULL;
    result_job_t later = TWENTY;
    result_job_row_t row = result_row(&TWENTY);
    later.epoch = 2;
    later.clusters = 4;
    assert_int_equal(self->factory->open(self->place, 0, &other, NULL), OK);
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_write(other, &later), OK);
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), ERR_CONFLICT);
    self->writer->verbs->rollback_job(self->writer);
    cluster_query_t query = result_any();
    assert_int_equal(result_count(self->reader, &query), 4);
    other->verbs->close(&other);
}

static void result_add_text(result_store_t *store, uint32_t number, const char *text)
{
    assert_int_equal(store->verbs->add_text(store, "dendrogram", number, text, strlen(text), NULL),
                     OK);
}

/* "" past the last piece. */
static char *result_text(result_store_t *store, const char *job_id, uint32_t number)
{
    char *text = NULL;
    size_t length = 7;
    int code = store->verbs->text(store, job_id, "dendrogram", number, &text, &length, NULL);
    if (code == ERR_NOT_FOUND)
        return strdup("");
    assert_int_equal(code, OK);
    assert_int_equal(length, strlen(text));
    return text;
}

static void result_expect_text(result_store_t *store, uint32_t number, const char *wanted)
{
    char *text = result_text(store, "job-1", number);
    assert_string_equal(text, wanted);
    free(text);
}

static void a_text_is_read_piece_by_piece_once_committed(void **state)
{
    result_fixture_t *self = *state;
    result_job_row_t row = result_row(&TWENTY);
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    result_add_text(self->writer, 0, "{\"a\":\"\xc3\xa9\"}\n");
    assert_int_equal(result_add_all(self->writer, &TWENTY), OK);
    result_add_text(self->writer, 1, "second");
    result_expect_text(self->reader, 0, "");
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), OK);
    result_expect_text(self->reader, 0, "{\"a\":\"\xc3\xa9\"}\n");
    result_expect_text(self->reader, 1, "second");
    result_expect_text(self->reader, 2, "");
    char *other = NULL;
    size_t length;
    assert_int_equal(
        self->reader->verbs->text(self->reader, "job-1", "pairs", 0, &other, &length, NULL),
        ERR_NOT_FOUND);
    row.epoch = 2; /* the next writing has none */
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 2, NULL), OK);
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), OK);
    result_expect_text(self->reader, 0, "");
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 3, NULL), OK);
    result_add_text(self->writer, 0, "third");
    row.epoch = 3;
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), OK);
    result_expect_text(self->reader, 0, "third");
    assert_int_equal(self->writer->verbs->remove_job(self->writer, "job-1", NULL), OK);
    result_expect_text(self->reader, 0, "");
}

static void a_removed_job_is_gone_and_others_stay(void **state)
{
    result_fixture_t *self = *state;
    result_job_t other = TWENTY;
    cluster_query_t query = result_any();
    char *json = NULL;
    other.job_id = "job-2";
    other.finished_ms = 4000;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_write(self->writer, &other), OK);
    assert_int_equal(self->writer->verbs->remove_job(self->writer, "job-1", NULL), OK);
    assert_int_equal(self->writer->verbs->remove_job(self->writer, "job-1", NULL), OK);
    assert_int_equal(self->reader->verbs->job(self->reader, "job-1", &json, NULL), ERR_NOT_FOUND);
    assert_int_equal(result_count(self->reader, &query), 20);
    query.job_id = "job-1";
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_NOT_FOUND);
}

static void the_verbs_keep_their_order(void **state)
{
    result_fixture_t *self = *state;
    result_store_t *writer = self->writer;
    result_job_row_t row = result_row(&TWENTY);
    assert_int_equal(result_add_one(writer, &TWENTY, 0), ERR_CONFLICT);
    assert_int_equal(writer->verbs->commit_job(writer, &row, NULL), ERR_CONFLICT);
    writer->verbs->rollback_job(writer);
    assert_int_equal(writer->verbs->begin_job(writer, "job-1", 1, NULL), OK);
    assert_int_equal(writer->verbs->begin_job(writer, "job-2", 1, NULL), ERR_CONFLICT);
    row.epoch = 2;
    assert_int_equal(writer->verbs->commit_job(writer, &row, NULL), ERR_USAGE);
    writer->verbs->rollback_job(writer);
}

static void a_failed_row_fails_the_commit(void **state)
{
    result_fixture_t *self = *state;
    result_job_row_t row = result_row(&TWENTY);
    cluster_query_t query = result_any();
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "job-1", 1, NULL), OK);
    assert_int_equal(result_add_one(self->writer, &TWENTY, 1), OK);
    /* The same id twice: a store that writes in batches may notice with the commit only. */
    (void)result_add_one(self->writer, &TWENTY, 1);
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), ERR_CONFLICT);
    self->writer->verbs->rollback_job(self->writer);
    assert_int_equal(result_count(self->reader, &query), 0);
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
}

static void a_job_is_described(void **state)
{
    result_fixture_t *self = *state;
    char *json = NULL;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(self->reader->verbs->job(self->reader, "job-1", &json, NULL), OK);
    const char *parts[] = {"\"job_id\":\"job-1\"",
                           "\"embedding_type\":\"events\"",
                           "\"algorithm\":\"hdbscan\"",
                           "\"spec\":{\"algorithm\":\"hdbscan\"}",
                           "\"report\":{\"rows\":12}",
                           "\"output\":\"clustered_events_j.jsonl\"",
                           "\"clusters\":20",
                           "\"items\":100",
                           "\"noise\":3",
                           "\"as_of\":\"2015-09-12T00:00:00Z\"",
                           "\"finished_at\":\"1970-01-01T00:00:05Z\""};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_non_null(strstr(json, parts[i]));
    free(json);
}

static void statistics_are_of_the_newest_job_of_each_level(void **state)
{
    result_fixture_t *self = *state;
    result_statistics_t out;
    result_job_t old = {"old", 1, LEVEL_EVENTS, 1000, 9, 1, ""};
    result_job_t entities = {"ent", 1, LEVEL_ENTITIES, 9000, 3, 0, ""};
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_write(self->writer, &old), OK);
    assert_int_equal(result_write(self->writer, &entities), OK);
    assert_int_equal(self->reader->verbs->statistics(self->reader, &out, NULL), OK);
    assert_int_equal(out.jobs, 3);
    assert_int_equal(out.clusters[LEVEL_EVENTS], 20);
    assert_int_equal(out.members[LEVEL_EVENTS], 7 * 2 + 7 * 3 + 6 * 4);
    assert_int_equal(out.noise[LEVEL_EVENTS], 3);
    assert_int_equal(out.newest_ms[LEVEL_EVENTS], 5000);
    assert_int_equal(out.clusters[LEVEL_ENTITIES], 3);
    assert_int_equal(out.clusters[LEVEL_DOCUMENTS], 0);
    assert_true(out.newest_ms[LEVEL_DOCUMENTS] == TIME_NONE);
}

static void a_cluster_of_two_jobs_is_the_newest_ones(void **state)
{
    result_fixture_t *self = *state;
    const result_store_verbs_t *verbs = self->reader->verbs;
    result_job_t older = TWENTY;
    char *json = NULL;
    older.job_id = "job-0";
    older.finished_ms = 100;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_write(self->writer, &older), OK);
    assert_int_equal(verbs->cluster(self->reader, "event_cluster_0001", NULL, &json, NULL), OK);
    assert_string_equal(json,
                        "{\"cluster_id\":\"event_cluster_0001\",\"job\":\"job-1\",\"mark\":\"a\"}");
    free(json);
    assert_int_equal(verbs->cluster(self->reader, "event_cluster_0001", "job-0", &json, NULL), OK);
    assert_non_null(strstr(json, "job-0"));
    free(json);
    assert_int_equal(verbs->cluster(self->reader, "event_cluster_0001", "job-9", &json, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(verbs->cluster(self->reader, "' OR '1'='1", NULL, &json, NULL), ERR_NOT_FOUND);
}

static void every_filter_narrows(void **state)
{
    result_fixture_t *self = *state;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
#define NARROWED(expected, ...)                                                                    \
    do {                                                                                           \
        cluster_query_t query = result_any();                                                      \
        __VA_ARGS__;                                                                               \
        assert_int_equal(result_count(self->reader, &query), expected);                            \
    } while (0)
    NARROWED(20, (void)0);
    NARROWED(20, query.level = LEVEL_EVENTS);
    NARROWED(0, query.level = LEVEL_STORYLINES);
    NARROWED(20, query.job_id = "job-1");
    NARROWED(10, query.domain = "health_medical");
    NARROWED(0, query.domain = "health");
    NARROWED(20, query.type = "contact_meet");
    NARROWED(0, query.type = "conflict_attack");
    NARROWED(6, query.size_min = 4);
    NARROWED(7, query.size_max = 2);
    NARROWED(7, query.size_min = 3; query.size_max = 3);
    NARROWED(20, query.entity = "Japan");
    NARROWED(0, query.entity = "Jap");
    NARROWED(1, query.member_id = "s7_1");
    NARROWED(1, query.member_id = "v7_1");
    NARROWED(0, query.member_id = "noise1");
    NARROWED(8, query.document_id = "d0");
    NARROWED(0, query.document_id = "d9");
    NARROWED(5, query.time_from_ms = 15200);
    NARROWED(4, query.time_to_ms = 3900);
    NARROWED(2, query.time_from_ms = 3500; query.time_to_ms = 4000);
    NARROWED(10, query.domain = "legal_judicial"; query.entity = "G7");
}

static int result_label(result_fixture_t *self, const char *label)
{
    cluster_row_t row = {.cluster_id = "one",
                         .label = label,
                         .domain = "",
                         .type = "",
                         .entities = "",
                         .time_start_ms = TIME_NONE,
                         .time_end_ms = TIME_NONE,
                         .size = 1,
                         .json = "{}",
                         .json_length = 2};
    result_job_t job = {"label", 1, LEVEL_EVENTS, 1, 0, 0, ""};
    result_job_row_t job_row = result_row(&job);
    self->writer->verbs->remove_job(self->writer, "label", NULL);
    int code = self->writer->verbs->begin_job(self->writer, "label", 1, NULL);
    if (code == OK)
        code = self->writer->verbs->add_cluster(self->writer, &row, NULL);
    return code == OK ? self->writer->verbs->commit_job(self->writer, &job_row, NULL) : code;
}

static void words_of_the_label_match_in_any_case(void **state)
{
    result_fixture_t *self = *state;
    const struct {
        const char *label, *text;
        long found;
    } cases[] = {
        {"G7 Summit in Tokyo", "tokyo SUMMIT", 1},
        {"G7 Summit in Tokyo", "tokyo paris", 0},
        {"G7 Summit in Tokyo", "   ", 1},
        {"Gr\xc3\xbc\xc3\x9f"
         "e aus \xc3\x96sterreich",
         "\xc3\xb6STERREICH", 1},
        {"\xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0", "\xd0\xbc\xd0\x9e\xd1\x81", 1},
        {"100% of them", "100%", 1},
        {"1000 of them", "100%", 0},
        {"snake_case", "snake_case", 1},
        {"snakeXcase", "snake_case", 0},
        {"it's", "'", 1},
        {"its", "' OR 1=1 --", 0},
        {"its", "'; DROP TABLE result_job; --", 0},
        {"a\\b", "\\", 1},
        {"plain", "\xff\xfe", 0},
        {"plain", "?1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cluster_query_t query = result_any();
        assert_int_equal(result_label(self, cases[i].label), OK);
        query.text = cases[i].text;
        assert_int_equal(result_count(self->reader, &query), cases[i].found);
    }
    cluster_query_t query = result_any();
    query.domain = "' OR ''='";
    assert_int_equal(result_count(self->reader, &query), 0);
    assert_int_equal(result_label(self, "still there"), OK);
}

static void a_search_that_asks_too_much_is_refused(void **state)
{
    result_fixture_t *self = *state;
    char text[2048];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    cluster_query_t query = result_any();
    query.text = text;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_USAGE);
    query.text = "a b c d e f g h i j k l m n o p q";
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_USAGE);
    query.text = NULL;
    query.limit = 0;
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_USAGE);
    query.limit = 1001;
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_USAGE);
}

/* Reads all pages; the ids in order, each followed by a blank. `between` runs after each page. */
static void result_walk(result_fixture_t *self, cluster_query_t query, char *out,
                        void (*between)(result_fixture_t *self, unsigned page))
{
    char *cursor = NULL;
    uint64_t total = 0;
    unsigned number = 0;
    *out = 0;
    do {
        cluster_page_t page;
        query.cursor = cursor;
        assert_int_equal(self->reader->verbs->clusters(self->reader, &query, &page, NULL), OK);
        free(cursor);
        cursor = page.next_cursor ? strdup(page.next_cursor) : NULL;
        assert_true(page.count <= query.limit);
        assert_true(!number || page.total == total);
        total = page.total;
        for (size_t i = 0; i < page.count; i++)
            sprintf(out + strlen(out), "%s ", page.json[i]);
        cluster_page_clear(&page);
        if (between)
            between(self, number);
        assert_true(++number < 1000);
    } while (cursor);
}

static void pages_of_any_size_give_the_same_list(void **state)
{
    result_fixture_t *self = *state;
    result_job_t entities = {"ent", 1, LEVEL_ENTITIES, 9000, 13, 0, ""};
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    assert_int_equal(result_write(self->writer, &entities), OK);
    cluster_query_t query = result_any();
    char *all = malloc(1 << 16);
    char *paged = malloc(1 << 16);
    result_walk(self, query, all, NULL);
    /* The newest job's first, the largest first, then by id. */
    assert_memory_equal(all, "{\"cluster_id\":\"event_cluster_0002\",\"job\":\"ent\"", 46);
    for (query.limit = 1; query.limit <= 34; query.limit++) {
        result_walk(self, query, paged, NULL);
        assert_string_equal(all, paged);
    }
    free(all);
    free(paged);
}

static void result_commit_between(result_fixture_t *self, unsigned page)
{
    char job_id[32];
    snprintf(job_id, sizeof job_id, "between-%u", page);
    result_job_t job = {job_id, 1, LEVEL_EVENTS, 10000 + page, 30, 0, "new"};
    assert_int_equal(result_write(self->writer, &job), OK);
}

static void a_walk_is_not_disturbed_by_a_commit_of_another_job(void **state)
{
    result_fixture_t *self = *state;
    char *before = malloc(1 << 16);
    char *during = malloc(1 << 16);
    cluster_query_t query = result_any();
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    result_walk(self, query, before, NULL);
    query.limit = 6;
    result_walk(self, query, during, result_commit_between);
    assert_string_equal(before, during);
    result_walk(self, query, during, NULL); /* a new walk sees the new job */
    assert_non_null(strstr(during, "between-"));
    free(before);
    free(during);
}

static void a_forged_cursor_is_refused(void **state)
{
    result_fixture_t *self = *state;
    const char *bad[] = {"",
                         "x",
                         "1~0~5~id",
                         "2~0~5~id~job-1",
                         "1~1~5~id~job-1",
                         "1~0~-5~id~job-1",
                         "1~0~5~i'd~job-1",
                         "1~0~5~id~job-1~a~b~c~d",
                         "1~0~5~id~job-1~",
                         "1~0~99999999999~id~job-1",
                         "1~0~5~id~../../etc"};
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cluster_query_t query = result_any();
        cluster_page_t page;
        error_t error = ERROR_INIT;
        query.cursor = bad[i];
        int code = self->reader->verbs->clusters(self->reader, &query, &page, &error);
        if (code == OK) /* a trailing '~' is the one that reads as nothing more */
            cluster_page_clear(&page);
        assert_true(code == ERR_USAGE || !strcmp(bad[i], "1~0~5~id~job-1~"));
        assert_true(code == OK || !strcmp(error.field, "cursor"));
    }
    cluster_query_t query = result_any();
    query.job_id = "job-1";
    query.cursor = "1~0~5~id~job-2";
    assert_int_equal(result_count(self->reader, &query), -1 - ERR_USAGE);
}

#define RESULT_TEST(name, factory)                                                                 \
    cmocka_unit_test_prestate_setup_teardown(name, result_set_up, result_tear_down, factory)

static inline int result_suite(result_factory_t *factory)
{
    const struct CMUnitTest tests[] = {
        RESULT_TEST(nothing_is_there_before_the_commit, factory),
        RESULT_TEST(a_rollback_leaves_nothing, factory),
        RESULT_TEST(a_second_commit_of_an_epoch_replaces_nothing, factory),
        RESULT_TEST(a_later_epoch_replaces_and_an_older_one_conflicts, factory),
        RESULT_TEST(an_epoch_overtaken_while_writing_conflicts, factory),
        RESULT_TEST(a_removed_job_is_gone_and_others_stay, factory),
        RESULT_TEST(a_commit_begun_before_another_took_over_is_refused, factory),
        RESULT_TEST(a_displaced_coordinator_changes_nothing_any_more, factory),
        RESULT_TEST(a_claim_is_of_one_coordinator_and_one_ledger, factory),
        RESULT_TEST(a_text_is_read_piece_by_piece_once_committed, factory),
        RESULT_TEST(the_verbs_keep_their_order, factory),
        RESULT_TEST(a_failed_row_fails_the_commit, factory),
        RESULT_TEST(a_job_is_described, factory),
        RESULT_TEST(statistics_are_of_the_newest_job_of_each_level, factory),
        RESULT_TEST(a_cluster_of_two_jobs_is_the_newest_ones, factory),
        RESULT_TEST(every_filter_narrows, factory),
        RESULT_TEST(words_of_the_label_match_in_any_case, factory),
        RESULT_TEST(a_search_that_asks_too_much_is_refused, factory),
        RESULT_TEST(pages_of_any_size_give_the_same_list, factory),
        RESULT_TEST(a_walk_is_not_disturbed_by_a_commit_of_another_job, factory),
        RESULT_TEST(a_forged_cursor_is_refused, factory),
        RESULT_TEST(kill_9_leaves_all_of_a_commit_or_nothing, factory),
        RESULT_TEST(a_reader_never_sees_part_of_a_commit, factory),
        RESULT_TEST(a_hundred_thousand_members_are_kept, factory),
        RESULT_TEST(a_store_answers_a_ping, factory),
    };
    return cmocka_run_group_tests_name("result store", tests, NULL, NULL);
}

#endif
