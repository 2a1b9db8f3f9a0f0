/* Coordinator and workers as threads of one process over inproc, as `stage4 run` has them: a job to
 * its end, a worker that leaves in the middle, a coordinator that ends and begins again. */
#include "common/clock.h"
#include "common/net/socket.h"
#include "common/net/start.h"
#include "coordinator/coordinator.h"
#include "proto/client_message.h"
#include "worker/worker.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define INDICES TEST_DATA "/wiki2015"
#define PATIENCE_MS 120000
#define JOB                                                                                        \
    "{\"embedding_type\":\"entities\",\"algorithm\":\"hdbscan\",\"as_of\":\"2015-10-01\","         \
    "\"params\":{\"min_cluster_size\":3}}"

typedef struct {
    pthread_t thread;
    atomic_int stop;
    int code;
    error_t error;
    coordinator_options_t coordinator;
    worker_options_t worker;
} part_t;

typedef struct {
    char folder[64];
    char clients[64];
    char workers[64];
    part_t coordinator;
    part_t worker[2];
    net_socket_t *socket;
    uint64_t next_request;
} cluster_t;

static void *run_coordinator(void *argument)
{
    part_t *part = argument;
    part->code = coordinator_run(&part->coordinator, &part->stop, &part->error);
    return NULL;
}

static void *run_worker(void *argument)
{
    part_t *part = argument;
    part->code = worker_run(&part->worker, &part->stop, &part->error);
    return NULL;
}

static void begin(part_t *part, void *(*run)(void *))
{
    atomic_store(&part->stop, 0);
    assert_int_equal(pthread_create(&part->thread, NULL, run, part), 0);
}

static void end(part_t *part)
{
    atomic_store(&part->stop, 1);
    pthread_join(part->thread, NULL);
    if (part->code)
        fail_msg("%s", part->error.message);
}

static void begin_worker(cluster_t *self, int number)
{
    self->worker[number].worker = (worker_options_t){
        .endpoint = self->workers, .indices_folder = INDICES, .threads = 1, .credit = 2};
    begin(&self->worker[number], run_worker);
}

static void begin_cluster(cluster_t *self, const char *name)
{
    net_options_t net = {.frame_limit = CLIENT_MESSAGE_LIMIT, .queue_limit = 10};
    memset(self, 0, sizeof *self);
    snprintf(self->folder, sizeof self->folder, "/tmp/stage4-inproc-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    snprintf(self->clients, sizeof self->clients, "inproc://clients-%s", name);
    snprintf(self->workers, sizeof self->workers, "inproc://workers-%s", name);
    net_start();
    self->coordinator.coordinator = (coordinator_options_t){.client_endpoint = self->clients,
                                                            .worker_endpoint = self->workers,
                                                            .indices_folder = INDICES,
                                                            .state_folder = self->folder,
                                                            .output_folder = self->folder};
    begin(&self->coordinator, run_coordinator);
    begin_worker(self, 0);
    begin_worker(self, 1);
    assert_int_equal(net_dealer_connect(self->clients, &net, &self->socket, NULL), OK);
}

static void end_cluster(cluster_t *self)
{
    char command[128];
    net_socket_close(&self->socket);
    end(&self->coordinator);
    snprintf(command, sizeof command, "rm -rf %s", self->folder);
    assert_int_equal(system(command), 0);
}

/* The answer's JSON; NULL when none came within two seconds (the coordinator is away). */
static json_t *ask(cluster_t *self, client_verb_t verb, const char *job_id, const char *body)
{
    client_request_t request = {.request_id = ++self->next_request,
                                .verb = verb,
                                .body = body,
                                .body_length = body ? strlen(body) : 0};
    int64_t until_ms = clock_monotonic_ms() + 2000;
    uint8_t *bytes;
    size_t length;
    snprintf(request.job_id, sizeof request.job_id, "%s", job_id);
    assert_int_equal(client_request_encode(&request, &bytes, &length, NULL), OK);
    int sent = 0;
    json_t *json = NULL;
    while (!json && clock_monotonic_ms() < until_ms) {
        net_message_t message;
        client_reply_t reply;
        net_poll_t item = {.socket = self->socket};
        if (!sent)
            sent = !net_send(self->socket, NULL, &(net_frame_t){bytes, length}, 1, NULL);
        net_poll(&item, 1, 20);
        if (!net_receive(self->socket, &message))
            continue;
        assert_int_equal(
            client_reply_decode(message.frames[0].bytes, message.frames[0].length, &reply, NULL),
            OK);
        if (reply.error.code)
            fail_msg("%s", reply.error.message);
        if (reply.request_id == request.request_id)
            json = json_loadb(reply.body, reply.body_length, 0, NULL);
        net_message_clear(&message);
    }
    free(bytes);
    return json;
}

static void text_of(json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, size, "%s", text ? text : "");
}

