#include "lib/ledger_suite.h"
#include "lib/proxy.h"
#include "lib/server.h"

#include "common/clock.h"
#include "proto/store/redis.h"

#include <sys/resource.h>

static test_server_t server; /* one for the program; a place is a prefix of keys in it */
static unsigned place_count;

typedef struct {
    test_folder_t folder;
    char memory[512];
    char prefix[32];
} place_t;

static void *place_new(void)
{
    place_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "ledger.generation", self->memory);
    snprintf(self->prefix, sizeof self->prefix, "test%u:", ++place_count);
    return self;
}

static void place_destroy(void *place)
{
    folder_destroy(&((place_t *)place)->folder);
    free(place);
}

static ledger_redis_options_t options_of(const place_t *place)
{
    return (ledger_redis_options_t){.host = "127.0.0.1",
                                    .port = server.port,
                                    .db = 6,
                                    .password = REDIS_PASSWORD,
                                    .prefix = place->prefix,
                                    .memory_path = place->memory};
}

static int open_ledger(void *place, ledger_t **out, error_t *error)
{
    ledger_redis_options_t options = options_of(place);
    return ledger_open_redis(&options, out, NULL, error);
}

/* Runs redis-cli-like commands without an adapter under test: words in, nothing back. */
static void tell_redis(const char *words)
{
    char text[512];
    char answer[4096];
    int descriptor = server_connect(server.port);
    int length = snprintf(text, sizeof text, "AUTH \"%s\"\r\nSELECT 6\r\n%s\r\nQUIT\r\n",
                          REDIS_PASSWORD, words);
    assert_int_equal(write(descriptor, text, (size_t)length), length);
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < sizeof answer - 1) {
        got = read(descriptor, answer + used, sizeof answer - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    }
    answer[used] = 0;
    close(descriptor);
    assert_null(strstr(answer, "\n-"));
}

/* ---- who may be the ledger ---- */

static void expect_refused(const ledger_redis_options_t *options, int code, const char *words)
{
    ledger_t *ledger = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(ledger_open_redis(options, &ledger, NULL, &error), code);
    assert_null(ledger);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
    assert_null(strstr(error.message, REDIS_PASSWORD));
    assert_null(strstr(error.message, "a wrong secret"));
}

static void a_misconfigured_server_is_refused_by_name(void **state)
{
    (void)state;
    place_t *place = place_new();
    ledger_redis_options_t options = options_of(place);
    options.password = "a wrong secret";
    expect_refused(&options, ERR_USAGE, "redis_password");
    options.password = NULL;
    expect_refused(&options, ERR_USAGE, "redis_password");
    options.password = REDIS_PASSWORD;
    options.db = 99;
    expect_refused(&options, ERR_USAGE, "database 99");
    options.db = 6;
    options.port = server_free_port();
    expect_refused(&options, ERR_UNAVAILABLE, "cannot be reached");
    options.host = "no-such-host.invalid";
    expect_refused(&options, ERR_UNAVAILABLE, "no-such-host.invalid");
    place_destroy(place);
}

static void a_server_that_forgets_is_refused_unless_told_so(void **state)
{
    (void)state;
    test_server_t other;
    place_t *place = place_new();
    ledger_t *ledger = NULL;
    assert_true(redis_new_server(&other, NULL, "no", "everysec"));
    ledger_redis_options_t options = options_of(place);
    options.port = other.port;
    expect_refused(&options, ERR_USAGE, "appendonly");
    options.allow_volatile = 1;
    assert_int_equal(ledger_open_redis(&options, &ledger, NULL, NULL), OK);
    ledger->verbs->close(&ledger);
    server_destroy(&other);
    place_destroy(place);
}

static void a_server_that_may_evict_is_refused(void **state)
{
    (void)state;
    place_t *place = place_new();
    ledger_redis_options_t options = options_of(place);
    tell_redis("CONFIG SET maxmemory 1gb\r\nCONFIG SET maxmemory-policy allkeys-lru");
    expect_refused(&options, ERR_USAGE, "maxmemory-policy");
    tell_redis("CONFIG SET maxmemory 0\r\nCONFIG SET maxmemory-policy noeviction");
    place_destroy(place);
}

