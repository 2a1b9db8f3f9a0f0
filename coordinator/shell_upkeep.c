/* What is looked after now and then: the ledger's lease, jobs past their retention, old caches. */
#include "common/clock.h"
#include "common/input/catalog_cache.h"
#include "coordinator/shell.h"
#include "coordinator/store/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define LEASE_MS 5000
#define RENEW_MS 1000
#define CLAIM_AGAIN_MS 250
#define SWEEP_MS 60000
#define SWEEP_SOON_MS 1000
#define RETENTION_DAYS 90
#define DAY_MS INT64_C(86400000)

/* ---- the ledger's owner ---- */

static int read_id(const char *path, char id[LEDGER_OWNER_ID_SIZE])
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length = file < 0 ? -1 : read(file, id, LEDGER_OWNER_ID_SIZE - 1);
    if (file >= 0)
        close(file);
    id[length < 0 ? 0 : length] = 0;
    return strlen(id) == LEDGER_OWNER_ID_SIZE - 1;
}

static int make_id(const char *path, char id[LEDGER_OWNER_ID_SIZE], error_t *error)
{
    unsigned char bytes[(LEDGER_OWNER_ID_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_set(error, ERR_INTERNAL, "the system gives no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return durable_error(error, "create", path);
    int code = durable_write(file, id, strlen(id), path, error);
    close(file);
    return code;
}

/* The folder's name for itself: its lock says that whoever had it before is dead. */
static int describe_owner(const shell_t *self, ledger_owner_t *out, error_t *error)
{
    char path[4096];
    char host[64] = "?";
    *out = (ledger_owner_t){.lease_ms = LEASE_MS};
    snprintf(path, sizeof path, "%s/ledger.owner", self->options->state_folder);
    int code = read_id(path, out->id) ? OK : make_id(path, out->id, error);
    gethostname(host, sizeof host - 1);
    snprintf(out->words, sizeof out->words, "coordinator %ld on host %s, state folder %s",
             (long)getpid(), host, self->options->state_folder);
    return code;
}

/* A lease that nobody renews ends while we wait. One that is renewed outlasts our patience. */
int shell_claim(shell_t *self, const atomic_int *stop, error_t *error)
{
    int64_t until_ms = clock_monotonic_ms() + LEASE_MS + 2 * RENEW_MS;
    int code = describe_owner(self, &self->owner, error);
    if (code)
        return code;
    while ((code = self->ledger->verbs->claim(self->ledger, &self->owner, error)) == ERR_CONFLICT &&
           clock_monotonic_ms() < until_ms && !atomic_load(stop))
        poll(NULL, 0, CLAIM_AGAIN_MS);
    self->renewed_ms = clock_monotonic_ms();
    self->ledger->verbs->fence(self->ledger, &self->fence);
    self->places.fence = (result_fence_t){
        .ledger = self->fence.ledger, .number = self->fence.number, .owner = self->owner.words};
    return code;
}

void shell_notice_fence(shell_t *self, const error_t *error)
{
    int displaced = error->code == ERR_CONFLICT &&
                    (!strcmp(error->field, LEDGER_OWNER) || !strcmp(error->field, RESULT_OWNER));
    if (displaced && !self->fenced.code)
        self->fenced = *error;
}

static void renew(shell_t *self, int64_t now_ms)
{
    if (self->renewing || now_ms - self->renewed_ms < RENEW_MS)
        return;
    self->renewing = 1;
    self->renewed_ms = now_ms;
    store_thread_ask(self->saver, store_work_new(STORE_RENEW, ""));
}

void shell_renewed(shell_t *self, const store_work_t *work)
{
    self->renewing = 0;
    shell_notice_fence(self, &work->error); /* what is not that, the saves will tell */
}

/* ---- retention ---- */

static int32_t days_unless_asked(const shell_t *self)
{
    return self->options->retention_days < 0 ? RETENTION_DAYS : self->options->retention_days;
}

int64_t shell_own_expiry_ms(const job_spec_t *spec, int64_t ended_ms)
{
    if (spec->retention_days < 0)
        return 0;
    return spec->retention_days ? ended_ms + spec->retention_days * DAY_MS : INT64_MAX;
}

int64_t shell_expires_ms(const shell_t *self, const job_record_t *record)
{
    int32_t days = record->spec.retention_days;
    if (days < 0)
        days = days_unless_asked(self);
    if (!days || !record->durable || !job_state_ended(record->state))
        return 0;
    return record->changed_ms + days * DAY_MS;
}

static core_event_t expiry_of(const char *job_id)
{
    core_event_t event = {.kind = CORE_EVENT_EXPIRE};
    snprintf(event.job_id, sizeof event.job_id, "%s", job_id);
    return event;
}

/* Those that the core knows: removals that have failed, and ended jobs whose purge has. */
static size_t sweep_known(shell_t *self, int64_t now_ms)
{
    size_t removing = 0;
    for (size_t i = 0; i < self->jobs.count; i++) {
        const job_record_t *record = self->jobs.items[i];
        int64_t expires_ms = shell_expires_ms(self, record);
        removing += record->state == JOB_REMOVING;
        if (record->state != JOB_REMOVING && (!expires_ms || now_ms < expires_ms))
            continue;
        core_event_t event = expiry_of(record->job_id);
        shell_feed(self, &event); /* the record goes later, when the merge thread is done */
    }
    return removing;
}

static void sweep_jobs(shell_t *self)
{
    int64_t now_ms = clock_wall_ms();
    int32_t days = days_unless_asked(self);
    if (sweep_known(self, now_ms) >= LEDGER_IDS || self->looking_for_expired)
        return;
    store_work_t *work = store_work_new(STORE_EXPIRED, "");
    work->now_ms = now_ms;
    work->unchanged_since_ms = days ? now_ms - days * DAY_MS : INT64_MIN;
    self->looking_for_expired = 1;
    shell_ask(self, work);
}

/* There are more than were asked for: the next look comes soon. */
void shell_expired(shell_t *self, const store_work_t *work)
{
    size_t count = work->error.code ? 0 : work->ids->count;
    self->looking_for_expired = 0;
    for (size_t i = 0; i < count; i++) {
        core_event_t event = expiry_of(work->ids->items[i]);
        shell_feed_or_recall(self, &event);
    }
    if (count == LEDGER_IDS)
        self->swept_ms = clock_monotonic_ms() - SWEEP_MS + SWEEP_SOON_MS;
}

static void sweep(shell_t *self, int64_t now_ms)
{
    if (self->swept_ms && now_ms - self->swept_ms < SWEEP_MS)
        return;
    self->swept_ms = now_ms;
    sweep_jobs(self);
    if (!self->options->catalog_days)
        return;
    size_t removed = catalog_cache_sweep(self->paths.cache, clock_wall_ms() / 1000,
                                         self->options->catalog_days * (DAY_MS / 1000));
    if (removed)
        log_event(self->log, LOG_INFO, "catalogs_removed", LOG_INT("files", removed));
}

void shell_look_after(shell_t *self)
{
    int64_t now_ms = clock_monotonic_ms();
    renew(self, now_ms);
    sweep(self, now_ms);
}
