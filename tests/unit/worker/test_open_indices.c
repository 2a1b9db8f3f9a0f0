/* Open indices are shared, and replaced without a harm to those who still use them. */
#include "worker/open_indices.h"

#include "lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DIMENSION 4u

typedef struct {
    test_folder_t folder;
    char path[512];
    char root[512];
    open_indices_t *indices;
} fixture_t;

static void put(FILE *file, const void *bytes, size_t length)
{
    assert_int_equal(fwrite(bytes, 1, length, file), length);
}

/* As FAISS writes IxFI; every number is `value`. The file is a new one each time. */
static void write_index(const fixture_t *self, uint32_t rows, float value)
{
    const int32_t dimension = DIMENSION, metric = 0;
    const int64_t count = rows, unused = 1 << 20;
    const uint64_t floats = (uint64_t)rows * DIMENSION;
    char other[600];
    snprintf(other, sizeof other, "%s.new", self->path);
    FILE *file = fopen(other, "wb");
    assert_non_null(file);
    put(file, "IxFI", 4);
    put(file, &dimension, 4);
    put(file, &count, 8);
    put(file, &unused, 8);
    put(file, &unused, 8);
    put(file, "\1", 1);
    put(file, &metric, 4);
    put(file, &floats, 8);
    for (uint64_t i = 0; i < floats; i++)
        put(file, &value, sizeof value);
    fclose(file);
    assert_int_equal(rename(other, self->path), 0);
}

static task_t task_about_file(const fixture_t *self)
{
    task_t task = {.dimension = DIMENSION};
    flat_index_t *index;
    strcpy(task.index_name, "events");
    assert_int_equal(flat_index_open(self->path, DIMENSION, &index, NULL), OK);
    task.index_fingerprint = flat_index_fingerprint(index);
    flat_index_close(&index);
    return task;
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "events.index", self->path);
    snprintf(self->root, sizeof self->root, "%.*s", (int)(strrchr(self->path, '/') - self->path),
             self->path);
    *state = self;
    write_index(self, 10, 0.5f);
    return open_indices_new(self->root, 1 << 20, &self->indices, NULL);
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    open_indices_destroy(&self->indices);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static float first_of(const open_index_t *open)
{
    const uint32_t row = 0;
    const float *vector;
    float room[DIMENSION];
    assert_int_equal(kept_vectors_find(open->vectors, open->index, &row, 1, room, &vector, NULL),
                     OK);
    return vector[0];
}

static void two_workers_have_one_index_and_its_vectors(void **state)
{
    fixture_t *self = *state;
    task_t task = task_about_file(self);
    const open_index_t *one, *other;
    assert_int_equal(open_indices_take(self->indices, &task, &one, NULL), OK);
    assert_int_equal(open_indices_take(self->indices, &task, &other, NULL), OK);
    assert_ptr_equal(one, other);
    assert_non_null(one->vectors);
    open_indices_give(self->indices, one);
    open_indices_give(self->indices, other);
    assert_int_equal(open_indices_take(self->indices, &task, &other, NULL), OK);
    assert_ptr_equal(one, other);
    open_indices_give(self->indices, other);
}

static void what_is_in_use_outlives_the_file_that_takes_its_place(void **state)
{
    fixture_t *self = *state;
    task_t task = task_about_file(self);
    const open_index_t *one, *other;
    assert_int_equal(open_indices_take(self->indices, &task, &one, NULL), OK);
    write_index(self, 20, 0.25f);
    task_t next = task_about_file(self);
    assert_int_equal(open_indices_take(self->indices, &next, &other, NULL), OK);
    assert_ptr_not_equal(one, other);
    assert_int_equal(flat_index_rows(one->index), 10);
    assert_int_equal(flat_index_rows(other->index), 20);
    assert_float_equal(first_of(one), 0.5f, 0);
    assert_float_equal(first_of(other), 0.25f, 0);
    open_indices_give(self->indices, one);
    assert_float_equal(first_of(other), 0.25f, 0);
    open_indices_give(self->indices, other);
}

static void a_copy_in_the_files_place_is_opened_anew(void **state)
{
    fixture_t *self = *state;
    task_t task = task_about_file(self);
    const open_index_t *one, *other;
    assert_int_equal(open_indices_take(self->indices, &task, &one, NULL), OK);
    write_index(self, 10, 0.5f);
    assert_int_equal(open_indices_take(self->indices, &task, &other, NULL), OK);
    assert_ptr_not_equal(one, other);
    assert_int_equal(flat_index_check(other->index, NULL), OK);
    open_indices_give(self->indices, other);
    open_indices_give(self->indices, one);
}

static void another_file_than_the_jobs_is_refused(void **state)
{
    fixture_t *self = *state;
    task_t task = task_about_file(self);
    const open_index_t *open;
    error_t error = ERROR_INIT;
    write_index(self, 11, 0.5f);
    assert_int_equal(open_indices_take(self->indices, &task, &open, &error), ERR_CHANGED);
    assert_null(open);
    assert_non_null(strstr(error.message, "planned on"));
    assert_int_equal(unlink(self->path), 0);
    assert_int_equal(open_indices_take(self->indices, &task, &open, &error), ERR_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(two_workers_have_one_index_and_its_vectors),
        TEST(what_is_in_use_outlives_the_file_that_takes_its_place),
        TEST(a_copy_in_the_files_place_is_opened_anew),
        TEST(another_file_than_the_jobs_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
