/* The int8 kernels: one answer for every back end, at the widths and counts that are awkward. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "worker/compute/int8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MOST 23

typedef struct {
    int8_t *codes; /* rows, then 64 columns */
    int32_t sum[ROWS_MOST];
    void *panel;
    size_t stride;
} tile_t;

static uint32_t random_of(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Every third row and column is at an end of the range, where products are largest. */
static tile_t tile_new(size_t width, uint64_t seed)
{
    tile_t tile = {.stride = width + 64};
    tile.codes = malloc((ROWS_MOST + INT8_COLUMNS) * tile.stride);
    tile.panel = aligned_alloc(64, INT8_PANEL_BYTES(width));
    for (size_t r = 0; r < ROWS_MOST + INT8_COLUMNS; r++)
        for (size_t i = 0; i < tile.stride; i++)
            tile.codes[r * tile.stride + i] = r % 3 == 1
                                                  ? (int8_t)(r % 2 ? 127 : -127)
                                                  : (int8_t)((int)(random_of(&seed) % 255) - 127);
    return tile;
}

static void tile_clear(tile_t *tile)
{
    free(tile->codes);
    free(tile->panel);
}

static int32_t true_dot(const tile_t *tile, size_t row, size_t column, size_t width)
{
    int32_t sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += tile->codes[row * tile->stride + i] *
               tile->codes[(ROWS_MOST + column) * tile->stride + i];
    return sum;
}

static void check(const int8_kernel_t *kernel, size_t width, size_t rows, size_t columns)
{
    tile_t tile = tile_new(width, width * 1000 + rows);
    uint64_t seed = rows;
    int32_t start[INT8_COLUMNS], limit[ROWS_MOST];
    int32_t row_start[ROWS_MOST], column_limit[INT8_COLUMNS];
    const int8_bounds_t bounds = {limit, row_start, column_limit, start};
    int32_t scores[(ROWS_MOST + 1) * INT8_COLUMNS];
    uint64_t mask[ROWS_MOST + 1];
    const int8_rows_t of_rows = {tile.codes, tile.stride, rows, width, tile.sum};
    const int8_rows_t of_columns = {tile.codes + ROWS_MOST * tile.stride, tile.stride, columns,
                                    width, NULL};
    int8_sums(&of_rows, tile.sum);
    memset(mask, 0x5a, sizeof mask);
    memset(scores, 0x5a, sizeof scores);
    for (size_t c = 0; c < INT8_COLUMNS; c++)
        start[c] = (int32_t)(random_of(&seed) % 100000) - 50000;
    for (size_t r = 0; r < rows; r++) /* one pair is just at its limit, every other row just over */
        limit[r] = true_dot(&tile, r, r % columns, width) + start[r % columns] + (int)(r % 2);
    limit[0] = rows > 4 ? -INT8_ROOM : limit[0];
    for (size_t r = 0; r < rows; r++)
        row_start[r] = (int32_t)(random_of(&seed) % 100000) - 50000;
    for (size_t c = 0; c < INT8_COLUMNS; c++) /* and so it is from the column's side */
        column_limit[c] = true_dot(&tile, c % rows, c, width) + row_start[c % rows] + (int)(c % 2);
    column_limit[0] = columns > 16 ? -INT8_ROOM : column_limit[0];
    column_limit[columns - 1] = columns > 63 ? INT8_ROOM : column_limit[columns - 1];
    row_start[rows - 1] = rows > 6 ? INT8_ROOM : row_start[rows - 1];
    start[columns / 2] = columns > 15 ? INT8_ROOM : start[columns / 2];
    kernel->pack(&of_columns, tile.panel);
    kernel->screen(&of_rows, tile.panel, &bounds, mask);
    kernel->scores(&of_rows, tile.panel, scores);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            int32_t wanted = true_dot(&tile, r, c, width);
            assert_int_equal(scores[r * INT8_COLUMNS + c], wanted);
            assert_int_equal(mask[r] >> c & 1, wanted + start[c] >= limit[r] ||
                                                   wanted + row_start[r] >= column_limit[c]);
            assert_int_equal(kernel->dot(tile.codes + r * tile.stride,
                                         of_columns.codes + c * tile.stride, width),
                             wanted);
        }
    }
    assert_true(mask[rows] == 0x5a5a5a5a5a5a5a5au);
    assert_true(scores[rows * INT8_COLUMNS] == 0x5a5a5a5a);
    tile_clear(&tile);
}

static void every_back_end_gives_the_same_integers(void **state)
{
    static const size_t WIDTHS[] = {64, 128, 256, 448, 2048};
    static const size_t ROWS[] = {1, 2, 5, 6, 7, 12, 23};
    static const size_t COLUMNS[] = {1, 15, 16, 17, 63, 64};
    const int8_kernel_t *kernels[INT8_KERNELS_MOST];
    size_t count = int8_kernels(kernels);
    (void)state;
    for (size_t k = 0; k < count; k++)
        for (size_t w = 0; w < sizeof WIDTHS / sizeof *WIDTHS; w++)
            for (size_t r = 0; r < sizeof ROWS / sizeof *ROWS; r++)
                for (size_t c = 0; c < sizeof COLUMNS / sizeof *COLUMNS; c++)
                    check(kernels[k], WIDTHS[w], ROWS[r], COLUMNS[c]);
}

static const int8_kernel_t *kernel_named(const char *name)
{
    const int8_kernel_t *kernels[INT8_KERNELS_MOST];
    size_t count = int8_kernels(kernels);
    for (size_t k = 0; k < count; k++)
        if (!strcmp(kernels[k]->name, name))
            return kernels[k];
    return NULL;
}

static void a_kernel_goes_with_every_dist2_back_end(void **state)
{
    const int8_kernel_t *kernels[INT8_KERNELS_MOST];
    size_t count = int8_kernels(kernels);
    const int8_kernel_t *avx2 = kernel_named("avxvnni");
    if (!avx2)
        avx2 = kernel_named("avx2");
    (void)state;
    assert_ptr_equal(int8_kernel_for("scalar"), kernels[0]);
    assert_ptr_equal(int8_kernel_for("avx2"), avx2 ? avx2 : kernels[0]);
    assert_ptr_equal(int8_kernel_for("avx512"), kernels[count - 1]);
}

/* The loop of both is one (int8_ymm.h); a processor that has neither tests none. */
static void the_avxvnni_loop_runs_here(void **state)
{
    (void)state;
    if (!kernel_named("avxvnni"))
        print_message("no AVX-VNNI here: its loop is tested %s\n",
                      kernel_named("vnni256") ? "as AVX-512 VL encodes it" : "nowhere");
    if (!kernel_named("avxvnni") && !kernel_named("vnni256"))
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_back_end_gives_the_same_integers),
        cmocka_unit_test(a_kernel_goes_with_every_dist2_back_end),
        cmocka_unit_test(the_avxvnni_loop_runs_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
