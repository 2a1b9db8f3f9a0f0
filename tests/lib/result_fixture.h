/* result_fixture.h - a result store to test, and made-up jobs to write into it. */
#ifndef STAGE4_TESTS_LIB_RESULT_FIXTURE_H
#define STAGE4_TESTS_LIB_RESULT_FIXTURE_H

#include "common/clock.h"
#include "proto/store/result_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    void *(*place_new)(void); /* an empty place to keep a store in */
    void (*place_destroy)(void *place);
    int (*open)(void *place, int read_only, result_store_t **out, error_t *error);
} result_factory_t;

typedef struct {
    const result_factory_t *factory;
    void *place;
    result_store_t *writer;
    result_store_t *reader;
} result_fixture_t;

static int result_set_up(void **state)
{
    result_fixture_t *self = calloc(1, sizeof *self);
    self->factory = *state;
    self->place = self->factory->place_new();
    *state = self;
    int code = self->factory->open(self->place, 0, &self->writer, NULL);
    return code == OK ? self->factory->open(self->place, 1, &self->reader, NULL) : code;
}

static int result_tear_down(void **state)
{
    result_fixture_t *self = *state;
    self->reader->verbs->close(&self->reader);
    self->writer->verbs->close(&self->writer);
    self->factory->place_destroy(self->place);
    free(self);
    return 0;
}

/* ---- writing jobs of made-up clusters ---- */

typedef struct {
    const char *job_id;
    uint32_t epoch;
    level_t level;
    int64_t finished_ms;
    uint32_t clusters; /* cluster c has c % 3 + 2 members */
    uint32_t noise;
    const char *mark; /* goes into the JSON, to tell writings apart */
} result_job_t;

static int result_add_one(result_store_t *store, const result_job_t *job, uint32_t number)
{
    char ids[4][3][32];
    char id[40];
    char json[128];
    char label[64];
    member_row_t members[4];
    uint32_t size = number % 3 + 2;
    for (uint32_t i = 0; i < size; i++) {
        snprintf(ids[i][0], 32, "s%u_%u", number, i);
        snprintf(ids[i][1], 32, "v%u_%u", number, i);
        snprintf(ids[i][2], 32, "d%u", (number + i) % 7);
        members[i] = (member_row_t){ids[i][0], ids[i][1], ids[i][2], "core", 1.0, 0.5, 0.25};
    }
    snprintf(id, sizeof id, "event_cluster_%04u", number);
    snprintf(label, sizeof label, "Cluster number %u", number);
    int length =
        snprintf(json, sizeof json, "{\"cluster_id\":\"%s\",\"job\":\"%s\",\"mark\":\"%s\"}", id,
                 job->job_id, job->mark ? job->mark : "");
    cluster_row_t row = {.cluster_id = id,
                         .level = job->level,
                         .label = label,
                         .domain = number % 2 ? "legal_judicial" : "health_medical",
                         .type = "contact_meet",
                         .entities = "G7\nJapan",
                         .time_start_ms = number * 1000,
                         .time_end_ms = number * 1000 + 500,
                         .intra_similarity = 0.5,
                         .size = size,
                         .json = json,
                         .json_length = (size_t)length,
                         .members = members,
                         .member_count = size};
    return store->verbs->add_cluster(store, &row, NULL);
}

static int result_add_all(result_store_t *store, const result_job_t *job)
{
    int code = OK;
    for (uint32_t i = 0; code == OK && i < job->clusters; i++)
        code = result_add_one(store, job, i);
    for (uint32_t i = 0; code == OK && i < job->noise; i++) {
        char id[32];
        snprintf(id, sizeof id, "noise%u", i);
        member_row_t member = {id, id, "", "noise", 0, 1, 0};
        code = store->verbs->add_noise(store, &member, 1, NULL);
    }
    return code;
}

static result_job_row_t result_row(const result_job_t *job)
{
    return (result_job_row_t){.job_id = job->job_id,
                              .epoch = job->epoch,
                              .level = job->level,
                              .algorithm = "hdbscan",
                              .spec_json = "{\"algorithm\":\"hdbscan\"}",
                              .report_json = "{\"rows\":12}",
                              .output_name = "clustered_events_j.jsonl",
                              .as_of_ms = 1442016000000,
                              .finished_ms = job->finished_ms,
                              .item_count = 100,
                              .noise_count = job->noise};
}

/* The first code that is not OK; rolls back then. */
static int result_write(result_store_t *store, const result_job_t *job)
{
    result_job_row_t row = result_row(job);
    int code = store->verbs->begin_job(store, job->job_id, job->epoch, NULL);
    if (code != OK)
        return code;
    code = result_add_all(store, job);
    if (code == OK)
        code = store->verbs->commit_job(store, &row, NULL);
    if (code != OK)
        store->verbs->rollback_job(store);
    return code;
}

static cluster_query_t result_any(void)
{
    return (cluster_query_t){
        .level = -1, .time_from_ms = TIME_NONE, .time_to_ms = TIME_NONE, .limit = 1000};
}

/* The number of clusters that match; -1 - code on failure. */
static long result_count(result_store_t *store, const cluster_query_t *query)
{
    cluster_page_t page;
    int code = store->verbs->clusters(store, query, &page, NULL);
    if (code != OK)
        return -1 - code;
    long count = (long)page.count;
    assert_int_equal(page.total, page.count);
    cluster_page_clear(&page);
    return count;
}

static const result_job_t TWENTY = {"job-1", 1, LEVEL_EVENTS, 5000, 20, 3, "a"};

#endif
