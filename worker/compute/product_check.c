/* product_check.c - is a product right, and how fast is it? */
#include "worker/compute/product.h"

#include "worker/compute/screen.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#define GUARD 12345.0f /* stands beside the tile and must still stand there afterwards */
#define PADDING 5

typedef struct {
    size_t rows;
    size_t columns;
    size_t dimension;
    size_t step; /* every step-th entry is checked */
} shape_t;

static const shape_t SHAPES[] = {
    {1, 1, 1, 1},   {3, 5, 17, 1},    {7, 13, 67, 1},      {5, 61, 100, 1},
    {4, 6, 768, 1}, {33, 47, 768, 1}, {128, 512, 768, 97}, {9, 19, 2048, 1},
};

static const shape_t TIMED = {128, 512, 768, 1};

typedef struct {
    float *a;
    float *b;
    float *out;
} tile_t;

static void tile_clear(tile_t *tile)
{
    free(tile->a);
    free(tile->b);
    free(tile->out);
}

/* Numbers of all sizes and both signs, so that a wrong or missing term shows. */
static void fill(float *values, size_t count, uint64_t *state)
{
    for (size_t i = 0; i < count; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        float unit = (float)(int32_t)(*state >> 32) * 0x1p-31f;
        values[i] = unit / (float)(1u << (*state >> 28 & 7));
    }
}

static int tile_init(tile_t *tile, const shape_t *shape, uint64_t seed)
{
    size_t stride = shape->columns + PADDING;
    tile->a = malloc(shape->rows * shape->dimension * sizeof *tile->a);
    tile->b = malloc(shape->columns * shape->dimension * sizeof *tile->b);
    tile->out = malloc(shape->rows * stride * sizeof *tile->out);
    if (!tile->a || !tile->b || !tile->out)
        return 0;
    fill(tile->a, shape->rows * shape->dimension, &seed);
    fill(tile->b, shape->columns * shape->dimension, &seed);
    for (size_t i = 0; i < shape->rows * stride; i++)
        tile->out[i] = GUARD;
    return 1;
}

static int entry_right(const tile_t *tile, const shape_t *shape, size_t row, size_t column)
{
    const float *a = tile->a + row * shape->dimension;
    const float *b = tile->b + column * shape->dimension;
    double dot = 0;
    for (size_t i = 0; i < shape->dimension; i++)
        dot += (double)a[i] * (double)b[i];
    double bound = screen_product_error(shape->dimension, screen_norm2(a, shape->dimension),
                                        screen_norm2(b, shape->dimension));
    return fabs((double)tile->out[row * (shape->columns + PADDING) + column] - dot) <= bound;
}

static int tile_right(const tile_t *tile, const shape_t *shape)
{
    for (size_t i = 0; i < shape->rows * shape->columns; i += shape->step) {
        if (!entry_right(tile, shape, i / shape->columns, i % shape->columns))
            return 0;
    }
    for (size_t row = 0; row < shape->rows; row++) {
        for (size_t i = 0; i < PADDING; i++) {
            if (tile->out[row * (shape->columns + PADDING) + shape->columns + i] != GUARD)
                return 0;
        }
    }
    return 1;
}

int product_check(product_fn product)
{
    int right = 1;
    for (size_t s = 0; right && s < sizeof SHAPES / sizeof *SHAPES; s++) {
        const shape_t *shape = &SHAPES[s];
        tile_t tile = {0};
        right = tile_init(&tile, shape, 20150912 + s);
        if (right) {
            product(tile.a, shape->rows, tile.b, shape->columns, shape->dimension, tile.out,
                    shape->columns + PADDING);
            right = tile_right(&tile, shape);
        }
        tile_clear(&tile);
    }
    return right;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double product_seconds(product_fn product)
{
    tile_t tile = {0};
    double best = INFINITY;
    if (tile_init(&tile, &TIMED, 1)) {
        for (int run = 0; run < 3; run++) {
            double start = now();
            product(tile.a, TIMED.rows, tile.b, TIMED.columns, TIMED.dimension, tile.out,
                    TIMED.columns + PADDING);
            best = fmin(best, now() - start);
        }
    }
    tile_clear(&tile);
    return best;
}
