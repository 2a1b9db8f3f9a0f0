/* The metadata file as a file: what is broken is refused with words and place, what changes is
 * noticed, and the cache is used only when it is right. */
#include "common/clock.h"
#include "common/input/catalog.h"

#include "common/input/catalog_cache.h"
#include "input_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <cmocka.h>

typedef struct {
    test_folder_t folder;
    char path[512];
    char cache[512];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "events_metadata.json", self->path);
    folder_path(&self->folder, "cache", self->cache);
    mkdir(self->cache, 0700);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static void assert_refused(const char *path, size_t memory_limit, int expected, const char *says)
{
    catalog_t *catalog = (catalog_t *)1;
    error_t error = ERROR_INIT;
    assert_int_equal(catalog_open(path, LEVEL_EVENTS, 1, NULL, memory_limit, &catalog, &error),
                     expected);
    assert_null(catalog);
    if (strstr(error.message, says) == NULL || strstr(error.message, path) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

#define GOOD                                                                                       \
    "{\"metadata_store\":{\"a\":{\"source_id\":\"s\",\"metadata\":{\"n\":1}}},"                    \
    "\"id_map\":{\"a\":0},\"reverse_id_map\":{\"0\":\"a\"}}"

static void broken_json_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } broken[] = {
        {"", "is empty"},
        {" ", "ends too early, at byte 1"},
        {"[]", "holds no JSON object at byte 1"},
        {"17 ", "holds no JSON object"},
        {"{}", "has no \"metadata_store\""},
        {"{\"metadata_store\":{},\"reverse_id_map\":{}}", "has no \"id_map\""},
        {"{\"metadata_store\":{},\"id_map\":{}}", "has no \"reverse_id_map\""},
        {"{\"metadata_store\":[]}", "must be objects; one is not at byte 19"},
        {"{\"metadata_store\":{},\"id_map\":3}", "must be objects"},
        {"{\"metadata_store\":{\"a\":tru}}", "invalid string in json text. at byte 26"},
        {"{\"metadata_store\":{\"a\":\"\xc3(\"}}", "malformed UTF-8 at byte 24"},
        {"{\"metadata_store\":{\"a\":\"\xed\xa0\x80\"}}", "malformed UTF-8 at byte 24"},
        {"{\"metadata_store\":{\"a\":\"\xc3", "malformed UTF-8 at byte 24"},
        {"{\"metadata_store\":{\"a\":Nan}}", "at byte 2"},
        {"{\"id_map\":{\"\\udc00\":0}}", "half a UTF-16 pair at byte"},
        {"{\"reverse_id_map\":{\"0\":\"\\udc00\"}}", "half a UTF-16 pair at byte"},
        {GOOD "x", "trailing garbage at byte"},
    };
    const fixture_t *fixture = *state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_text(fixture->path, broken[i].text);
        assert_refused(fixture->path, 0, ERR_INPUT, broken[i].says);
    }
    assert_refused(fixture->folder.path, 0, ERR_INPUT, "is a directory");
    unlink(fixture->path);
    assert_refused(fixture->path, 0, ERR_NOT_FOUND, "No such file");
}

static void every_cut_is_refused_with_its_length(void **state)
{
    const fixture_t *fixture = *state;
    for (size_t cut = 1; cut < strlen(GOOD); cut++) {
        char says[64];
        write_file(fixture->path, GOOD, cut);
        snprintf(says, sizeof says, "ends too early, at byte %zu", cut);
        assert_refused(fixture->path, 0, ERR_INPUT, says);
    }
}

/* `{"metadata_store": <open x count> <inside x length> ` */
static void write_long(const char *path, const char *before, char inside, size_t length,
                       const char *after)
{
    FILE *file = fopen(path, "wb");
    fputs(before, file);
    for (size_t i = 0; i < length; i++)
        fputc(inside, file);
    fputs(after, file);
    fclose(file);
}

static void what_is_too_long_or_too_deep_is_refused(void **state)
{
    const fixture_t *fixture = *state;
    write_long(fixture->path, "{\"x\":", '[', 64, "");
    assert_refused(fixture->path, 0, ERR_INPUT, "nested deeper than 64 levels at byte 69");
    write_long(fixture->path, "{\"x\":", '[', 63, "");
    assert_refused(fixture->path, 0, ERR_INPUT, "ends too early");
    write_long(fixture->path, "{\"", 'k', (64 << 10) + 1, "\":1}");
    assert_refused(fixture->path, 0, ERR_INPUT, "a key longer than 64 KiB");
    write_long(fixture->path, "{\"x\":\"", 's', (1 << 20) + 1, "\"}");
    assert_refused(fixture->path, 0, ERR_INPUT, "a string longer than 1 MiB");
    write_long(fixture->path, "{\"x\":\"", 's', 1 << 20, "\"}");
    assert_refused(fixture->path, 0, ERR_INPUT, "has no \"metadata_store\"");
    write_long(fixture->path, "{\"x\":\"", 's', 9 << 20, "");
    assert_refused(fixture->path, 0, ERR_INPUT, "longer than 1 MiB");
}

