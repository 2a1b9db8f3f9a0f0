/* int8_avxvnni.c - int8 products by AVX-VNNI: processors without AVX-512, since 2021. */
#if defined(__AVXVNNI__)

#define YMM_PREFIX "%{vex%}"
#define YMM_DPBUSD _mm256_dpbusd_avx_epi32
#include "worker/compute/int8_ymm.h"

const int8_kernel_t int8_avxvnni = {"avxvnni", pack, screen, scores, dot};

#endif
