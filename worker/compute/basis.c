#include "worker/compute/basis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PANEL 32       /* directions made orthogonal together */
#define GROUP 64       /* directions mixed together */
#define POWERS 2       /* products with the moment between two orthogonalisations */
#define RANK_LOST 1e-5 /* a direction that shrinks by that was a combination of the others */
#define SHRUNK 0.9     /* so much that rounding may have left it along the others */
#define PASSES_MOST 8

typedef struct {
    product_fn product;
    size_t dimension;
    size_t width;
    float *other;      /* width x dimension */
    float *transposed; /* dimension x width */
    float *dots;       /* PANEL x width */
} work_t;

static double dot_of(const float *a, const float *b, size_t dimension)
{
    double lane[8] = {0};
    double sum = 0;
    size_t i = 0;
    for (; i + 8 <= dimension; i += 8)
        for (size_t l = 0; l < 8; l++)
            lane[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < dimension; i++)
        sum += (double)a[i] * (double)b[i];
    for (size_t l = 0; l < 8; l++)
        sum += lane[l];
    return sum;
}

/* panel -= (panel . first^T) first, for the `count` directions before it. */
static void remove_earlier(work_t *self, const float *first, size_t count, float *panel,
                           size_t rows)
{
    size_t d = self->dimension;
    if (!count)
        return;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < d; i++)
            self->transposed[i * count + k] = first[k * d + i];
    self->product(panel, rows, first, count, d, self->dots, count);
    float *parts = self->other; /* free while directions are made orthogonal */
    self->product(self->dots, rows, self->transposed, d, count, parts, d);
    for (size_t i = 0; i < rows * d; i++)
        panel[i] -= parts[i];
}

/* Gram and Schmidt inside a panel. 1 when some direction shrank: what is left of it is then made of
 * differences, whose roundings have grown with it, and it takes another pass. */
static int orthogonalise_panel(float *panel, size_t rows, size_t dimension, const double *before)
{
    int shrank = 0;
    for (size_t r = 0; r < rows; r++) {
        float *row = panel + r * dimension;
        for (size_t earlier = 0; earlier < r; earlier++) {
            const float *other = panel + earlier * dimension;
            float share = (float)dot_of(row, other, dimension);
            for (size_t i = 0; i < dimension; i++)
                row[i] -= share * other[i];
        }
        double norm = sqrt(dot_of(row, row, dimension));
        float scale = norm > RANK_LOST * before[r] && norm > 0 ? (float)(1 / norm) : 0;
        for (size_t i = 0; i < dimension; i++)
            row[i] *= scale;
        shrank |= scale > 0 && norm < SHRUNK * before[r];
    }
    return shrank;
}

static int orthogonalise(work_t *self, float *basis)
{
    size_t d = self->dimension;
    int shrank = 0;
    for (size_t first = 0; first < self->width; first += PANEL) {
        size_t rows = self->width - first < PANEL ? self->width - first : PANEL;
        float *panel = basis + first * d;
        double before[PANEL] = {0};
        for (size_t r = 0; r < rows; r++)
            before[r] = sqrt(dot_of(panel + r * d, panel + r * d, d));
        remove_earlier(self, basis, first, panel, rows);
        shrank |= orthogonalise_panel(panel, rows, d, before);
    }
    return shrank;
}

static void multiply(work_t *self, const float *moment, float *basis)
{
    size_t floats = self->width * self->dimension;
    self->product(basis, self->width, moment, self->dimension, self->dimension, self->other,
                  self->dimension);
    memcpy(basis, self->other, floats * sizeof *basis);
}

/* Any start does that is not orthogonal to what is looked for. */
static void scatter(float *basis, size_t count)
{
    uint64_t state = 20150912;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        basis[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
}

int basis_find(const compute_t *compute, const float *moment, size_t dimension, size_t width,
               float *basis, double *energy, error_t *error)
{
    product_fn product = compute_product(compute);
    work_t work = {product ? product : product_scalar, dimension, width, NULL, NULL, NULL};
    int code = OK;
    work.other = malloc((width + PANEL) * dimension * sizeof *work.other);
    work.transposed = malloc(width * dimension * sizeof *work.transposed);
    work.dots = malloc(PANEL * width * sizeof *work.dots);
    if (!work.other || !work.transposed || !work.dots) {
        code = error_set(error, ERR_MEMORY, "no memory for %zu directions", width);
        goto done;
    }
    scatter(basis, width * dimension);
    for (int round = 0; round < 2; round++) {
        for (int power = 0; power < POWERS; power++)
            multiply(&work, moment, basis);
        orthogonalise(&work, basis);
    }
    /* float32 leaves a little that the next time removes */
    for (int pass = 0; pass < PASSES_MOST && orthogonalise(&work, basis); pass++)
        ;
    work.product(basis, width, moment, dimension, dimension, work.other, dimension);
    for (size_t k = 0; k < width; k++)
        energy[k] = dot_of(basis + k * dimension, work.other + k * dimension, dimension);
done:
    free(work.other);
    free(work.transposed);
    free(work.dots);
    return code;
}

/* Hadamard's matrix of order 64 over directions `stride` apart; 1/8 is exact. */
static void mix_group(float *basis, size_t dimension, size_t first, size_t stride)
{
    for (size_t half = 1; half < GROUP; half *= 2) {
        for (size_t k = 0; k < GROUP; k++) {
            if (k & half)
                continue;
            float *a = basis + (first + k * stride) * dimension;
            float *b = basis + (first + (k + half) * stride) * dimension;
            for (size_t i = 0; i < dimension; i++) {
                float sum = a[i] + b[i];
                b[i] = a[i] - b[i];
                a[i] = sum;
            }
        }
    }
    for (size_t k = 0; k < GROUP; k++)
        for (size_t i = 0; i < dimension; i++)
            basis[(first + k * stride) * dimension + i] *= 0.125f;
}

void basis_mix(float *basis, size_t dimension, size_t begin, size_t end)
{
    size_t groups = (end - begin) / GROUP;
    for (size_t group = 0; group < groups; group++)
        mix_group(basis, dimension, begin + group, groups);
}

typedef struct {
    const float *basis;
    size_t dimension;
    double *diagonal;
    double *beside; /* sum of squares right of the diagonal */
} gram_t;

static void gram_row(void *context, size_t row, uint32_t thread)
{
    gram_t *self = context;
    const float *vector = self->basis + row * self->dimension;
    (void)thread;
    self->diagonal[row] = dot_of(vector, vector, self->dimension);
    self->beside[row] = 0;
    for (size_t other = 0; other < row; other++) {
        double dot = dot_of(vector, self->basis + other * self->dimension, self->dimension);
        self->beside[row] += dot * dot;
    }
}

double basis_stretch(compute_t *compute, const float *basis, size_t dimension, size_t width)
{
    gram_t gram = {basis, dimension, malloc((width + 1) * sizeof(double)),
                   malloc((width + 1) * sizeof(double))};
    double largest = 0;
    double beside = 0;
    double stretch = INFINITY; /* without memory nothing is known, and nothing ruled out */
    if (gram.diagonal && gram.beside) {
        pool_run(compute_pool(compute), width, gram_row, &gram);
        for (size_t k = 0; k < width; k++) {
            largest = fmax(largest, gram.diagonal[k]);
            beside += 2 * gram.beside[k];
        }
        stretch = (largest + sqrt(beside)) * (1 + 0x1p-36);
    }
    free(gram.diagonal);
    free(gram.beside);
    return stretch;
}
