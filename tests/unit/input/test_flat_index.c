/* The index reader: what FAISS wrote is read to the bit, and everything else is refused with words.
 */
#include "common/input/flat_index.h"

#include "input_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <utime.h>
#include <cmocka.h>

typedef struct {
    test_folder_t folder;
    char path[512];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "events.index", self->path);
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

static void the_sample_is_read(void **state)
{
    static const struct {
        const char *path;
        uint32_t rows;
    } levels[] = {{TEST_DATA "/wiki2015/documents.index", 611},
                  {TEST_DATA "/wiki2015/events.index", 428},
                  {TEST_DATA "/wiki2015/entities.index", 1526},
                  {TEST_DATA "/wiki2015/storylines.index", 198}};
    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        flat_index_t *index;
        error_t error = ERROR_INIT;
        assert_int_equal(flat_index_open(levels[i].path, CONTRACT_DIMENSION, &index, &error), OK);
        assert_int_equal(flat_index_rows(index), levels[i].rows);
        assert_int_equal(flat_index_dimension(index), 768);
        assert_int_equal(flat_index_metric(index), INDEX_INNER_PRODUCT);
        assert_string_equal(flat_index_path(index), levels[i].path);
        float vector[768];
        assert_int_equal(flat_index_read(index, levels[i].rows - 1, 1, vector, &error), OK);
        double sum = 0;
        for (size_t k = 0; k < 768; k++)
            sum += (double)vector[k] * vector[k];
        assert_true(fabs(sum - 1) < 1e-3);
        assert_int_equal(flat_index_check(index, &error), OK);
        flat_index_close(&index);
        assert_null(index);
    }
}

static flat_index_t *open_made(fixture_t *fixture, const char *fourcc, int metric, uint32_t rows,
                               uint32_t dimension, const float *vectors)
{
    flat_index_t *index;
    error_t error = ERROR_INIT;
    size_t length;
    uint8_t *bytes = make_index(fourcc, (int32_t)dimension, rows, metric, vectors, &length);
    write_file(fixture->path, bytes, length);
    free(bytes);
    int code = flat_index_open(fixture->path, dimension, &index, &error);
    if (code != OK)
        print_error("%s\n", error.message);
    assert_int_equal(code, OK);
    return index;
}

static void any_rows_are_read_as_they_were_written(void **state)
{
    random_t random = {5};
    for (int round = 0; round < 60; round++) {
        static const char *const types[] = {"IxFI", "IxF2", "IxFl", "IxFl"};
        static const int metrics[] = {0, 1, 0, 1};
        uint32_t rows = 1 + random_below(&random, 600);
        uint32_t dimension = 1 + random_below(&random, 40);
        float *vectors = make_vectors(&random, rows, dimension);
        flat_index_t *index =
            open_made(*state, types[round % 4], metrics[round % 4], rows, dimension, vectors);
        assert_int_equal(flat_index_metric(index),
                         metrics[round % 4] ? INDEX_L2 : INDEX_INNER_PRODUCT);
        float *got = malloc(rows * dimension * sizeof *got);
        uint32_t first = random_below(&random, rows);
        uint32_t count = random_below(&random, rows - first + 1);
        assert_int_equal(flat_index_read(index, first, count, got, NULL), OK);
        assert_memory_equal(got, vectors + first * dimension, count * dimension * sizeof *got);
        uint32_t list[64] = {0};
        for (size_t i = 0; i < 64; i++) /* runs, jumps and repeats */
            list[i] = i > 0 && random_below(&random, 2) && list[i - 1] + 1 < rows
                          ? list[i - 1] + 1
                          : random_below(&random, rows);
        size_t listed = rows < 64 ? rows : 64;
        assert_int_equal(flat_index_read_list(index, list, listed, got, NULL), OK);
        for (size_t i = 0; i < listed; i++)
            assert_memory_equal(got + i * dimension, vectors + list[i] * dimension,
                                dimension * sizeof *got);
        flat_index_close(&index);
        free(got);
        free(vectors);
    }
}

static void an_index_without_rows_is_an_index(void **state)
{
    flat_index_t *index = open_made(*state, "IxFI", 0, 0, 768, NULL);
    error_t error = ERROR_INIT;
    assert_int_equal(flat_index_rows(index), 0);
    assert_int_equal(flat_index_read(index, 0, 0, NULL, &error), OK);
    float vector[768];
    assert_int_equal(flat_index_read(index, 0, 1, vector, &error), ERR_SHAPE);
    assert_int_equal(flat_index_check(index, &error), OK);
    flat_index_close(&index);
}

