/* memory_need.h - how much memory a job will take, said before it starts.
 *
 * n rows take part, of d dimensions; k neighbours are listed for each; m bytes of metadata; w bytes
 * of codes a row, 0 where none are made; r rows a task (50 million pairs and 256 at least), of them
 * b = min(r, 2048) at once; with codes b rows and r - b columns, their vectors only where not all
 * 4 d n bytes of them are kept, once by all workers of a process: v = min(4 d n, vectors_mib).
 *
 *   phase       coordinator                              a worker
 *   planning    m                                        -
 *   codes       n (w + 60) + min(n (w + 8), 256 MiB)     4 n + v + 16 MiB
 *   neighbours  8 r k                                    n (w + 28) + v + b (4 d + w + 64) + 16 r k
 *   tree        n (8 k + 240)                            n (w + 108) + v
 *   writing     60 n + m / 2                             n (w + 108) + v
 *
 *   k-means, c = 8 d k bytes of centres, s = min(n, max(65536, 50 k)) rows sampled for seeds:
 *   codes       as above
 *   seeds       12 n                                     n (w + 28) + v + min(4 d s, 256 MiB)
 *   steps       24 n + 3 c                               n (w + 28) + v + c
 *
 *   agglomerative, single linkage: as hdbscan; the others, l rows in the largest partition:
 *   linkage     48 n                                     4 l^2 + l (4 d + 96)
 *
 *   DBCV: its distances are planned when the clusters are known, and left out where they do not fit
 *   (coordinator/merge/dbcv.c); the report's foresight then grows.
 *
 * Every worker that is busy has 6 MiB a thread besides, and the allocator keeps min(300 n, 96 MiB)
 * of what was freed. A process of several parts takes what the fullest phase takes in all of them,
 * and 36 MiB. tests/e2e/test_memory.py holds that against real peaks: within a factor of 1.3. */
#ifndef STAGE4_COORDINATOR_PLAN_MEMORY_NEED_H
#define STAGE4_COORDINATOR_PLAN_MEMORY_NEED_H

#include "common/error.h"
#include "proto/job_spec.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t rows; /* that take part; those of the index while that is not known */
    uint32_t dimension;
    uint32_t partitions;     /* 0: one */
    uint32_t largest;        /* rows of the largest partition; 0: all */
    uint64_t pairs;          /* plan_pairs of all partitions; 0: rows squared */
    uint64_t metadata_bytes; /* of the level's metadata file */
    uint32_t code_width;     /* memory_code_width() where codes are made or may be, else 0 */
    uint64_t vectors;        /* bytes of vectors that a worker may keep */
} memory_shape_t;

/* A rotation may ask for 512 at most; half of the dimensions is what news needs. */
uint32_t memory_code_width(uint32_t dimension);

/* A process: the coordinator, and the workers that live in it. */
typedef struct {
    uint64_t limit;   /* bytes that it may take; 0: any */
    uint32_t workers; /* 0 where they are daemons of their own */
    uint32_t threads; /* of each */
    uint64_t vectors; /* bytes of vectors that each may keep */
} memory_place_t;

/* Bytes at the fullest phase, of the process that holds the coordinator. */
uint64_t memory_need(const job_spec_t *spec, const memory_shape_t *shape,
                     const memory_place_t *place);
/* Of one worker that is a process of its own. */
uint64_t memory_need_worker(const job_spec_t *spec, const memory_shape_t *shape, uint32_t threads);

/* ERR_TOO_LARGE when the need is over the limit: names both, and how many rows would fit. */
int memory_check(const job_spec_t *spec, const memory_shape_t *shape, const memory_place_t *place,
                 error_t *error);

/* The memory of this machine or, when it is less, of the control group that the process is in. */
uint64_t memory_of_machine(void);

#endif
