/* peak.h - what the processor can do at most: the unit that seconds are divided by. */
#ifndef STAGE4_TESTS_BENCH_PEAK_H
#define STAGE4_TESTS_BENCH_PEAK_H

#include <stdint.h>

/* Operations a second of `threads` threads at once: float32 multiplications and additions (two for
 * a fused one), and int8 multiply-adds. By CPU time, so that neighbours on the machine do not
 * count. */
double peak_float32(uint32_t threads);
double peak_int8(uint32_t threads);
/* The same for the kernel of worker/compute/int8.h on panels of 256 codes. */
double peak_kernel(uint32_t threads);
/* Seconds that OpenBLAS needs for an n x n x dimension product, from one large tile, one thread. */
double peak_sgemm_seconds(uint32_t n, uint32_t dimension);

#endif
