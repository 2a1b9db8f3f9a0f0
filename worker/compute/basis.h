/* basis.h - a few directions that hold most of a set's energy, found by subspace iteration.
 *
 * Any matrix may screen (codes.h measures how far this one stretches a distance), so nothing here
 * decides anything: a poor basis costs time only. */
#ifndef STAGE4_WORKER_COMPUTE_BASIS_H
#define STAGE4_WORKER_COMPUTE_BASIS_H

#include "worker/compute/compute.h"

/* Rows of `basis` (width x dimension): nearly orthonormal, those with the most energy first; zeros
 * where the moment has no further rank. `moment` (dimension x dimension) is symmetric. energy[k] is
 * what direction k holds of its trace. width <= dimension. ERR_MEMORY. */
int basis_find(compute_t *compute, const float *moment, size_t dimension, size_t width,
               float *basis, double *energy, error_t *error);

/* Turns directions [begin, end) among themselves so that each holds about as much as the others:
 * one scale then serves all. The count is a multiple of 64. */
void basis_mix(float *basis, size_t dimension, size_t begin, size_t end);

/* Not less than the largest |B x|^2 / |x|^2 of the first `width` rows: the largest squared row norm
 * plus the Frobenius norm of the Gram matrix beside its diagonal, in float64. */
double basis_stretch(compute_t *compute, const float *basis, size_t dimension, size_t width);

#endif