static void a_slow_fsync_is_a_warning(void **state)
{
    (void)state;
    place_t *place = place_new();
    ledger_redis_options_t options = options_of(place);
    ledger_t *ledger = NULL;
    error_t warning = ERROR_INIT;
    assert_int_equal(ledger_open_redis(&options, &ledger, &warning, NULL), OK);
    assert_string_equal(warning.message, "");
    ledger->verbs->close(&ledger);
    tell_redis("CONFIG SET appendfsync everysec");
    assert_int_equal(ledger_open_redis(&options, &ledger, &warning, NULL), OK);
    assert_non_null(strstr(warning.message, "appendfsync"));
    ledger->verbs->close(&ledger);
    tell_redis("CONFIG SET appendfsync always");
    place_destroy(place);
}

static void a_ledger_of_a_newer_program_is_left_alone(void **state)
{
    (void)state;
    place_t *place = place_new();
    ledger_redis_options_t options = options_of(place);
    char words[128];
    snprintf(words, sizeof words, "HSET %sledger version 99", place->prefix);
    tell_redis(words);
    expect_refused(&options, ERR_CONFLICT, "version 99");
    place_destroy(place);
}

static void another_kind_of_ledger_is_refused_by_name(void **state)
{
    (void)state;
    ledger_options_t options = {.kind = "mysql"};
    ledger_t *ledger = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(ledger_open(&options, &ledger, NULL, &error), ERR_USAGE);
    assert_string_equal(error.field, "ledger");
    assert_non_null(strstr(error.message, "sqlite or redis"));
}

/* The rights that DEPLOYMENT.md lists are those that are needed. */
static void a_restricted_user_is_enough(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_t *ledger = NULL;
    error_t error = ERROR_INIT;
    tell_redis("ACL SETUSER default resetkeys ~test* -@all +@connection +info +config|get +hget"
               " +hset +hmget +hgetall +hsetnx +hincrby +zadd +zrem +zrange +zscore +sadd +srem"
               " +smembers +unlink +evalsha +script|load +acl");
    int opened = open_ledger(self->place, &ledger, &error);
    int worked = OK;
    if (opened == OK) {
        ledger_job_t job = ledger_a_job("j", 1, "k");
        worked = ledger_save(self, &job);
        worked = worked ? worked : ledger_save_stage(self, "j", 1, 0);
        worked = worked ? worked : ledger_save_task(self, "j", 1, 0, 1);
        free(ledger_dump(self));
        worked = worked ? worked : ledger_change(ledger, ledger_change_forget("j"), &error);
        ledger->verbs->close(&ledger);
    }
    tell_redis("ACL SETUSER default -@all +get +acl +select +quit +auth");
    int refused = open_ledger(self->place, &ledger, &error);
    tell_redis("ACL SETUSER default allkeys allcommands");
    assert_int_equal(opened, OK);
    assert_int_equal(worked, OK);
    assert_int_equal(refused, ERR_USAGE);
    assert_non_null(strstr(error.message, "DEPLOYMENT.md"));
}

/* ---- what happens to a server ---- */

static void a_redis_that_came_back_empty_is_noticed(void **state)
{
    ledger_fixture_t *self = *state;
    place_t *place = self->place;
    ledger_redis_options_t options = options_of(place);
    ledger_job_t job = ledger_a_job("j", 1, "");
    ledger_t *none = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(ledger_save(self, &job), OK);
    tell_redis("FLUSHALL");
    /* By the handle that is open, before and after it connects again, ... */
    assert_int_equal(ledger_change(self->ledger, ledger_change_job(&job), &error), ERR_CONFLICT);
    assert_non_null(strstr(error.message, "came back empty"));
    assert_int_equal(self->ledger->verbs->ping(self->ledger, NULL), ERR_CONFLICT);
    assert_int_equal(ledger_save_stage(self, "j", 1, 0), ERR_CONFLICT);
    server_stop(&server, SIGKILL);
    assert_true(redis_start(&server));
    /* "There is no job j" would be a lie. */
    assert_int_equal(self->ledger->verbs->job(self->ledger, "j", &job, NULL), ERR_CONFLICT);
    assert_int_equal(ledger_save(self, &job), ERR_CONFLICT);
    /* ... and by the next one: the state folder remembers. */
    expect_refused(&options, ERR_CONFLICT, place->memory);
    assert_int_equal(unlink(place->memory), 0);
    assert_int_equal(open_ledger(place, &none, &error), OK);
    none->verbs->close(&none);
}