static void malformed_text_far_from_the_end_is_found_at_once(void **state)
{
    const fixture_t *fixture = *state;
    FILE *file = fopen(fixture->path, "wb");
    fputs("{\"x\":\"\xff\",", file);
    for (int i = 0; i < 200000; i++)
        fprintf(file, "\"%d\":\"\",", i);
    fclose(file);
    assert_refused(fixture->path, 0, ERR_INPUT, "malformed UTF-8 at byte 6");
}

static void far_more_ids_than_rows_are_refused(void **state)
{
    const fixture_t *fixture = *state;
    FILE *file = fopen(fixture->path, "wb");
    fputs("{\"id_map\":{\"a\":0", file);
    for (int i = 0; i < 70000; i++)
        fprintf(file, ",\"%d\":0", i);
    fputs("}}", file);
    fclose(file);
    assert_refused(fixture->path, 0, ERR_INPUT,
                   "names more than 65538 vector ids; its index has 1");
}

static void a_build_stays_under_its_memory_limit(void **state)
{
    const fixture_t *fixture = *state;
    FILE *file = fopen(fixture->path, "wb");
    fputs("{\"metadata_store\":{\"a\":{\"source_id\":\"s\",\"metadata\":{}}", file);
    for (int i = 0; i < 20000; i++)
        fprintf(file,
                ",\"%d\":{\"source_id\":\"s%d\",\"metadata\":{\"event_description\":\"%0200d\"}}",
                i, i, i);
    fputs("},\"id_map\":{},\"reverse_id_map\":{}}", file);
    fclose(file);
    assert_refused(fixture->path, 2 << 20, ERR_MEMORY, "more than the 2 MiB allowed");
    catalog_t *catalog;
    assert_int_equal(catalog_open(fixture->path, LEVEL_EVENTS, 1, NULL, 0, &catalog, NULL), OK);
    assert_int_equal(catalog_problem_count(catalog, PROBLEM_NO_POSITION), 20001);
    catalog_close(&catalog);
}

/* Pieces are 256 KiB: entries, characters, NaN and escapes fall on their borders. */
static void a_file_of_many_pieces_is_read_whole(void **state)
{
    const fixture_t *fixture = *state;
    enum { ROWS = 3000 };
    for (int shift = 0; shift < 12; shift++) {
        FILE *file = fopen(fixture->path, "wb");
        fprintf(file, "%*s{\"metadata_store\":{", shift, "");
        for (int i = 0; i < ROWS; i++)
            fprintf(file,
                    "%s\"v%d\":{\"source_id\":\"d%d_event_1\",\"metadata\":{\"c\":NaN,\"event_"
                    "description\":"
                    "\"%d \xe2\x82\xac\\u00e9\xf0\x9f\x98\x80 %0150d\",\"m\":-Infinity}}",
                    i ? "," : "", i, i, i, i);
        fputs("},\"id_map\":{", file);
        for (int i = 0; i < ROWS; i++)
            fprintf(file, "%s\"v%d\":%d", i ? "," : "", i, ROWS - 1 - i);
        fputs("},\"reverse_id_map\":{", file);
        for (int i = 0; i < ROWS; i++)
            fprintf(file, "%s\"%d\":\"v%d\"", i ? "," : "", ROWS - 1 - i, i);
        fputs("}}", file);
        fclose(file);
        catalog_t *catalog;
        error_t error = ERROR_INIT;
        if (catalog_open(fixture->path, LEVEL_EVENTS, ROWS, NULL, 0, &catalog, &error) != OK)
            fail_msg("%s", error.message);
        assert_int_equal(catalog_valid_rows(catalog), ROWS);
        for (uint32_t row = 0; row < ROWS; row++) {
            char expected[256], *json;
            size_t length;
            uint32_t number = ROWS - 1 - row;
            snprintf(expected, sizeof expected, "%u \xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80 %0150u",
                     number, number);
            assert_memory_equal(catalog_text(catalog, row).text, expected, strlen(expected));
            snprintf(expected, sizeof expected, "{\"c\":null,\"event_description\":\"%u ", number);
            assert_int_equal(catalog_metadata(catalog, row, &json, &length, NULL), OK);
            assert_memory_equal(json, expected, strlen(expected));
            assert_string_equal(json + length - 9, "\"m\":null}");
            free(json);
        }
        catalog_close(&catalog);
    }
}