static void rows_past_the_end_are_refused(void **state)
{
    random_t random = {6};
    float *vectors = make_vectors(&random, 5, 4);
    flat_index_t *index = open_made(*state, "IxFI", 0, 5, 4, vectors);
    float got[20];
    uint32_t list[] = {0, 5};
    error_t error = ERROR_INIT;
    assert_int_equal(flat_index_read(index, 5, 1, got, &error), ERR_SHAPE);
    assert_int_equal(flat_index_read(index, 1, UINT32_MAX, got, &error), ERR_SHAPE);
    assert_int_equal(flat_index_read(index, UINT32_MAX, 1, got, &error), ERR_SHAPE);
    assert_int_equal(flat_index_read_list(index, list, 2, got, &error), ERR_SHAPE);
    flat_index_close(&index);
    free(vectors);
}

/* One field of a good header (4 rows of 768) is overwritten. */
typedef struct {
    size_t offset;
    size_t size;
    int64_t value;
    const char *says;
} fault_t;

static const fault_t FAULTS[] = {
    {0, 4, 0x6c467749 /* IwFl */, "IndexIVFFlat (IwFl); flat indices are required"},
    {0, 4, 0x664e4849 /* IHNf */, "IndexHNSWFlat"},
    {0, 4, 0x31327849 /* Ix21 */, "\"Ix21\"; flat indices are required"},
    {0, 4, 0x656d227b /* {"me */, "is no FAISS index: it begins with the bytes 7b 22 6d 65"},
    {4, 4, 384, "has dimension 384, expected 768; --dimension allows another"},
    {4, 4, 0, "has dimension 0"},
    {4, 4, -1, "has dimension -1"},
    {4, 4, INT32_MAX, "has dimension 2147483647"},
    {8, 8, -1, "claims -1 vectors"},
    {8, 8, INT64_MAX, "claims 9223372036854775807 vectors"},
    {8, 8, INT64_C(1) << 32, "claims 4294967296 vectors"},
    {8, 8, 5, "announces 3072 floats at byte 37; 5 vectors of dimension 768 are 3840"},
    {32, 1, 0, "not trained"},
    {32, 1, 2, "not trained"},
    {33, 4, 1, "contradicts itself: its type is IxFI but its metric is L2"},
    {33, 4, 23, "has the metric 23"},
    {33, 4, -1, "has the metric -1"},
    {37, 8, 3071, "announces 3071 floats"},
    {37, 8, -1, "announces 18446744073709551615 floats"},
};

