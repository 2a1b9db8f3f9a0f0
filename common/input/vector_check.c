#include "common/input/vector_check.h"

#include <math.h>
#include <stdlib.h>

#define CHUNK_BYTES (1u << 20)
#define LANES 8

/* The sum of squares of finite floats is finite in double, so an infinite or NaN sum has a value
 * that is not finite among its terms. */
static double squared_norm(const float *vector, size_t dimension)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += (double)vector[i + l] * vector[i + l];
    }
    double sum = 0;
    for (size_t l = 0; l < LANES; l++)
        sum += lanes[l];
    for (; i < dimension; i++)
        sum += (double)vector[i] * vector[i];
    return sum;
}

static vector_state_t state_of(const float *vector, size_t dimension)
{
    double sum = squared_norm(vector, dimension);
    if (!isfinite(sum))
        return VECTOR_NOT_FINITE;
    return fabs(sqrt(sum) - 1.0) > NORM_TOLERANCE ? VECTOR_NORM : VECTOR_OK;
}

int vector_check_rows(const flat_index_t *index, uint32_t first, uint32_t count, uint8_t *states,
                      error_t *error)
{
    size_t dimension = flat_index_dimension(index);
    uint32_t chunk = (uint32_t)(CHUNK_BYTES / (dimension * sizeof(float)));
    float *vectors = malloc(CHUNK_BYTES);
    if (vectors == NULL)
        return error_set(error, ERR_MEMORY, "%s: out of memory", flat_index_path(index));
    int code = OK;
    for (uint32_t done = 0; done < count && code == OK;) {
        uint32_t rows = count - done < chunk ? count - done : chunk;
        code = flat_index_read(index, first + done, rows, vectors, error);
        for (uint32_t i = 0; i < rows && code == OK; i++)
            states[done + i] = (uint8_t)state_of(vectors + i * dimension, dimension);
        done += rows;
    }
    free(vectors);
    return code;
}

int vector_check(const flat_index_t *index, uint8_t *states, error_t *error)
{
    return vector_check_rows(index, 0, flat_index_rows(index), states, error);
}
