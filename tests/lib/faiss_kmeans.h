/* faiss_kmeans.h - FAISS's Clustering through its C API, one iteration at a time: a reference that
 * nobody here wrote. (In a file of its own: FAISS has an OK too.) */
#ifndef STAGE4_TESTS_LIB_FAISS_KMEANS_H
#define STAGE4_TESTS_LIB_FAISS_KMEANS_H

#include <stddef.h>

typedef struct faiss_kmeans faiss_kmeans_t;

/* spherical: centres are scaled to unit length. NULL when FAISS refuses. */
faiss_kmeans_t *faiss_kmeans_new(size_t dimension, size_t k, int spherical, int seed);
void faiss_kmeans_destroy(faiss_kmeans_t **self);

/* One more assignment and move; before the first the centres are drawn from the vectors. 1 when it
 * went well. */
int faiss_kmeans_step(faiss_kmeans_t *self, const float *vectors, size_t count);
/* k x dimension, valid until the next step. */
const float *faiss_kmeans_centres(const faiss_kmeans_t *self);

#endif
