#include "tests/lib/faiss_kmeans.h"

#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>

#include <limits.h>
#include <stdlib.h>

struct faiss_kmeans {
    FaissClustering *clustering;
    FaissIndexFlatL2 *index;
};

faiss_kmeans_t *faiss_kmeans_new(size_t dimension, size_t k, int spherical, int seed)
{
    faiss_kmeans_t *self = calloc(1, sizeof *self);
    FaissClusteringParameters parameters;
    faiss_ClusteringParameters_init(&parameters);
    parameters.niter = 1; /* a step a call */
    parameters.spherical = spherical;
    parameters.seed = seed;
    parameters.min_points_per_centroid = 1;
    parameters.max_points_per_centroid = INT_MAX / (int)k;
    if (self &&
        (faiss_Clustering_new_with_params(&self->clustering, (int)dimension, (int)k, &parameters) ||
         faiss_IndexFlatL2_new_with(&self->index, (idx_t)dimension)))
        faiss_kmeans_destroy(&self);
    return self;
}

void faiss_kmeans_destroy(faiss_kmeans_t **self_pointer)
{
    faiss_kmeans_t *self = *self_pointer;
    if (!self)
        return;
    if (self->clustering)
        faiss_Clustering_free(self->clustering);
    if (self->index)
        faiss_Index_free(self->index);
    free(self);
    *self_pointer = NULL;
}

int faiss_kmeans_step(faiss_kmeans_t *self, const float *vectors, size_t count)
{
    return faiss_Clustering_train(self->clustering, (idx_t)count, vectors, self->index) == 0;
}

const float *faiss_kmeans_centres(const faiss_kmeans_t *self)
{
    float *centres = NULL;
    size_t size = 0;
    faiss_Clustering_centroids(self->clustering, &centres, &size);
    return centres;
}
