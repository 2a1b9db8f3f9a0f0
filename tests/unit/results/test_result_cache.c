/* Caches: what every one must do, and that a store read through one is as good as the store alone. */
#include "lib/folder.h"
#include "lib/random.h"
#include "lib/result_suite.h"
#include "lib/server.h"

#include "common/sqlite.h"
#include "proto/store/result_cache.h"

static test_server_t server; /* the one Redis of this program */

static result_cache_options_t redis_options(void)
{
    return (result_cache_options_t){.kind = "redis",
                                    .ttl_ms = 60000,
                                    .host = "127.0.0.1",
                                    .port = server.port,
                                    .db = 7,
                                    .password = REDIS_PASSWORD};
}

static result_cache_options_t memory_options(void)
{
    return (result_cache_options_t){.kind = "memory", .bytes = 1 << 20, .ttl_ms = 60000};
}

typedef result_cache_options_t (*options_fn)(void);

static sha256_t key_of(const char *text) { return sha256_of(text, strlen(text)); }

static int holds(result_cache_t *cache, const char *key_text, const char *expected)
{
    sha256_t key = key_of(key_text);
    char *value = NULL;
    size_t length = 0;
    int found = cache->verbs->get(cache, &key, &value, &length);
    int same = found && length == strlen(expected) && !memcmp(value, expected, length + 1);
    free(value);
    return same;
}

static void keep(result_cache_t *cache, const char *key_text, const char *value, size_t length)
{
    sha256_t key = key_of(key_text);
    cache->verbs->put(cache, &key, value, length);
}

/* ---- every cache ---- */

static void what_was_put_is_got(void **state)
{
    result_cache_options_t options = ((options_fn)*state)();
    result_cache_t *cache = NULL;
    assert_int_equal(result_cache_open(&options, &cache, NULL), OK);
    assert_int_equal(cache->verbs->ping(cache, NULL), OK);
    assert_false(holds(cache, "never put", ""));
    keep(cache, "put a", "1", 1);
    keep(cache, "put b", "", 0);
    assert_true(holds(cache, "put a", "1"));
    assert_true(holds(cache, "put b", ""));
    keep(cache, "put a", "2", 1);
    assert_true(holds(cache, "put a", "2"));
    char bytes[300], *value = NULL;
    size_t length = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    keep(cache, "bytes", bytes, sizeof bytes);
    sha256_t key = key_of("bytes");
    assert_true(cache->verbs->get(cache, &key, &value, &length));
    assert_int_equal(length, sizeof bytes);
    assert_memory_equal(value, bytes, sizeof bytes);
    free(value);
    cache->verbs->close(&cache);
}

static void an_answer_does_not_outlive_its_time(void **state)
{
    result_cache_options_t options = ((options_fn)*state)();
    result_cache_t *cache = NULL;
    options.ttl_ms = 40;
    assert_int_equal(result_cache_open(&options, &cache, NULL), OK);
    keep(cache, "short", "1", 1);
    usleep(80000);
    assert_false(holds(cache, "short", "1"));
    cache->verbs->close(&cache);
}

static void what_is_too_large_is_not_kept(void **state)
{
    result_cache_options_t options = ((options_fn)*state)();
    result_cache_t *cache = NULL;
    options.bytes = 64 << 20;
    assert_int_equal(result_cache_open(&options, &cache, NULL), OK);
    size_t length = RESULT_CACHE_VALUE_LIMIT + 1;
    char *large = calloc(1, length + 1);
    memset(large, 'x', length);
    keep(cache, "large", large, length);
    assert_false(holds(cache, "large", large));
    large[length - 1] = 0;
    keep(cache, "large", large, length - 1);
    assert_true(holds(cache, "large", large));
    free(large);
    cache->verbs->close(&cache);
}

/* ---- each by itself ---- */

static void memory_is_bounded_and_the_least_used_goes(void **state)
{
    (void)state;
    result_cache_t *cache = NULL;
    char key[32], value[1000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    assert_int_equal(result_cache_open_memory(20000, 60000, &cache, NULL), OK);
    keep(cache, "wanted", "w", 1);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "filler %d", i);
        keep(cache, key, value, sizeof value - 1);
        assert_true(holds(cache, "wanted", "w"));
        assert_true(holds(cache, key, value));
    }
    assert_false(holds(cache, "filler 980", value)); /* 20,000 bytes hold fewer than 20 */
    assert_true(holds(cache, "filler 993", value));
    cache->verbs->close(&cache);
}

