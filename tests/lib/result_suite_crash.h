/* result_suite_crash.h - the part of the result suite with killed writers, readers beside writers,
 * and many rows. */
#ifndef STAGE4_TESTS_LIB_RESULT_SUITE_CRASH_H
#define STAGE4_TESTS_LIB_RESULT_SUITE_CRASH_H

#include "lib/result_fixture.h"

/* Writes the job again and again, epoch after epoch, until it is killed. */
static void result_write_until_killed(result_fixture_t *self, int pipe_end)
{
    result_store_t *store = NULL;
    if (self->factory->open(self->place, 0, &store, NULL) != OK)
        _exit(1);
    for (uint32_t epoch = 1;; epoch++) {
        char mark[16];
        snprintf(mark, sizeof mark, "%u", epoch);
        result_job_t job = {"killed", epoch, LEVEL_EVENTS, epoch, 40, 5, mark};
        if (result_write(store, &job) != OK)
            _exit(1);
        if (write(pipe_end, &epoch, sizeof epoch) != (ssize_t)sizeof epoch)
            _exit(1);
    }
}

/* All 40 clusters of one writing, or none: 1 and the mark of it, or 0. */
static int result_whole(result_store_t *store, uint32_t *mark)
{
    cluster_query_t query = result_any();
    cluster_page_t page;
    query.job_id = "killed";
    int code = store->verbs->clusters(store, &query, &page, NULL);
    if (code == ERR_NOT_FOUND)
        return 0;
    assert_int_equal(code, OK);
    assert_int_equal(page.count, 40);
    assert_int_equal(page.total, 40);
    for (size_t i = 0; i < page.count; i++) {
        uint32_t one = (uint32_t)strtoul(strstr(page.json[i], "mark\":\"") + 7, NULL, 10);
        assert_true(i == 0 || one == *mark);
        *mark = one;
    }
    cluster_page_clear(&page);
    return 1;
}

static void kill_9_leaves_all_of_a_commit_or_nothing(void **state)
{
    result_fixture_t *self = *state;
    for (useconds_t round = 0; round < 12; round++) {
        int ends[2];
        uint32_t epoch = 0;
        uint32_t acknowledged = 0;
        uint32_t found = 0;
        self->writer->verbs->remove_job(self->writer, "killed", NULL);
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            result_write_until_killed(self, ends[1]);
        close(ends[1]);
        usleep(1000 + round * round * 700);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &epoch, sizeof epoch) == (ssize_t)sizeof epoch)
            acknowledged = epoch;
        close(ends[0]);
        int whole = result_whole(self->reader, &found);
        assert_true(!acknowledged || whole);
        assert_true(found == acknowledged || found == acknowledged + 1);
    }
    /* The place still works, and the leftovers do not show. */
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
}

static void a_reader_never_sees_part_of_a_commit(void **state)
{
    result_fixture_t *self = *state;
    int ends[2];
    uint32_t epoch = 0;
    uint32_t last = 0;
    uint32_t mark = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        result_write_until_killed(self, ends[1]);
    close(ends[1]);
    while (epoch < 25 && read(ends[0], &epoch, sizeof epoch) == (ssize_t)sizeof epoch) {
        assert_true(result_whole(self->reader, &mark));
        assert_true(mark >= epoch && mark >= last);
        last = mark;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    assert_int_equal(epoch, 25);
}

static void a_hundred_thousand_members_are_kept(void **state)
{
    result_fixture_t *self = *state;
    enum { MEMBERS = 100000 };
    member_row_t *members = calloc(MEMBERS, sizeof *members);
    char(*ids)[16] = calloc(MEMBERS, sizeof *ids);
    for (unsigned i = 0; i < MEMBERS; i++) {
        snprintf(ids[i], sizeof ids[i], "m%07u", i * 7919 % MEMBERS);
        members[i] = (member_row_t){ids[i], ids[i], ids[i / 10], "core", 1, 0, 1};
    }
    result_job_t job = {"large", 1, LEVEL_EVENTS, 1, 0, 0, ""};
    result_job_row_t row = result_row(&job);
    cluster_row_t cluster = {.cluster_id = "c",
                             .label = "l",
                             .domain = "",
                             .type = "",
                             .entities = "",
                             .time_start_ms = TIME_NONE,
                             .time_end_ms = TIME_NONE,
                             .size = MEMBERS,
                             .json = "{}",
                             .json_length = 2,
                             .members = members,
                             .member_count = MEMBERS};
    int64_t start = clock_monotonic_ms();
    assert_int_equal(self->writer->verbs->begin_job(self->writer, "large", 1, NULL), OK);
    assert_int_equal(self->writer->verbs->add_cluster(self->writer, &cluster, NULL), OK);
    assert_int_equal(self->writer->verbs->commit_job(self->writer, &row, NULL), OK);
    int64_t written = clock_monotonic_ms();
    cluster_query_t query = result_any();
    query.member_id = "m0012345";
    assert_int_equal(result_count(self->reader, &query), 1);
    query.member_id = "m9999999";
    assert_int_equal(result_count(self->reader, &query), 0);
    print_message("  100,000 members: written in %lld ms, found in %lld ms\n",
                  (long long)(written - start), (long long)(clock_monotonic_ms() - written));
    free(members);
    free(ids);
}

static void a_store_answers_a_ping(void **state)
{
    result_fixture_t *self = *state;
    assert_int_equal(self->reader->verbs->ping(self->reader, NULL), OK);
    assert_true(strlen(self->reader->verbs->name) > 0);
}

#endif
