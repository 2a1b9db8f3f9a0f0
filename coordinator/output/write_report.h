/* write_report.h - what a finished job says about itself, gathered while its clusters go by. */
#ifndef STAGE4_COORDINATOR_OUTPUT_WRITE_REPORT_H
#define STAGE4_COORDINATOR_OUTPUT_WRITE_REPORT_H

#include "coordinator/output/cluster_build.h"
#include "coordinator/output/side_file.h"

#define REPORT_LARGEST 10

typedef struct {
    char id[64];
    char label[LABEL_SIZE];
    uint32_t size;
    double intra_similarity;
} report_cluster_t;

typedef struct {
    uint32_t *sizes; /* of each cluster */
    uint32_t clusters;
    uint32_t capacity;
    uint32_t items;
    uint32_t noise;
    double similarity; /* intra-cluster, times size, summed in the order of the clusters */
    size_t largest_count;
    report_cluster_t largest[REPORT_LARGEST];
    const char *output_name;
    sha256_t sha256;
    uint64_t bytes;
    side_report_t side;
    char entities[160]; /* where primary entities came from, or why there are none */
} write_report_t;

void write_report_clear(write_report_t *self); /* frees */
int write_report_add(write_report_t *self, const cluster_t *cluster, error_t *error);
/* `found`: the outcome's report, a JSON object; ours is added to it. *json is malloc'd. */
int write_report_json(write_report_t *self, const char *found, size_t length, char **json,
                      error_t *error);

#endif
