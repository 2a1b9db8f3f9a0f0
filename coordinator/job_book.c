#include "coordinator/job_book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WORKERS_LISTED 256 /* names in a report; more are not told apart */

static void record_destroy(job_record_t *self)
{
    job_spec_clear(&self->spec);
    stage_clear(&self->stage);
    free(self->spec_json);
    free(self->report_json);
    free(self->progress);
    free(self->times);
    free(self->workers);
    job_story_clear(&self->story);
    free(self);
}

void job_book_clear(job_book_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        record_destroy(self->items[i]);
    free(self->items);
    memset(self, 0, sizeof *self);
}

/* Where the id is, or would be. */
static size_t position_of(const job_book_t *self, const char *job_id)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->items[middle]->job_id, job_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

job_record_t *job_book_find(const job_book_t *self, const char *job_id)
{
    size_t at = position_of(self, job_id);
    return at < self->count && !strcmp(self->items[at]->job_id, job_id) ? self->items[at] : NULL;
}

job_record_t *job_book_find_key(const job_book_t *self, const char *idempotency_key)
{
    for (size_t i = self->count; idempotency_key[0] && i > 0; i--)
        if (!strcmp(self->items[i - 1]->idempotency_key, idempotency_key))
            return self->items[i - 1];
    return NULL;
}

job_record_t *job_book_add(job_book_t *self, const char *job_id)
{
    if (job_book_find(self, job_id))
        return NULL;
    if (self->count == self->capacity) {
        size_t capacity = self->capacity ? 2 * self->capacity : 64;
        job_record_t **items = realloc(self->items, capacity * sizeof *items);
        if (!items)
            return NULL;
        self->items = items;
        self->capacity = capacity;
    }
    job_record_t *record = calloc(1, sizeof *record);
    if (!record)
        return NULL;
    snprintf(record->job_id, sizeof record->job_id, "%s", job_id);
    size_t at = position_of(self, job_id);
    memmove(&self->items[at + 1], &self->items[at], (self->count - at) * sizeof *self->items);
    self->items[at] = record;
    self->count++;
    return record;
}

void job_book_remove(job_book_t *self, job_record_t *record)
{
    size_t at = position_of(self, record->job_id);
    self->count--;
    memmove(&self->items[at], &self->items[at + 1], (self->count - at) * sizeof *self->items);
    record_destroy(record);
}

static int fill_random(uint8_t *bytes, size_t length, error_t *error)
{
    if (getrandom(bytes, length, 0) == (ssize_t)length)
        return OK;
    return error_set(error, ERR_INTERNAL, "no random numbers for a job id: %s", strerror(errno));
}

/* 130 bits of text for 128: the first character holds three bits, as a ULID's does. */
static void write_base32(const uint8_t bytes[16], char out[27])
{
    static const char DIGITS[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (int i = 0; i < 26; i++) {
        unsigned value = 0;
        for (int bit = 0; bit < 5; bit++) {
            int at = 5 * i + bit - 2;
            unsigned set = at < 0 ? 0 : (bytes[at / 8] >> (7 - at % 8)) & 1u;
            value = value << 1 | set;
        }
        out[i] = DIGITS[value];
    }
    out[26] = 0;
}

int job_book_new_id(job_book_t *self, int64_t now_ms, char out[JOB_ID_SIZE], error_t *error)
{
    uint8_t bytes[16];
    char text[27];
    int code = fill_random(bytes, sizeof bytes, error);
    if (code)
        return code;
    /* Strictly growing, also over a clock that was set back: ids are the order of submission. */
    int64_t last_ms = self->count ? self->items[self->count - 1]->submitted_ms : 0;
    if (last_ms > self->last_id_ms)
        self->last_id_ms = last_ms;
    self->last_id_ms = now_ms > self->last_id_ms ? now_ms : self->last_id_ms + 1;
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)((uint64_t)self->last_id_ms >> (8 * (5 - i)));
    write_base32(bytes, text);
    snprintf(out, JOB_ID_SIZE, "job_%s", text);
    return OK;
}

int job_record_set_stage(job_record_t *self, stage_t *stage, uint32_t number, int64_t now_ms,
                         error_t *error)
{
    uint64_t *progress = NULL;
    if (stage) {
        progress = calloc((size_t)stage->task_count + 1, sizeof *progress);
        if (!progress)
            return error_set(error, ERR_MEMORY, "no memory for a stage of %u tasks",
                             stage->task_count);
    }
    stage_clear(&self->stage);
    free(self->progress);
    self->progress = progress;
    self->work_total = 0;
    self->work_at_start = 0;
    self->stage_number = number;
    self->stage_started_ms = now_ms;
    if (!stage)
        return OK;
    self->stage = *stage;
    memset(stage, 0, sizeof *stage);
    for (uint32_t task = 0; task < self->stage.task_count; task++)
        self->work_total += self->stage.work[task];
    return OK;
}

void job_record_done_before(job_record_t *self, uint32_t task)
{
    if (task >= self->stage.task_count || self->progress[task] == self->stage.work[task])
        return;
    self->progress[task] = self->stage.work[task];
    self->work_at_start += self->stage.work[task];
}

void job_record_found_before(job_record_t *self, const sha256_t *found)
{
    static const sha256_t NONE = {{0}};
    for (uint32_t task = 0; found && task < self->stage.task_count; task++)
        if (!sha256_equal(&found[task], &NONE))
            job_record_done_before(self, task);
}

static phase_time_t *time_of(job_record_t *self, const char *name)
{
    for (size_t i = 0; i < self->time_count; i++)
        if (!strcmp(self->times[i].name, name))
            return &self->times[i];
    phase_time_t *times = realloc(self->times, (self->time_count + 1) * sizeof *times);
    if (!times)
        return NULL;
    self->times = times;
    phase_time_t *time = &self->times[self->time_count++];
    memset(time, 0, sizeof *time);
    snprintf(time->name, sizeof time->name, "%s", name);
    return time;
}

void job_record_add_time(job_record_t *self, const char *phase, int64_t ms)
{
    phase_time_t *time = time_of(self, phase);
    if (time)
        time->ms += ms;
}

void job_record_phase(job_record_t *self, const char *name, int64_t now_ms)
{
    if (self->phase_started_ms)
        job_record_add_time(self, self->phase, now_ms - self->phase_started_ms);
    self->phase_started_ms = name ? now_ms : 0;
    snprintf(self->phase, sizeof self->phase, "%s", name ? name : "");
}

void job_record_add_worker(job_record_t *self, const char *name)
{
    for (size_t i = 0; i < self->worker_count; i++)
        if (!strcmp(self->workers[i], name))
            return;
    if (self->worker_count == WORKERS_LISTED)
        return;
    char(*workers)[WORKER_NAME_SIZE] =
        realloc(self->workers, (self->worker_count + 1) * sizeof *workers);
    if (!workers)
        return;
    self->workers = workers;
    snprintf(self->workers[self->worker_count++], WORKER_NAME_SIZE, "%s", name);
}
