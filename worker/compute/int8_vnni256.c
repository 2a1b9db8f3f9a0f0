/* int8_vnni256.c - the loop of int8_avxvnni.c as AVX-512 VL encodes it. int8_vnni.c is faster
 * wherever this runs; it is here so that the loop is tested on processors without AVX-VNNI. */
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)

#define YMM_PREFIX "%{evex%}"
#define YMM_DPBUSD _mm256_dpbusd_epi32
#include "worker/compute/int8_ymm.h"

const int8_kernel_t int8_vnni256 = {"vnni256", pack, screen, scores, dot};

#endif
