/* int8.h - products of int8 codes, compared as they are made: the inner loop of the screen.
 *
 * Columns come in panels of 64, packed once and then met by many rows. For row r and column c of a
 * panel, with integer dot product I, bit c of mask[r] is set when
 *     I + column_start[c] >= row_limit[r]  or  I + row_start[r] >= column_limit[c]:
 * when one of the two may want the other. No product goes to memory, and all back ends give the same
 * bits: integers do not round.
 * Codes are -127 .. 127, `width` of them a row, a multiple of INT8_STEP up to INT8_WIDTH_LIMIT. */
#ifndef STAGE4_WORKER_COMPUTE_INT8_H
#define STAGE4_WORKER_COMPUTE_INT8_H

#include <stddef.h>
#include <stdint.h>

#define INT8_COLUMNS 64
#define INT8_STEP 64
#define INT8_WIDTH_LIMIT 2048
#define INT8_PANEL_BYTES(width) ((width)*INT8_COLUMNS * 2) /* the largest of all back ends */

/* Starts and limits are within +-INT8_ROOM: a start of INT8_ROOM reaches every limit that is a finite
 * bound, a limit of -INT8_ROOM is always reached, and one of INT8_ROOM never from a start of 0. */
#define INT8_ROOM (1 << 29)

/* Rows of codes, `stride` bytes apart. */
typedef struct {
    const int8_t *codes;
    size_t stride;
    size_t count;
    size_t width;
    const int32_t *sum; /* of each row's codes; columns need none */
} int8_rows_t;

typedef struct {
    const int32_t *row_limit;
    const int32_t *row_start;    /* not looked at without column_limit */
    const int32_t *column_limit; /* INT8_COLUMNS of them; NULL: columns want nothing */
    const int32_t *column_start; /* INT8_COLUMNS */
} int8_bounds_t;

typedef struct {
    const char *name; /* "scalar", "avx2", "avxvnni", "vnni256", "vnni" */
    /* At most 64 columns; the missing ones become zeros. `panel` is 64-byte aligned. */
    void (*pack)(const int8_rows_t *columns, void *panel);
    void (*screen)(const int8_rows_t *rows, const void *panel, const int8_bounds_t *bounds,
                   uint64_t *mask);
    /* scores[r * 64 + c] = I. */
    void (*scores)(const int8_rows_t *rows, const void *panel, int32_t *scores);
    int32_t (*dot)(const int8_t *a, const int8_t *b, size_t width);
} int8_kernel_t;

void int8_sums(const int8_rows_t *rows, int32_t *sum);

/* The back ends this processor can run, slowest first; [0] is always scalar. */
#define INT8_KERNELS_MOST 5
size_t int8_kernels(const int8_kernel_t *out[INT8_KERNELS_MOST]);

/* The fastest that goes with a dist2 back end of that name: all there are with "avx512"; with "avx2"
 * no AVX-512; "scalar" with "scalar". */
const int8_kernel_t *int8_kernel_for(const char *dist2_name);

extern const int8_kernel_t int8_scalar;
#if defined(__x86_64__)
extern const int8_kernel_t int8_avx2;
extern const int8_kernel_t int8_avxvnni;
extern const int8_kernel_t int8_vnni256;
extern const int8_kernel_t int8_vnni;
#endif

#endif