/* The keys of before there were settled jobs: all are looked at once more, and none is lost. */
static void the_first_layout_is_brought_up_to_date(void **state)
{
    ledger_fixture_t *self = *state;
    const char *prefix = ((place_t *)self->place)->prefix;
    static const char *const GONE[] = {"open", "ids", "due", "ended", "state:completed"};
    ledger_owner_t owner = ledger_an_owner("aa", 1000);
    size_t counts[JOB_STATE_COUNT];
    char words[256];
    ledger_end(self, "own", JOB_COMPLETED, 0);
    ledger_job_t asked = ledger_a_job("own", 1, "");
    asked.state = JOB_COMPLETED;
    asked.spec_json = "{\"retention_days\":2}";
    assert_int_equal(ledger_save(self, &asked), OK);
    ledger_end(self, "other", JOB_COMPLETED, 0);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("own"), NULL), OK);
    for (size_t i = 0; i < sizeof GONE / sizeof *GONE; i++) {
        snprintf(words, sizeof words, "DEL %s%s", prefix, GONE[i]);
        tell_redis(words);
    }
    snprintf(words, sizeof words, "HDEL %sjob:own settled expires_ms", prefix);
    tell_redis(words);
    snprintf(words, sizeof words, "HSET %sledger version 1", prefix);
    tell_redis(words);
    assert_int_equal(self->ledger->verbs->claim(self->ledger, &owner, NULL), OK);
    ledger_dump_t *dump = ledger_dump(self);
    assert_non_null(strstr(dump->text, "job own"));
    assert_non_null(strstr(dump->text, "job other"));
    free(dump);
    assert_int_equal(self->ledger->verbs->count(self->ledger, counts, NULL), OK);
    assert_int_equal(counts[JOB_COMPLETED], 2);
    assert_int_equal(ledger_change(self->ledger, ledger_change_forget("own"), NULL), OK);
    assert_int_equal(ledger_due(self, 2001 + 2 * 86400000 - 1, INT64_MAX), 0);
    assert_int_equal(ledger_due(self, 2001 + 2 * 86400000, INT64_MIN), 1);
}

static void a_restart_is_survived_by_an_open_handle(void **state)
{
    ledger_fixture_t *self = *state;
    ledger_job_t job = ledger_a_job("j", 1, "k");
    assert_int_equal(ledger_save(self, &job), OK);
    assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
    for (uint32_t round = 0; round < 3; round++) {
        assert_int_equal(ledger_save_task(self, "j", 1, 0, round), OK);
        server_stop(&server, SIGKILL);
        assert_int_equal(ledger_save_task(self, "j", 1, 0, 100), ERR_UNAVAILABLE);
        assert_true(redis_start(&server));
        usleep((REDIS_PAUSE_MS + 50) * 1000);
        assert_int_equal(ledger_save(self, &job), OK);
    }
    ledger_dump_t *dump = ledger_dump(self);
    assert_non_null(strstr(dump->text, "job j"));
    for (int task = 0; task < 3; task++) {
        char line[64];
        snprintf(line, sizeof line, "task j 1 0 %d\n", task);
        assert_non_null(strstr(dump->text, line));
    }
    free(dump);
}

/* A handle through a proxy. */
static ledger_t *open_through(const place_t *place, const proxy_t *proxy, int command_ms)
{
    ledger_redis_options_t options = options_of(place);
    ledger_t *ledger = NULL;
    options.port = proxy->port;
    options.command_ms = command_ms;
    assert_int_equal(ledger_open_redis(&options, &ledger, NULL, NULL), OK);
    return ledger;
}

static void a_save_whose_connection_is_cut_is_sent_again(void **state)
{
    ledger_fixture_t *self = *state;
    proxy_t *proxy = proxy_new(server.port);
    ledger_t *direct = self->ledger;
    ledger_job_t job = ledger_a_job("j", 1, "key");
    self->ledger = open_through(self->place, proxy, 0);
    const proxy_mode_t modes[] = {PROXY_CUT, PROXY_CUT_ANSWER};
    for (uint32_t round = 0; round < 20; round++) {
        error_t error = ERROR_INIT;
        atomic_store(&proxy->mode, modes[round % 2]);
        assert_int_equal(ledger_change(self->ledger, ledger_change_job(&job), &error), OK);
        assert_int_equal(error.code, OK); /* some callers look at the error only */
        assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
        atomic_store(&proxy->mode, modes[(round + 1) % 2]);
        assert_int_equal(ledger_save_task(self, "j", 1, 0, round), OK);
    }
    assert_true(atomic_load(&proxy->cuts) >= 20);
    self->ledger->verbs->close(&self->ledger);
    self->ledger = direct;
    ledger_dump_t *dump = ledger_dump(self);
    unsigned lines = 0;
    for (const char *line = dump->text; (line = strchr(line, '\n')); line++)
        lines++;
    assert_int_equal(lines, 22); /* a job, a stage, 20 tasks: nothing twice */
    free(dump);
    proxy_destroy(&proxy);
}