static void submit(cluster_t *self, char job_id[JOB_ID_SIZE])
{
    json_t *status = ask(self, VERB_SUBMIT, "", JOB);
    assert_non_null(status);
    text_of(status, "job_id", job_id, JOB_ID_SIZE);
    json_decref(status);
}

/* Waits until at least `done` tasks are done, or the job has ended. */
static void wait_for_tasks(cluster_t *self, const char *job_id, json_int_t done)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        char state[32];
        json_t *status = ask(self, VERB_STATUS, job_id, NULL);
        assert_non_null(status);
        text_of(status, "state", state, sizeof state);
        json_int_t now = json_integer_value(json_object_get(status, "tasks_done"));
        json_decref(status);
        if (now >= done || !strcmp(state, "completed"))
            return;
        assert_true(clock_monotonic_ms() < until_ms);
    }
}

/* The SHA-256 of the finished job's JSONL. */
static void wait_for_output(cluster_t *self, const char *job_id, char sha256[65])
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        char state[32];
        json_t *status = ask(self, VERB_STATUS, job_id, NULL);
        assert_non_null(status);
        text_of(status, "state", state, sizeof state);
        assert_string_not_equal(state, "failed");
        if (!strcmp(state, "completed")) {
            json_t *output = json_object_get(json_object_get(status, "report"), "output");
            text_of(output, "sha256", sha256, 65);
            assert_int_equal(strlen(sha256), 64);
            json_decref(status);
            return;
        }
        json_decref(status);
        assert_true(clock_monotonic_ms() < until_ms);
        usleep(20000);
    }
}

static void the_job_undisturbed(char sha256[65])
{
    cluster_t cluster;
    char job_id[JOB_ID_SIZE];
    begin_cluster(&cluster, "undisturbed");
    submit(&cluster, job_id);
    wait_for_output(&cluster, job_id, sha256);
    end(&cluster.worker[0]);
    end(&cluster.worker[1]);
    end_cluster(&cluster);
}

static void a_job_runs_in_one_process(void **state) { the_job_undisturbed(*state); }

static void a_worker_may_leave_in_the_middle(void **state)
{
    cluster_t cluster;
    char job_id[JOB_ID_SIZE];
    char sha256[65];
    begin_cluster(&cluster, "leaving");
    submit(&cluster, job_id);
    wait_for_tasks(&cluster, job_id, 1);
    end(&cluster.worker[0]);
    wait_for_output(&cluster, job_id, sha256);
    assert_string_equal(sha256, *state);
    end(&cluster.worker[1]);
    end_cluster(&cluster);
}

static void a_coordinator_goes_on_in_the_same_process(void **state)
{
    cluster_t cluster;
    char job_id[JOB_ID_SIZE];
    char sha256[65];
    begin_cluster(&cluster, "outliving");
    submit(&cluster, job_id);
    wait_for_tasks(&cluster, job_id, 1);
    end(&cluster.coordinator);
    net_socket_close(&cluster.socket);
    end(&cluster.worker[0]); /* with nobody to say goodbye to */
    begin(&cluster.coordinator, run_coordinator);
    net_options_t net = {.frame_limit = CLIENT_MESSAGE_LIMIT, .queue_limit = 10};
    assert_int_equal(net_dealer_connect(cluster.clients, &net, &cluster.socket, NULL), OK);
    end(&cluster.worker[1]); /* inproc does not reconnect: workers begin anew with it */
    begin_worker(&cluster, 0);
    begin_worker(&cluster, 1);
    wait_for_output(&cluster, job_id, sha256);
    assert_string_equal(sha256, *state);
    end(&cluster.worker[0]);
    end(&cluster.worker[1]);
    end_cluster(&cluster);
}

int main(void)
{
    static char sha256[65];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_job_runs_in_one_process, sha256),
        cmocka_unit_test_prestate(a_worker_may_leave_in_the_middle, sha256),
        cmocka_unit_test_prestate(a_coordinator_goes_on_in_the_same_process, sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
