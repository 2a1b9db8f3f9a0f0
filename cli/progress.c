#include "cli/progress.h"

#include "cli/text_table.h"

#include <string.h>
#include <unistd.h>

#define LINE_EVERY_MS 5000
#define BAR_EVERY_MS 200
#define BAR_WIDTH 24

void progress_begin(progress_t *self, FILE *stream, int64_t now_ms)
{
    *self = (progress_t){.stream = stream, .started_ms = now_ms};
    self->terminal = isatty(fileno(stream));
}

void duration_words(double seconds, char out[32])
{
    long whole = (long)(seconds + 0.5);
    if (seconds < 99.95)
        snprintf(out, 32, "%.1f s", seconds);
    else if (whole < 6000)
        snprintf(out, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(out, 32, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
}

void count_words(double count, char out[32])
{
    static const char *const UNITS[] = {"", " k", " M", " G", " T"};
    size_t unit = 0;
    while (count >= 999.5 && unit + 1 < sizeof UNITS / sizeof *UNITS) {
        count /= 1000;
        unit++;
    }
    snprintf(out, 32, unit && count < 9.95 ? "%.1f%s" : "%.0f%s", count, UNITS[unit]);
}

/* The pace since the phase was first seen; 0 in its first second. */
static double pace(const progress_t *self, const job_view_t *job, int64_t now_ms)
{
    double seconds = (double)(now_ms - self->phase_ms) / 1000;
    return seconds >= 1 ? (job->work_done - self->phase_work) / seconds : 0;
}

static void show_bar(const progress_t *self, const job_view_t *job, int64_t now_ms)
{
    char words[32];
    double pairs = pace(self, job, now_ms);
    fputs("\r\x1b[K", self->stream);
    if (job->progress >= 0) {
        int filled = (int)(job->progress * BAR_WIDTH + 0.5);
        fputc('[', self->stream);
        for (int i = 0; i < BAR_WIDTH; i++)
            fputc(i < filled ? '#' : '.', self->stream);
        fprintf(self->stream, "] %3.0f %%  ", 100 * job->progress);
    }
    if (*job->waiting_for)
        text_print(job->waiting_for, 60, self->stream);
    else
        text_print(*job->phase ? job->phase : job->state, 40, self->stream);
    if (pairs > 0) {
        count_words(pairs, words);
        fprintf(self->stream, "  %s pairs/s", words);
    }
    duration_words((double)(now_ms - self->started_ms) / 1000, words);
    fprintf(self->stream, "  %s", words);
    if (job->eta_s >= 0) {
        duration_words(job->eta_s, words);
        fprintf(self->stream, ", %s left", words);
    }
}

static void write_line(const progress_t *self, const job_view_t *job, int64_t now_ms)
{
    double pairs = pace(self, job, now_ms);
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:f}", "job_id", job->job_id, "state", job->state, "phase",
                  job->phase, "elapsed_seconds", (double)(now_ms - self->started_ms) / 1000);
    if (job->progress >= 0)
        json_object_set_new(line, "progress", json_real(job->progress));
    if (pairs > 0)
        json_object_set_new(line, "pairs_per_second", json_real(pairs));
    if (*job->waiting_for)
        json_object_set_new(line, "waiting_for", json_string(job->waiting_for));
    if (job->eta_s >= 0)
        json_object_set_new(line, "eta_seconds", json_real(job->eta_s));
    json_dumpf(line, self->stream, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', self->stream);
    json_decref(line);
}

void progress_show(progress_t *self, const job_view_t *job, int64_t now_ms)
{
    char told[sizeof self->told];
    snprintf(told, sizeof told, "%s %s %s", job->state, job->phase, job->waiting_for);
    int is_new = strcmp(told, self->told) != 0;
    if (is_new) {
        memcpy(self->told, told, sizeof told);
        self->phase_ms = now_ms;
        self->phase_work = job->work_done;
    }
    if (!is_new && now_ms - self->told_ms < (self->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
        return;
    self->told_ms = now_ms;
    if (self->terminal)
        show_bar(self, job, now_ms);
    else
        write_line(self, job, now_ms);
    self->shown = self->terminal;
    fflush(self->stream);
}

void progress_end(progress_t *self)
{
    if (self->shown)
        fputs("\r\x1b[K", self->stream);
    self->shown = 0;
    fflush(self->stream);
}