#define TOGETHER 20

/* Tasks 0 to 19 of the job's stage in one go; gives how many were not kept. */
static int change_together(ledger_t *ledger)
{
    ledger_change_t changes[TOGETHER] = {{.kind = LEDGER_JOB}};
    task_ref_t refs[TOGETHER];
    sha256_t hashes[TOGETHER];
    int failed = 0;
    for (uint32_t i = 0; i < TOGETHER; i++) {
        refs[i] = (task_ref_t){.job_id = "j", .epoch = 1, .task = i};
        hashes[i] = ledger_hash(i);
        changes[i] = ledger_change_task(&refs[i], &hashes[i]);
    }
    ledger->verbs->change(ledger, changes, TOGETHER);
    for (size_t i = 0; i < TOGETHER; i++)
        failed += changes[i].error.code != OK;
    return failed;
}

static void changes_made_together_survive_a_cut_and_forgotten_scripts(void **state)
{
    ledger_fixture_t *self = *state;
    proxy_t *proxy = proxy_new(server.port);
    ledger_t *through = open_through(self->place, proxy, 0);
    ledger_job_t job = ledger_a_job("j", 1, "key");
    const proxy_mode_t modes[] = {PROXY_CUT, PROXY_CUT_ANSWER, PROXY_PASS};
    for (uint32_t round = 0; round < 9; round++) {
        assert_int_equal(ledger_change(through, ledger_change_forget("j"), NULL), OK);
        assert_int_equal(ledger_change(through, ledger_change_job(&job), NULL), OK);
        if (round > 5)
            tell_redis("SCRIPT FLUSH");
        atomic_store(&proxy->mode, modes[round % 3]);
        assert_int_equal(change_together(through), 0);
        ledger_dump_t *dump = ledger_dump(self);
        assert_non_null(strstr(dump->text, "job j"));
        free(dump);
    }
    assert_int_equal(ledger_save_stage(self, "j", 1, 0), OK);
    ledger_dump_t *dump = ledger_dump(self);
    for (uint32_t task = 0; task < TOGETHER; task++) {
        char line[64];
        snprintf(line, sizeof line, "task j 1 0 %u\n", task);
        assert_non_null(strstr(dump->text, line));
    }
    free(dump);
    assert_true(atomic_load(&proxy->cuts) >= 4);
    through->verbs->close(&through);
    proxy_destroy(&proxy);
}

static void a_server_that_hangs_is_given_up_in_time(void **state)
{
    ledger_fixture_t *self = *state;
    proxy_t *proxy = proxy_new(server.port);
    ledger_t *direct = self->ledger;
    ledger_job_t job = ledger_a_job("j", 1, "");
    error_t error = ERROR_INIT;
    self->ledger = open_through(self->place, proxy, 200);
    atomic_store(&proxy->mode, PROXY_HOLD);
    int64_t start = clock_monotonic_ms();
    assert_int_equal(ledger_change(self->ledger, ledger_change_job(&job), &error), ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, "no answer in time"));
    for (int i = 0; i < 50; i++) /* a loop that goes on saving is not held up each time */
        assert_int_equal(ledger_save(self, &job), ERR_UNAVAILABLE);
    assert_true(clock_monotonic_ms() - start < 3000);
    atomic_store(&proxy->mode, PROXY_PASS);
    usleep((REDIS_PAUSE_MS + 50) * 1000);
    assert_int_equal(ledger_save(self, &job), OK);
    self->ledger->verbs->close(&self->ledger);
    self->ledger = direct;
    proxy_destroy(&proxy);
}

