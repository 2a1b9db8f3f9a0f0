/* bench_checkpoint - one job in one process, with the stores that are asked for, and where its time went.
 *
 *   bench_checkpoint INDICES LEVEL FOLDER LEDGER RESULTS [REDIS_PORT PASSWORD]
 *
 * LEDGER: none (as `stage4 run` without --state: in memory, and payloads are not synced), sqlite or
 * redis. RESULTS: none or sqlite. One worker of one thread. Prints JSON: the processor seconds of the
 * process, of its saver, and those spent in syncs by others (the merge thread's: stages and their
 * states); how many syncs there were, by the saver and by others, and how long they took. So what
 * checkpoints cost can be read off one run, and need not be the small difference of two large
 * numbers. tests/bench/scale.py runs it. */
#include "cli/embedded.h"
#include "common/clock.h"
#include "gateway/coordinator_client.h"

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 5000
#define JOB "{\"embedding_type\":\"%s\",\"algorithm\":\"hdbscan\",\"as_of\":\"2026-01-01\"}"

/* Of syncs; [1]: by the saver. */
static struct {
    atomic_ullong calls[2];
    atomic_ullong processor_ns[2];
    atomic_ullong wall_ns[2];
} syncs;

static unsigned long long now_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (unsigned long long)time.tv_sec * 1000000000ULL + (unsigned long long)time.tv_nsec;
}

static int measured(long call, int file)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    int saver = !strcmp(name, "saver");
    unsigned long long processor = now_ns(CLOCK_THREAD_CPUTIME_ID), wall = now_ns(CLOCK_MONOTONIC);
    int result = (int)syscall(call, file);
    atomic_fetch_add(&syncs.calls[saver], 1);
    atomic_fetch_add(&syncs.processor_ns[saver], now_ns(CLOCK_THREAD_CPUTIME_ID) - processor);
    atomic_fetch_add(&syncs.wall_ns[saver], now_ns(CLOCK_MONOTONIC) - wall);
    return result;
}

int fsync(int file) { return measured(SYS_fsync, file); }
int fdatasync(int file) { return measured(SYS_fdatasync, file); }

/* Of the thread of that name, which is still there. */
static double thread_seconds(const char *wanted)
{
    char command[256], name[32] = "";
    double seconds = 0;
    snprintf(command, sizeof command,
             "for t in /proc/%d/task/*; do echo $(cat $t/comm) $(cat $t/schedstat); done",
             (int)getpid());
    FILE *threads = popen(command, "r");
    unsigned long long ns;
    char line[256];
    while (threads && fgets(line, sizeof line, threads))
        if (sscanf(line, "%31s %llu", name, &ns) == 2 && !strcmp(name, wanted))
            seconds += (double)ns * 1e-9;
    if (threads)
        pclose(threads);
    return seconds;
}

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
}

static json_t *ask(coordinator_client_t *client, client_verb_t verb, const char *job_id,
                   const char *body)
{
    char *answer = NULL;
    error_t error = ERROR_INIT;
    if (coordinator_client_call(client, verb, job_id, NULL, body, body ? strlen(body) : 0,
                                ANSWER_MS, &answer, &error)) {
        fprintf(stderr, "bench_checkpoint: %s\n", error.message);
        exit(1);
    }
    json_t *status = json_loads(answer, 0, NULL);
    free(answer);
    return status;
}

static const char *text_of(const json_t *status, const char *key)
{
    const char *text = json_string_value(json_object_get(status, key));
    return text ? text : "";
}

static void run_job(coordinator_client_t *client, const char *level)
{
    char body[256], job_id[64];
    snprintf(body, sizeof body, JOB, level);
    json_t *status = ask(client, VERB_SUBMIT, NULL, body);
    snprintf(job_id, sizeof job_id, "%s", text_of(status, "job_id"));
    while (strcmp(text_of(status, "state"), "completed") != 0) {
        if (!strcmp(text_of(status, "state"), "failed")) {
            json_dumpf(status, stderr, JSON_INDENT(2));
            exit(1);
        }
        json_decref(status);
        poll(NULL, 0, 50);
        status = ask(client, VERB_STATUS, job_id, NULL);
    }
    json_decref(status);
}

static void print(double seconds, double before)
{
    double of_syncs[2], wall[2];
    for (int i = 0; i < 2; i++) {
        of_syncs[i] = (double)atomic_load(&syncs.processor_ns[i]) * 1e-9;
        wall[i] = (double)atomic_load(&syncs.wall_ns[i]) * 1e-9;
    }
    json_t *result = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:f, s:f}", "seconds", seconds, "processor",
        processor_seconds() - before, "saver", thread_seconds("saver"), "saver_syncs_processor",
        of_syncs[1], "other_syncs_processor", of_syncs[0], "saver_syncs",
        (int)atomic_load(&syncs.calls[1]), "other_syncs", (int)atomic_load(&syncs.calls[0]),
        "saver_syncs_seconds", wall[1], "other_syncs_seconds", wall[0]);
    json_dumpf(result, stdout, JSON_COMPACT);
    puts("");
    json_decref(result);
}

int main(int count, char **arguments)
{
    char output[4096];
    error_t error = ERROR_INIT;
    embedded_t *embedded = NULL;
    coordinator_client_t *client = NULL;
    if (count != 6 && count != 8) {
        fprintf(stderr, "usage: bench_checkpoint INDICES LEVEL FOLDER none|sqlite|redis "
                        "none|sqlite [REDIS_PORT PASSWORD]\n");
        return 2;
    }
    snprintf(output, sizeof output, "%s/output", arguments[3]);
    embedded_options_t options = {.indices_folder = arguments[1],
                                  .state_folder = arguments[3],
                                  .output_folder = output,
                                  .scratch = !strcmp(arguments[4], "none"),
                                  .workers = 1,
                                  .threads = 1,
                                  .running_limit = 1,
                                  .queue_limit = 10,
                                  .log = log_new(stderr, LOG_WARNING, "bench")};
    options.results.kind = arguments[5];
    if (!options.scratch)
        options.ledger.kind = arguments[4];
    if (count == 8)
        options.ledger.redis = (ledger_redis_options_t){.host = "127.0.0.1",
                                                        .port = (uint16_t)atoi(arguments[6]),
                                                        .db = 6,
                                                        .password = arguments[7]};
    if (embedded_start(&options, &embedded, &error) ||
        coordinator_client_new(embedded_client_endpoint(embedded), &client, &error)) {
        fprintf(stderr, "bench_checkpoint: %s\n", error.message);
        return 1;
    }
    double before = processor_seconds();
    int64_t begin_ms = clock_monotonic_ms();
    run_job(client, arguments[2]);
    print((double)(clock_monotonic_ms() - begin_ms) * 1e-3, before);
    coordinator_client_destroy(&client);
    embedded_stop(&embedded);
    log_destroy(&options.log);
    return 0;
}
