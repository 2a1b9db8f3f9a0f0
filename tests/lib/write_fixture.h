/* write_fixture.h - writes made outcomes over the sample data into a temporary folder. */
#ifndef STAGE4_TESTS_LIB_WRITE_FIXTURE_H
#define STAGE4_TESTS_LIB_WRITE_FIXTURE_H

#include "common/clock.h"
#include "coordinator/output/write.h"
#include "lib/folder.h"
#include "lib/outcome_fixture.h"

#include <dirent.h>
#include <jansson.h>

#define WIKI TEST_DATA "/wiki2015"
#define AS_OF_MS 1442016000000 /* 2015-09-12T00:00:00Z */

typedef struct {
    test_folder_t folder;
    char output[512];
    char database[512];
    spool_t *spool;
    result_store_t *results;
} write_fixture_t;

static inline int set_up(void **state)
{
    write_fixture_t *self = calloc(1, sizeof *self);
    char path[512];
    self->folder = folder_new();
    folder_path(&self->folder, "output", self->output);
    folder_path(&self->folder, "stage4.db", self->database);
    *state = self;
    int code = spool_open(folder_path(&self->folder, "spool", path), &self->spool, NULL);
    return code ? code : result_store_open_sqlite(self->database, 0, &self->results, NULL);
}

static inline int tear_down(void **state)
{
    write_fixture_t *self = *state;
    self->results->verbs->close(&self->results);
    spool_close(&self->spool);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

typedef struct {
    const char *job_id;
    const char *indices;
    level_t level;
    int include_metadata;
    uint32_t epoch;
} job_t;

/* Writes a made outcome; the report is the caller's to free. */
static inline int write_job(write_fixture_t *self, const job_t *job, char **report, error_t *error)
{
    job_spec_t spec;
    job_spec_init(&spec);
    spec.level = job->level;
    spec.as_of_ms = AS_OF_MS;
    spec.include_metadata = job->include_metadata;
    write_input_t input = {
        .job_id = job->job_id,
        .epoch = job->epoch,
        .spec = &spec,
        .spec_json = "{}",
        .indices_folder = job->indices,
        .output_folder = self->output,
        .spool = self->spool,
        .results = self->results,
        .state_sha = outcome_make(self->spool, job->job_id, job->indices, job->level),
        .finished_ms = 1000,
    };
    int code = write_outcome(&input, report, error);
    job_spec_clear(&spec);
    return code;
}

static inline void write_ok(write_fixture_t *self, const job_t *job)
{
    char *report = NULL;
    error_t error = ERROR_INIT;
    if (write_job(self, job, &report, &error) != OK)
        fail_msg("%s", error.message);
    free(report);
}

/* The whole file; *length without the NUL. */
static inline char *read_file(const char *folder, const char *name, size_t *length)
{
    char path[1024];
    snprintf(path, sizeof path, *name ? "%s/%s" : "%s%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    assert_int_equal(fread(bytes, 1, *length, file), *length);
    bytes[*length] = 0;
    fclose(file);
    return bytes;
}

static inline size_t visible_files(const write_fixture_t *self, int hidden_too)
{
    DIR *folder = opendir(self->output);
    size_t count = 0;
    struct dirent *entry;
    if (!folder)
        return 0;
    while ((entry = readdir(folder)))
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
                 (hidden_too || entry->d_name[0] != '.');
    closedir(folder);
    return count;
}

#endif
