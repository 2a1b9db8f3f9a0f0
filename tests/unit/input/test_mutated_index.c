/* Thousands of damaged index files: each is read or refused with words, and none costs memory. */
#include "common/input/flat_index.h"
#include "common/input/vector_check.h"

#include "input_fixture.h"
#include "lib/memory_meter.h"
#include "lib/mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define FILES 12000
#define CONSTANT (2u << 20) /* the vector check's chunk is 1 MiB */
#define DIMENSION 16

typedef struct {
    size_t offset;
    size_t size;
} header_field_t;

static const header_field_t FIELDS[] = {{0, 4},  {4, 4},  {8, 8},  {16, 8},
                                        {24, 8}, {32, 1}, {33, 4}, {37, 8}};

static const uint64_t EXTREMES[] = {0,
                                    1,
                                    DIMENSION,
                                    768,
                                    2047,
                                    2048,
                                    0x7f,
                                    0x80,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    0x3fffffffffffffff,
                                    0x4000000000000000,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    UINT64_MAX};

static size_t damage(random_t *random, uint8_t *bytes, size_t length, size_t capacity)
{
    static const char *const tokens[] = {"IxFI", "IxF2", "IxFl", "IwFl"};
    mutate_rules_t rules = {tokens, 4, capacity};
    if (random_below(random, 2))
        return mutate(random, (char *)bytes, length, &rules);
    for (uint32_t i = random_below(random, 3) + 1; i > 0; i--) {
        const header_field_t *field = &FIELDS[random_below(random, 8)];
        uint64_t value = EXTREMES[random_below(random, sizeof EXTREMES / sizeof *EXTREMES)];
        memcpy(bytes + field->offset, &value, field->size);
    }
    return length;
}

/* What opens must be what the file holds, to the last row. */
static void use(flat_index_t *index, size_t length)
{
    uint32_t rows = flat_index_rows(index);
    error_t error = ERROR_INIT;
    float vector[DIMENSION];
    assert_int_equal(INDEX_HEADER + (size_t)rows * DIMENSION * sizeof(float), length);
    uint8_t *states = malloc((size_t)rows + 1);
    assert_int_equal(vector_check(index, states, &error), OK);
    free(states);
    if (rows > 0)
        assert_int_equal(flat_index_read(index, rows - 1, 1, vector, &error), OK);
    assert_int_equal(flat_index_read(index, rows, 1, vector, &error), ERR_SHAPE);
    assert_int_equal(flat_index_check(index, &error), OK);
}

static void no_damage_crashes_or_costs_memory(void **state)
{
    random_t random = {14};
    size_t opened = 0;
    char path[64];
    (void)state;
    int descriptor = memfd_create("index", MFD_CLOEXEC);
    assert_true(descriptor >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    memory_meter_start();
    size_t before = memory_resident_peak();
    for (int i = 0; i < FILES; i++) {
        uint8_t bytes[8192];
        size_t length;
        uint32_t rows = random_below(&random, 40);
        float *vectors = make_vectors(&random, rows, DIMENSION);
        uint8_t *good = make_index("IxFI", DIMENSION, rows, 0, vectors, &length);
        memcpy(bytes, good, length);
        free(good);
        free(vectors);
        length = damage(&random, bytes, length, sizeof bytes);
        assert_int_equal(ftruncate(descriptor, 0), 0);
        assert_int_equal(pwrite(descriptor, bytes, length, 0), length);
        flat_index_t *index;
        error_t error = ERROR_INIT;
        memory_take_largest();
        int code = flat_index_open(path, DIMENSION, &index, &error);
        if (code == OK) {
            use(index, length);
            opened++;
        } else {
            assert_null(index);
            assert_int_equal(code, ERR_INPUT);
            assert_true(strlen(error.message) > 20);
        }
        assert_true(memory_take_largest() <= length + CONSTANT);
        flat_index_close(&index);
    }
    assert_true(opened > FILES / 20 && opened < FILES); /* both ways were taken */
    assert_true(memory_resident_peak() < before + (16u << 20));
    close(descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_damage_crashes_or_costs_memory),
    };
    return cmocka_run_group_tests_name("mutated_index", tests, NULL, NULL);
}
