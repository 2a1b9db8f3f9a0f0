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
    pool_t *pool;
    product_fn product;
    size_t dimension;
    size_t width;
    const float *moment;
    float *basis;      /* width x dimension */
    float *other;      /* as large */
    float *transposed; /* dimension x PANEL: the panel that is ready */
    double *before;    /* norm of each direction when a pass began */
    size_t first;      /* of that panel */
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

static size_t panel_rows(const work_t *self, size_t first)
{
    return self->width - first < PANEL ? self->width - first : PANEL;
}

static size_t panel_count(const work_t *self) { return (self->width + PANEL - 1) / PANEL; }

/* Takes what lies along the panel that is ready off one of those behind it. */
static void clear_panel(void *context, size_t item, uint32_t thread)
{
    work_t *self = context;
    size_t d = self->dimension, first = self->first + (item + 1) * PANEL;
    size_t rows = panel_rows(self, first);
    float *panel = self->basis + first * d, *parts = self->other + first * d;
    float dots[PANEL * PANEL];
    (void)thread;
    self->product(panel, rows, self->basis + self->first * d, PANEL, d, dots, PANEL);
    self->product(dots, rows, self->transposed, d, PANEL, parts, d);
    for (size_t i = 0; i < rows * d; i++)
        panel[i] -= parts[i];
}

/* Gram and Schmidt inside the panel. 1 when some direction shrank since the pass began: what is left
 * of it is then made of differences, whose roundings have grown with it, and it takes another pass. */
static int orthogonalise_panel(work_t *self, size_t rows)
{
    size_t d = self->dimension;
    float *panel = self->basis + self->first * d;
    const double *before = self->before + self->first;
    int shrank = 0;
    for (size_t r = 0; r < rows; r++) {
        float *row = panel + r * d;
        float shares[PANEL];
        if (r)
            self->product(row, 1, panel, r, d, shares, r);
        for (size_t earlier = 0; earlier < r; earlier++) {
            const float *other = panel + earlier * d;
            for (size_t i = 0; i < d; i++)
                row[i] -= shares[earlier] * other[i];
        }
        double norm = sqrt(dot_of(row, row, d));
        float scale = norm > RANK_LOST * before[r] && norm > 0 ? (float)(1 / norm) : 0;
        for (size_t i = 0; i < d; i++)
            row[i] *= scale;
        shrank |= scale > 0 && norm < SHRUNK * before[r];
    }
    return shrank;
}

static void measure_panel(void *context, size_t item, uint32_t thread)
{
    work_t *self = context;
    size_t first = item * PANEL, d = self->dimension;
    (void)thread;
    for (size_t r = 0; r < panel_rows(self, first); r++) {
        const float *row = self->basis + (first + r) * d;
        self->before[first + r] = sqrt(dot_of(row, row, d));
    }
}

static int orthogonalise(work_t *self)
{
    size_t d = self->dimension;
    int shrank = 0;
    pool_run(self->pool, panel_count(self), measure_panel, self);
    for (self->first = 0; self->first < self->width; self->first += PANEL) {
        size_t rows = panel_rows(self, self->first);
        const float *panel = self->basis + self->first * d;
        shrank |= orthogonalise_panel(self, rows);
        if (self->first + PANEL >= self->width)
            break;
        for (size_t k = 0; k < PANEL; k++)
            for (size_t i = 0; i < d; i++)
                self->transposed[i * PANEL + k] = panel[k * d + i];
        pool_run(self->pool, panel_count(self) - self->first / PANEL - 1, clear_panel, self);
    }
    return shrank;
}

static void multiply_panel(void *context, size_t item, uint32_t thread)
{
    work_t *self = context;
    size_t d = self->dimension, first = item * PANEL;
    (void)thread;
    self->product(self->basis + first * d, panel_rows(self, first), self->moment, d, d,
                  self->other + first * d, d);
}

/* The basis times the moment, into `other`. */
static void multiply(work_t *self)
{
    pool_run(self->pool, panel_count(self), multiply_panel, self);
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

typedef struct {
    const work_t *work;
    double *energy;
} energy_t;

static void measure_energy(void *context, size_t direction, uint32_t thread)
{
    energy_t *self = context;
    size_t at = direction * self->work->dimension;
    (void)thread;
    self->energy[direction] =
        dot_of(self->work->basis + at, self->work->other + at, self->work->dimension);
}

int basis_find(compute_t *compute, const float *moment, size_t dimension, size_t width,
               float *basis, double *energy, error_t *error)
{
    product_fn product = compute_product(compute);
    size_t floats = width * dimension;
    work_t work = {.pool = compute_pool(compute),
                   .product = product ? product : product_scalar,
                   .dimension = dimension,
                   .width = width,
                   .moment = moment,
                   .basis = basis};
    energy_t energies = {&work, energy};
    int code = OK;
    work.other = malloc((floats + 1) * sizeof *work.other);
    work.transposed = malloc(dimension * PANEL * sizeof *work.transposed);
    work.before = malloc((width + 1) * sizeof *work.before);
    if (!work.other || !work.transposed || !work.before) {
        code = error_set(error, ERR_MEMORY, "no memory for %zu directions", width);
        goto done;
    }
    scatter(basis, floats);
    for (int round = 0; round < 2; round++) {
        for (int power = 0; power < POWERS; power++) {
            multiply(&work);
            memcpy(basis, work.other, floats * sizeof *basis);
        }
        orthogonalise(&work);
    }
    /* float32 leaves a little that the next time removes */
    for (int pass = 0; pass < PASSES_MOST && orthogonalise(&work); pass++)
        ;
    multiply(&work);
    pool_run(work.pool, width, measure_energy, &energies);
done:
    free(work.other);
    free(work.transposed);
    free(work.before);
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