/* What is kept in pieces comes back whole, and what was dropped leaves its room to others. */
static void answers_of_all_sizes_come_back_as_they_were(void **state)
{
    (void)state;
    enum { KEYS = 40, LIMIT = 30000 };
    result_cache_t *cache = NULL;
    random_t random = {7};
    static char kept[KEYS][LIMIT + 1];
    char key[32];
    int found = 0;
    assert_int_equal(result_cache_open_memory(KEYS * LIMIT / 8, 60000, &cache, NULL), OK);
    for (int round = 0; round < 4000; round++) {
        uint32_t number = random_below(&random, KEYS);
        uint32_t other = random_below(&random, KEYS);
        size_t length = random_below(&random, LIMIT + 1);
        memset(kept[number], 'a' + round % 26, length);
        kept[number][length] = 0;
        snprintf(key, sizeof key, "key %u", number);
        keep(cache, key, kept[number], length);
        assert_true(holds(cache, key, kept[number]));
        snprintf(key, sizeof key, "key %u", other);
        sha256_t name = key_of(key);
        char *value = NULL;
        if (!cache->verbs->get(cache, &name, &value, &length))
            continue;
        assert_string_equal(value, kept[other]);
        free(value);
        found++;
    }
    assert_in_range(found, 200, 3800); /* some had to go, and not all */
    cache->verbs->close(&cache);
}

static void a_redis_that_is_away_is_a_miss_and_soon_over(void **state)
{
    (void)state;
    result_cache_options_t options = redis_options();
    result_cache_t *cache = NULL;
    error_t error = ERROR_INIT;
    test_server_t own;
    assert_true(redis_new_server(&own, NULL, "no", "no"));
    options.port = own.port;
    assert_int_equal(result_cache_open(&options, &cache, NULL), OK);
    keep(cache, "a", "1", 1);
    assert_true(holds(cache, "a", "1"));
    kill(own.process, SIGSTOP); /* it is there, and says nothing */
    int64_t start = clock_monotonic_ms();
    for (int i = 0; i < 1000; i++)
        assert_false(holds(cache, "a", "1"));
    assert_true(clock_monotonic_ms() - start < 60000); /* not a thousand waits */
    assert_int_equal(cache->verbs->ping(cache, &error), ERR_UNAVAILABLE);
    assert_non_null(strstr(error.message, "database 7"));
    kill(own.process, SIGCONT);
    int back = 0;
    for (int i = 0; i < 200 && !back; i++, usleep(50000))
        back = cache->verbs->ping(cache, NULL) == OK && holds(cache, "a", "1");
    assert_true(back);
    server_stop(&own, SIGKILL);
    assert_false(holds(cache, "a", "1"));
    cache->verbs->close(&cache);
    server_destroy(&own);
}

static void settings_that_cannot_be_are_refused(void **state)
{
    (void)state;
    result_cache_options_t options = {.kind = "memcached"};
    result_cache_t *cache = NULL;
    error_t error = ERROR_INIT;
    assert_int_equal(result_cache_open(&options, &cache, &error), ERR_USAGE);
    assert_string_equal(error.field, "result_cache");
    options.kind = "off";
    assert_int_equal(result_cache_open(&options, &cache, NULL), OK);
    assert_null(cache);
}

/* ---- a store through a cache ---- */

typedef struct {
    test_folder_t folder;
    result_cache_t *cache;
} place_t;

static result_cache_options_t (*options_of_places)(void);

static void *place_new(void)
{
    place_t *self = calloc(1, sizeof *self);
    result_cache_options_t options = options_of_places();
    self->folder = folder_new();
    assert_int_equal(result_cache_open(&options, &self->cache, NULL), OK);
    return self;
}

static void place_destroy(void *place)
{
    place_t *self = place;
    self->cache->verbs->close(&self->cache);
    folder_destroy(&self->folder);
    free(self);
}

static int open_store(void *place, int read_only, result_store_t **out, error_t *error)
{
    place_t *self = place;
    result_store_t *inner = NULL;
    char path[512];
    int code = result_store_open_sqlite(folder_path(&self->folder, "stage4.db", path), read_only,
                                        &inner, error);
    return code == OK ? result_store_cached(inner, self->cache, out, error) : code;
}

/* Takes the rows away behind the cache's back, where no commit tells: what is still answered is
 * what was kept. */
