#include "coordinator/job_story.h"

#include "common/clock.h"
#include "common/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const STORES[STORE_COUNT] = {
    [STORE_LEDGER] = "the ledger", [STORE_RESULTS] = "the place of the results"};

void job_story_clear(job_story_t *self)
{
    free(self->faults);
    memset(self, 0, sizeof *self);
}

/* A place for one more, the oldest giving way; NULL without memory: then the story has a gap. */
static fault_t *place(job_story_t *self)
{
    if (!self->faults)
        self->faults = calloc(STORY_LIMIT, sizeof *self->faults);
    if (!self->faults)
        return NULL;
    if (self->count == STORY_LIMIT) {
        memmove(self->faults, self->faults + 1, (STORY_LIMIT - 1) * sizeof *self->faults);
        self->count--;
        self->left_out++;
    }
    fault_t *fault = &self->faults[self->count++];
    memset(fault, 0, sizeof *fault);
    return fault;
}

static void add(job_story_t *self, int64_t now_ms, const char *what, const char *words)
{
    fault_t *last = self->count ? &self->faults[self->count - 1] : NULL;
    self->dirty = 1;
    if (last && !strcmp(last->what, what) && !strcmp(last->words, words)) {
        last->last_ms = now_ms;
        last->times++;
        return;
    }
    fault_t *fault = place(self);
    if (!fault)
        return;
    fault->at_ms = fault->last_ms = now_ms;
    fault->times = 1;
    snprintf(fault->what, sizeof fault->what, "%s", what);
    snprintf(fault->words, sizeof fault->words, "%s", words);
}

void job_story_add(job_story_t *self, int64_t now_ms, const char *what, const char *words, ...)
{
    char text[sizeof(((fault_t *)0)->words)];
    va_list arguments;
    va_start(arguments, words);
    vsnprintf(text, sizeof text, words, arguments);
    va_end(arguments);
    utf8_repair(text, strlen(text)); /* cut off, perhaps in the middle of a character */
    add(self, now_ms, what, text);
}

void job_story_refused(job_story_t *self, int64_t now_ms, story_store_t store, const error_t *error)
{
    store_trouble_t *trouble = &self->trouble[store];
    if (!trouble->since_ms)
        trouble->since_ms = now_ms;
    snprintf(trouble->message, sizeof trouble->message, "%s", error->message);
    utf8_repair(trouble->message, strlen(trouble->message));
}

static long long seconds_of(const store_trouble_t *trouble, int64_t now_ms)
{
    return (long long)((now_ms - trouble->since_ms) / 1000);
}

void job_story_taken(job_story_t *self, int64_t now_ms, story_store_t store)
{
    store_trouble_t *trouble = &self->trouble[store];
    if (trouble->since_ms && now_ms - trouble->since_ms >= STORY_PATIENCE_MS)
        job_story_add(self, trouble->since_ms, "store_failed", "%s did not answer for %lld s: %s",
                      STORES[store], seconds_of(trouble, now_ms), trouble->message);
    trouble->since_ms = 0;
}

int job_story_waits(const job_story_t *self, int64_t now_ms, char *out, size_t size)
{
    for (int store = 0; store < STORE_COUNT; store++) {
        const store_trouble_t *trouble = &self->trouble[store];
        if (!trouble->since_ms)
            continue;
        snprintf(out, size, "%s has not answered for %lld s: %s", STORES[store],
                 seconds_of(trouble, now_ms), trouble->message);
        return 1;
    }
    return 0;
}

/* ---- as JSON ---- */

static json_t *time_json(int64_t time_ms)
{
    char text[32];
    time_format(time_ms, text);
    return json_string(text);
}

json_t *job_story_list(const job_story_t *self)
{
    json_t *list = json_array();
    for (size_t i = 0; i < self->count; i++) {
        const fault_t *fault = &self->faults[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "at", time_json(fault->at_ms));
        json_object_set_new(entry, "what", json_string(fault->what));
        json_object_set_new(entry, "words", json_string(fault->words));
        if (fault->times > 1) {
            json_object_set_new(entry, "times", json_integer(fault->times));
            json_object_set_new(entry, "last_at", time_json(fault->last_ms));
        }
        json_array_append_new(list, entry);
    }
    return list;
}

static int64_t time_of(const json_t *object, const char *key, int64_t otherwise_ms)
{
    const char *text = json_string_value(json_object_get(object, key));
    int64_t time_ms;
    return text && time_parse(text, strlen(text), &time_ms) ? time_ms : otherwise_ms;
}

static uint32_t count_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void read_fault(job_story_t *self, const json_t *entry)
{
    const char *what = json_string_value(json_object_get(entry, "what"));
    const char *words = json_string_value(json_object_get(entry, "words"));
    if (!what || !words)
        return;
    add(self, time_of(entry, "at", 0), what, words);
    if (!self->count)
        return;
    fault_t *fault = &self->faults[self->count - 1];
    uint32_t times = count_of(entry, "times");
    fault->times = times ? times : 1;
    fault->last_ms = time_of(entry, "last_at", fault->at_ms);
}

void job_story_read(job_story_t *self, const json_t *report)
{
    const json_t *faults = json_object_get(report, "faults");
    for (size_t i = 0; i < json_array_size(faults); i++)
        read_fault(self, json_array_get(faults, i));
    self->left_out = count_of(report, "faults_left_out");
    self->retries = count_of(report, "retries");
    self->workers_lost = count_of(report, "workers_lost");
    self->late_results = count_of(report, "late_results");
    self->dirty = 0;
}