/* Once it has kept silent it is only asked to greet, for a moment now and then. */
static void a_server_that_goes_on_hanging_is_hardly_waited_for(void **state)
{
    ledger_fixture_t *self = *state;
    proxy_t *proxy = proxy_new(server.port);
    ledger_t *direct = self->ledger;
    ledger_job_t job = ledger_a_job("j", 1, "");
    self->ledger = open_through(self->place, proxy, 4000);
    atomic_store(&proxy->mode, PROXY_HOLD);
    int64_t start = clock_monotonic_ms();
    assert_int_equal(ledger_save(self, &job), ERR_UNAVAILABLE);
    int64_t first_ms = clock_monotonic_ms() - start;
    for (int i = 0; i < 2; i++) {
        usleep((REDIS_PAUSE_MS + 50) * 1000);
        start = clock_monotonic_ms();
        assert_int_equal(ledger_save(self, &job), ERR_UNAVAILABLE);
        assert_true(clock_monotonic_ms() - start < first_ms / 2);
    }
    atomic_store(&proxy->mode, PROXY_PASS);
    usleep((REDIS_PAUSE_MS + 50) * 1000);
    assert_int_equal(ledger_save(self, &job), OK);
    self->ledger->verbs->close(&self->ledger);
    self->ledger = direct;
    proxy_destroy(&proxy);
}

/* A file size limit of the server stands for the full disk: with appendfsync always Redis ends
 * rather than acknowledge what it could not write. */
static void a_full_disk_loses_nothing_acknowledged(void **state)
{
    (void)state;
    place_t *place = place_new();
    test_server_t full;
    ledger_fixture_t self = {.place = place};
    assert_true(redis_new_server(&full, NULL, "yes", "always"));
    ledger_redis_options_t options = options_of(place);
    options.port = full.port;
    assert_int_equal(ledger_open_redis(&options, &self.ledger, NULL, NULL), OK);
    ledger_job_t job = ledger_a_job("j", 1, "");
    assert_int_equal(ledger_save(&self, &job), OK);
    assert_int_equal(ledger_save_stage(&self, "j", 1, 0), OK);
    struct rlimit limit = {16384, RLIM_INFINITY};
    assert_int_equal(prlimit(full.process, RLIMIT_FSIZE, &limit, NULL), 0);
    uint32_t acknowledged = 0;
    int code = OK;
    while (acknowledged < 1000 && (code = ledger_save_task(&self, "j", 1, 0, acknowledged)) == OK)
        acknowledged++;
    assert_true(code == ERR_UNAVAILABLE || code == ERR_IO);
    assert_true(acknowledged > 0);
    server_stop(&full, SIGKILL);
    assert_true(redis_start(&full));
    usleep((REDIS_PAUSE_MS + 50) * 1000);
    ledger_dump_t *dump = ledger_dump(&self);
    for (uint32_t task = 0; task < acknowledged; task++) {
        char line[64];
        snprintf(line, sizeof line, "task j 1 0 %u\n", task);
        assert_non_null(strstr(dump->text, line));
    }
    free(dump);
    self.ledger->verbs->close(&self.ledger);
    server_destroy(&full);
    place_destroy(place);
}

int main(void)
{
    ledger_factory_t factory = {place_new, place_destroy, open_ledger};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misconfigured_server_is_refused_by_name),
        cmocka_unit_test(a_server_that_forgets_is_refused_unless_told_so),
        cmocka_unit_test(a_server_that_may_evict_is_refused),
        cmocka_unit_test(a_slow_fsync_is_a_warning),
        cmocka_unit_test(a_ledger_of_a_newer_program_is_left_alone),
        cmocka_unit_test(another_kind_of_ledger_is_refused_by_name),
        LEDGER_TEST(a_restricted_user_is_enough, &factory),
        LEDGER_TEST(a_redis_that_came_back_empty_is_noticed, &factory),
        LEDGER_TEST(the_first_layout_is_brought_up_to_date, &factory),
        LEDGER_TEST(a_restart_is_survived_by_an_open_handle, &factory),
        LEDGER_TEST(a_save_whose_connection_is_cut_is_sent_again, &factory),
        LEDGER_TEST(changes_made_together_survive_a_cut_and_forgotten_scripts, &factory),
        LEDGER_TEST(a_server_that_hangs_is_given_up_in_time, &factory),
        LEDGER_TEST(a_server_that_goes_on_hanging_is_hardly_waited_for, &factory),
        cmocka_unit_test(a_full_disk_loses_nothing_acknowledged),
    };
    signal(SIGPIPE, SIG_IGN);
    if (!redis_installed()) {
        puts("skipped: " REDIS_PROGRAM " is not there; run deploy/setup.sh");
        return 0;
    }
    if (!redis_new_server(&server, NULL, "yes", "always"))
        return 1;
    int failed = ledger_suite(&factory);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    server_destroy(&server);
    return failed;
}