static void answers_come_from_the_cache(void **state)
{
    result_fixture_t *self = *state;
    place_t *place = self->place;
    char path[512], *json = NULL;
    cluster_page_t page, again;
    cluster_query_t query = result_any();
    database_t *database = NULL;
    query.limit = 7;
    assert_int_equal(result_write(self->writer, &TWENTY), OK);
    const result_store_verbs_t *verbs = self->reader->verbs;
    assert_int_equal(verbs->clusters(self->reader, &query, &page, NULL), OK);
    assert_int_equal(verbs->cluster(self->reader, "event_cluster_0003", NULL, &json, NULL), OK);
    free(json);
    folder_path(&place->folder, "stage4.db", path);
    assert_int_equal(database_open(path, 0, &database, NULL), OK);
    assert_int_equal(database_execute(database, "DELETE FROM result_cluster", NULL), OK);
    database_close(&database);
    assert_int_equal(verbs->clusters(self->reader, &query, &again, NULL), OK);
    assert_int_equal(again.count, 7);
    assert_int_equal(again.total, page.total);
    assert_string_equal(again.next_cursor, page.next_cursor);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(again.json[i], page.json[i]);
    assert_int_equal(verbs->cluster(self->reader, "event_cluster_0003", NULL, &json, NULL), OK);
    free(json);
    assert_int_equal(verbs->cluster(self->reader, "event_cluster_0004", NULL, &json, NULL),
                     ERR_NOT_FOUND);
    cluster_page_clear(&page);
    cluster_page_clear(&again);
    assert_int_equal(verbs->remove_job(self->writer, "job-1", NULL), OK);
    assert_int_equal(result_count(self->reader, &query), 0);
}

/* Random commits, replacements and removals: reading through the cache is reading. */
static void nothing_stale_is_ever_found(void **state)
{
    result_fixture_t *self = *state;
    random_t random = {11};
    result_store_t *plain = NULL;
    char path[512];
    folder_path(&((place_t *)self->place)->folder, "stage4.db", path);
    assert_int_equal(result_store_open_sqlite(path, 1, &plain, NULL), OK);
    for (uint32_t round = 0; round < 120; round++) {
        char job[16], mark[16];
        snprintf(job, sizeof job, "job-%u", random_below(&random, 3));
        snprintf(mark, sizeof mark, "m%u", round);
        result_job_t made = {job, round + 1, LEVEL_EVENTS, 5000 + random_below(&random, 2),
                             5,   0,         mark};
        if (random_below(&random, 3) == 0)
            assert_int_equal(self->writer->verbs->remove_job(self->writer, job, NULL), OK);
        else
            assert_int_equal(result_write(self->writer, &made), OK);
        cluster_query_t query = result_any();
        query.job_id = random_below(&random, 2) ? job : NULL;
        cluster_page_t kept = {0}, read = {0};
        int code = self->reader->verbs->clusters(self->reader, &query, &kept, NULL);
        assert_int_equal(plain->verbs->clusters(plain, &query, &read, NULL), code);
        assert_int_equal(kept.count, read.count);
        for (size_t i = 0; i < kept.count; i++)
            assert_string_equal(kept.json[i], read.json[i]);
        cluster_page_clear(&kept);
        cluster_page_clear(&read);
    }
    plain->verbs->close(&plain);
}

static int every_cache(options_fn options)
{
    const struct CMUnitTest tests[] = {
        {"what_was_put_is_got", what_was_put_is_got, NULL, NULL, options},
        {"an_answer_does_not_outlive_its_time", an_answer_does_not_outlive_its_time, NULL, NULL,
         options},
        {"what_is_too_large_is_not_kept", what_is_too_large_is_not_kept, NULL, NULL, options},
    };
    result_factory_t factory = {place_new, place_destroy, open_store};
    const struct CMUnitTest through[] = {
        RESULT_TEST(answers_come_from_the_cache, &factory),
        RESULT_TEST(nothing_stale_is_ever_found, &factory),
    };
    options_of_places = options;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += cmocka_run_group_tests(through, NULL, NULL);
    return failed + result_suite(&factory);
}

int main(void)
{
    const struct CMUnitTest memory[] = {
        cmocka_unit_test(memory_is_bounded_and_the_least_used_goes),
        cmocka_unit_test(answers_of_all_sizes_come_back_as_they_were),
        cmocka_unit_test(settings_that_cannot_be_are_refused),
    };
    const struct CMUnitTest redis[] = {
        cmocka_unit_test(a_redis_that_is_away_is_a_miss_and_soon_over),
    };
    signal(SIGPIPE, SIG_IGN);
    int failed = cmocka_run_group_tests(memory, NULL, NULL) + every_cache(memory_options);
    if (!redis_installed()) {
        puts("skipped: redis-server is not there; run deploy/setup.sh");
        return failed;
    }
    if (!redis_new_server(&server, NULL, "no", "no"))
        return 1;
    failed += every_cache(redis_options) + cmocka_run_group_tests(redis, NULL, NULL);
    server_destroy(&server);
    return failed;
}