static size_t cached_files(const fixture_t *fixture, char path[1024])
{
    DIR *folder = opendir(fixture->cache);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, 1024, "%s/%s", fixture->cache, entry->d_name);
        count++;
    }
    closedir(folder);
    return count;
}

static catalog_t *open_cached(const fixture_t *fixture, uint32_t rows)
{
    catalog_t *catalog;
    error_t error = ERROR_INIT;
    if (catalog_open(fixture->path, LEVEL_EVENTS, rows, fixture->cache, 0, &catalog, &error) != OK)
        fail_msg("%s", error.message);
    return catalog;
}

static void assert_equal_catalogs(const catalog_t *a, const catalog_t *b)
{
    const problem_t *left, *right;
    assert_int_equal(catalog_rows(a), catalog_rows(b));
    for (uint32_t row = 0; row < catalog_rows(a); row++) {
        assert_int_equal(catalog_row_valid(a, row), catalog_row_valid(b, row));
#define SAME(column)                                                                               \
    assert_int_equal(catalog_##column(a, row).length, catalog_##column(b, row).length);            \
    assert_memory_equal(catalog_##column(a, row).text, catalog_##column(b, row).text,              \
                        catalog_##column(a, row).length)
        SAME(vector_id);
        SAME(source_id);
        SAME(document_id);
        SAME(text);
        SAME(domain);
        SAME(type);
        assert_true(catalog_time_ms(a, row) == catalog_time_ms(b, row));
    }
    assert_int_equal(catalog_valid_rows(a), catalog_valid_rows(b));
    assert_memory_equal(catalog_id_order(a), catalog_id_order(b),
                        catalog_valid_rows(a) * sizeof(uint32_t));
    size_t count = catalog_problem_list(a, &left);
    assert_int_equal(catalog_problem_list(b, &right), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(left[i].kind, right[i].kind);
        assert_string_equal(left[i].vector_id, right[i].vector_id);
    }
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
        assert_int_equal(catalog_problem_count(a, (problem_kind_t)kind),
                         catalog_problem_count(b, (problem_kind_t)kind));
}

static void copy_sample(const fixture_t *fixture)
{
    static char text[1 << 20];
    FILE *file = fopen(TEST_DATA "/wiki2015/events_metadata.json", "rb");
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    write_file(fixture->path, text, length);
}

static void a_cached_catalog_equals_the_built_one(void **state)
{
    const fixture_t *fixture = *state;
    char path[1024];
    struct stat first, second;
    copy_sample(fixture);
    catalog_t *plain, *built, *mapped;
    assert_int_equal(catalog_open(fixture->path, LEVEL_EVENTS, 430, NULL, 0, &plain, NULL), OK);
    built = open_cached(fixture, 430);
    assert_int_equal(cached_files(fixture, path), 1); /* and no temporary file */
    stat(path, &first);
    mapped = open_cached(fixture, 430);
    stat(path, &second);
    assert_true(first.st_ino == second.st_ino); /* used, not written again */
    assert_equal_catalogs(plain, built);
    assert_equal_catalogs(plain, mapped);
    char *json;
    size_t length;
    assert_int_equal(catalog_metadata(mapped, 427, &json, &length, NULL), OK);
    assert_true(json[0] == '{' && json[length - 1] == '}');
    free(json);
    catalog_close(&plain);
    catalog_close(&built);
    catalog_close(&mapped);
}

static void a_damaged_cache_is_built_again(void **state)
{
    const fixture_t *fixture = *state;
    random_t random = {13};
    char path[1024];
    copy_sample(fixture);
    catalog_t *plain;
    assert_int_equal(catalog_open(fixture->path, LEVEL_EVENTS, 428, NULL, 0, &plain, NULL), OK);
    catalog_t *built = open_cached(fixture, 428);
    catalog_close(&built);
    assert_int_equal(cached_files(fixture, path), 1);
    for (int round = 0; round < 60; round++) {
        struct stat before;
        stat(path, &before);
        int descriptor = open(path, O_RDWR);
        if (round % 3 == 0) {
            assert_int_equal(ftruncate(descriptor, random_below(&random, (uint32_t)before.st_size)),
                             0);
        } else { /* half of the damage in the header */
            uint32_t within = round % 3 == 1 ? 320 : (uint32_t)before.st_size;
            off_t at = random_below(&random, within);
            uint8_t byte;
            assert_int_equal(pread(descriptor, &byte, 1, at), 1);
            byte ^= (uint8_t)(1 << random_below(&random, 8));
            assert_int_equal(pwrite(descriptor, &byte, 1, at), 1);
        }
        close(descriptor);
        catalog_t *again = open_cached(fixture, 428);
        assert_equal_catalogs(plain, again);
        catalog_close(&again);
        assert_int_equal(cached_files(fixture, path), 1);
    }
    catalog_close(&plain);
}

static void a_cache_of_another_file_is_not_used(void **state)
{
    const fixture_t *fixture = *state;
    write_text(fixture->path, GOOD);
    catalog_t *catalog = open_cached(fixture, 1);
    assert_int_equal(catalog_valid_rows(catalog), 1);
    catalog_close(&catalog);
    char path[1024];
    struct stat first, second;
    cached_files(fixture, path);
    stat(path, &first);
    struct timespec times[2] = {{1, 0}, {2, 0}};
    utimensat(AT_FDCWD, fixture->path, times, 0); /* the same sample at another time: not trusted */
    catalog = open_cached(fixture, 1);
    catalog_close(&catalog);
    stat(path, &second);
    assert_true(first.st_ino != second.st_ino);
    catalog = open_cached(fixture, 2);
    assert_int_equal(catalog_rows(catalog), 2);
    assert_int_equal(catalog_problem_count(catalog, PROBLEM_NO_METADATA), 1);
    catalog_close(&catalog);
}

static void a_cache_is_removed_when_nobody_has_used_it_for_long(void **state)
{
    const fixture_t *fixture = *state;
    char path[1024];
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    copy_sample(fixture);
    catalog_t *catalog = open_cached(fixture, 430);
    catalog_close(&catalog);
    assert_int_equal(cached_files(fixture, path), 1);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(catalog_cache_sweep(fixture->cache, 1500, 501), 0);
    catalog = open_cached(fixture, 430); /* which is a use */
    catalog_close(&catalog);
    assert_int_equal(catalog_cache_sweep(fixture->cache, 1501, 501), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(catalog_cache_sweep(fixture->cache, 1501, 501), 1);
    assert_int_equal(cached_files(fixture, path), 0);
}

static void a_cache_that_cannot_be_written_does_no_harm(void **state)
{
    fixture_t *fixture = *state;
    write_text(fixture->path, GOOD);
    folder_path(&fixture->folder, "nowhere/at/all", fixture->cache);
    catalog_t *catalog = open_cached(fixture, 1);
    assert_int_equal(catalog_valid_rows(catalog), 1);
    catalog_close(&catalog);
}

static void a_file_that_changes_is_noticed(void **state)
{
    const fixture_t *fixture = *state;
    error_t error = ERROR_INIT;
    write_text(fixture->path, GOOD);
    catalog_t *catalog = open_cached(fixture, 1);
    assert_int_equal(catalog_check(catalog, &error), OK);
    write_text(fixture->path, "{}");
    assert_int_equal(catalog_check(catalog, &error), ERR_CHANGED);
    assert_non_null(strstr(error.message, "another size"));
    char *json;
    size_t length;
    assert_int_equal(catalog_metadata(catalog, 0, &json, &length, &error), ERR_CHANGED);
    assert_null(json);
    catalog_close(&catalog);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(broken_json_is_refused_with_its_place),
        TEST(every_cut_is_refused_with_its_length),
        TEST(what_is_too_long_or_too_deep_is_refused),
        TEST(malformed_text_far_from_the_end_is_found_at_once),
        TEST(far_more_ids_than_rows_are_refused),
        TEST(a_build_stays_under_its_memory_limit),
        TEST(a_file_of_many_pieces_is_read_whole),
        TEST(a_cached_catalog_equals_the_built_one),
        TEST(a_cache_is_removed_when_nobody_has_used_it_for_long),
        TEST(a_damaged_cache_is_built_again),
        TEST(a_cache_of_another_file_is_not_used),
        TEST(a_cache_that_cannot_be_written_does_no_harm),
        TEST(a_file_that_changes_is_noticed),
    };
    return cmocka_run_group_tests_name("catalog_file", tests, NULL, NULL);
}