static void assert_refused(const char *path, uint32_t dimension, int expected, const char *says)
{
    flat_index_t *index = (flat_index_t *)1;
    error_t error = ERROR_INIT;
    assert_int_equal(flat_index_open(path, dimension, &index, &error), expected);
    assert_null(index);
    if (strstr(error.message, says) == NULL || strstr(error.message, path) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void a_wrong_header_field_is_named(void **state)
{
    fixture_t *fixture = *state;
    random_t random = {7};
    float *vectors = make_vectors(&random, 4, 768);
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
        size_t length;
        uint8_t *bytes = make_index("IxFI", 768, 4, 0, vectors, &length);
        memcpy(bytes + FAULTS[i].offset, &FAULTS[i].value, FAULTS[i].size);
        write_file(fixture->path, bytes, length);
        assert_refused(fixture->path, 768, ERR_INPUT, FAULTS[i].says);
        free(bytes);
    }
    free(vectors);
}

static void another_dimension_is_read_when_asked_for(void **state)
{
    random_t random = {8};
    float *vectors = make_vectors(&random, 3, 384);
    flat_index_t *index = open_made(*state, "IxFI", 0, 3, 384, vectors);
    assert_int_equal(flat_index_dimension(index), 384);
    flat_index_close(&index);
    free(vectors);
    assert_refused(((fixture_t *)*state)->path, 768, ERR_INPUT, "has dimension 384, expected 768");
}

static void a_cut_or_extended_file_is_refused(void **state)
{
    fixture_t *fixture = *state;
    random_t random = {9};
    float *vectors = make_vectors(&random, 4, 8);
    size_t length;
    uint8_t *bytes = make_index("IxFI", 8, 4, 0, vectors, &length);
    write_file(fixture->path, bytes, 0);
    assert_refused(fixture->path, 8, ERR_INPUT, "is empty");
    for (size_t cut = 1; cut < length; cut++) {
        write_file(fixture->path, bytes, cut);
        assert_refused(fixture->path, 8, ERR_INPUT, "is truncated");
    }
    write_file(fixture->path, bytes, length);
    FILE *file = fopen(fixture->path, "ab");
    fputs("xyz", file);
    fclose(file);
    assert_refused(fixture->path, 8, ERR_INPUT, "has 3 bytes after its last vector");
    free(bytes);
    free(vectors);
}

static void what_is_no_file_is_refused(void **state)
{
    fixture_t *fixture = *state;
    char path[512];
    assert_refused(fixture->path, 768, ERR_NOT_FOUND, "No such file");
    assert_refused(fixture->folder.path, 768, ERR_INPUT, "is a directory");
    folder_path(&fixture->folder, "pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, 768, ERR_INPUT, "is a pipe");
    assert_refused("/dev/null", 768, ERR_INPUT, "is a device");
    write_text(fixture->path, "IxFI");
    if (geteuid() != 0) { /* root may read anything */
        assert_int_equal(chmod(fixture->path, 0), 0);
        assert_refused(fixture->path, 768, ERR_IO, "Permission denied");
    }
}

static void a_copy_has_the_same_fingerprint_and_another_content_has_not(void **state)
{
    fixture_t *fixture = *state;
    random_t random = {10};
    float *vectors = make_vectors(&random, 1000, 4);
    flat_index_t *index = open_made(fixture, "IxFI", 0, 1000, 4, vectors);
    sha256_t first = flat_index_fingerprint(index);
    flat_index_close(&index);
    index = open_made(fixture, "IxFI", 0, 1000, 4, vectors);
    sha256_t copy = flat_index_fingerprint(index);
    flat_index_close(&index);
    assert_true(sha256_equal(&first, &copy));
    static const size_t sampled[] = {0, 3, 3996, 3999}; /* the first and the last row */
    for (size_t i = 0; i < 4; i++) {
        vectors[sampled[i]] += 1;
        index = open_made(fixture, "IxFI", 0, 1000, 4, vectors);
        sha256_t other = flat_index_fingerprint(index);
        assert_false(sha256_equal(&first, &other));
        vectors[sampled[i]] -= 1;
        flat_index_close(&index);
    }
    free(vectors);
}

static void assert_changed(const flat_index_t *index, const char *says)
{
    error_t error = ERROR_INIT;
    assert_int_equal(flat_index_check(index, &error), ERR_CHANGED);
    if (strstr(error.message, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void a_file_that_changes_is_noticed(void **state)
{
    fixture_t *fixture = *state;
    random_t random = {11};
    float *vectors = make_vectors(&random, 50, 4);
    flat_index_t *index = open_made(fixture, "IxFI", 0, 50, 4, vectors);
    float got[4];
    struct stat before;
    assert_int_equal(stat(fixture->path, &before), 0);
    assert_int_equal(flat_index_check(index, NULL), OK);
    assert_true(flat_index_same(index));

    struct timespec times[2] = {before.st_atim, before.st_mtim};
    int descriptor = open(fixture->path, O_WRONLY);
    assert_int_equal(pwrite(descriptor, "abcd", 4, INDEX_HEADER), 4);
    futimens(descriptor, times); /* hidden from the time, not from the sample */
    assert_changed(index, "sampled hash differs");
    assert_true(flat_index_same(index));
    times[1].tv_sec++;
    futimens(descriptor, times);
    assert_changed(index, "modification time");
    assert_false(flat_index_same(index));
    assert_int_equal(ftruncate(descriptor, before.st_size - 1), 0);
    close(descriptor);
    assert_changed(index, "another size");
    assert_false(flat_index_same(index));
    assert_int_equal(flat_index_read(index, 49, 1, got, NULL), ERR_CHANGED);

    char other[512];
    folder_path(&fixture->folder, "other", other);
    write_text(other, "something else");
    assert_int_equal(rename(other, fixture->path), 0);
    assert_changed(index, "replaced");
    assert_false(flat_index_same(index));
    assert_int_equal(unlink(fixture->path), 0);
    assert_changed(index, "is gone");
    assert_false(flat_index_same(index));
    flat_index_close(&index);
    free(vectors);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_sample_is_read),
        TEST(any_rows_are_read_as_they_were_written),
        TEST(an_index_without_rows_is_an_index),
        TEST(rows_past_the_end_are_refused),
        TEST(a_wrong_header_field_is_named),
        TEST(another_dimension_is_read_when_asked_for),
        TEST(a_cut_or_extended_file_is_refused),
        TEST(what_is_no_file_is_refused),
        TEST(a_copy_has_the_same_fingerprint_and_another_content_has_not),
        TEST(a_file_that_changes_is_noticed),
    };
    return cmocka_run_group_tests_name("flat_index", tests, NULL, NULL);
}
