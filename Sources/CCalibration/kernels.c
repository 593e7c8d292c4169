/* SPDX-License-Identifier: MIT
 * Kernels with the widest vectors that the processor has, whatever this file is compiled for.
 *
 * Each arithmetic one keeps a dozen independent sums in registers: a multiply-add takes four cycles
 * on common cores, of which two can begin in each, so eight are the least that keeps them busy. */
#include "calibration.h"

#include <stddef.h>

#define SUMS 12
#define ROUNDS 4096 /* some microseconds */

typedef float f32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));

/* Sums of all words, so that nothing of the reading can be left out. */
#define READ_KERNEL(name, vector, target)                                                                    \
  target static uint64_t name(const void *buffer, uint64_t bytes) {                                          \
    const vector *at = buffer, *end = at + bytes / sizeof(vector);                                           \
    vector sum[8] = {}, all = {};                                                                            \
    for (; at + 8 <= end; at += 8)                                                                           \
      for (int i = 0; i < 8; i++)                                                                            \
        sum[i] += at[i];                                                                                     \
    for (int i = 0; i < 8; i++)                                                                              \
      all += sum[i];                                                                                         \
    __asm__ volatile("" ::"m"(all));                                                                         \
    return bytes;                                                                                            \
  }

/* What the sums come to does not matter; that the compiler cannot know it does. */
#define ARITHMETIC_KERNEL(name, vector, factor, target, step, operations)                                    \
  target static uint64_t name(const void *buffer, uint64_t bytes) {                                          \
    vector sum[SUMS] = {};                                                                                   \
    factor a = {}, b = {};                                                                                   \
    (void)buffer, (void)bytes;                                                                               \
    __asm__ volatile("" : "+m"(a), "+m"(b));                                                                 \
    for (int round = 0; round < ROUNDS; round++)                                                             \
      for (int i = 0; i < SUMS; i++)                                                                         \
        sum[i] = step;                                                                                       \
    for (int i = 0; i < SUMS; i++)                                                                           \
      __asm__ volatile("" ::"m"(sum[i]));                                                                    \
    return (uint64_t)ROUNDS * SUMS * (operations);                                                           \
  }

#define MULTIPLY_ADD (sum[i] * a + b)

READ_KERNEL(read_128, u64x2, )

struct choice {
  calibration_kernel *run; /* NULL: this processor has nothing for it */
  const char *instructions;
};

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x16 __attribute__((vector_size(64)));
typedef uint64_t u64x4 __attribute__((vector_size(32)));
typedef uint64_t u64x8 __attribute__((vector_size(64)));

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
#define AVX512_VNNI __attribute__((target("avx512f,avx512vnni")))

READ_KERNEL(read_256, u64x4, AVX2)
READ_KERNEL(read_512, u64x8, AVX512)
ARITHMETIC_KERNEL(f32_128, f32x4, f32x4, , MULTIPLY_ADD, 2 * 4)
ARITHMETIC_KERNEL(f32_256, f32x8, f32x8, AVX2, MULTIPLY_ADD, 2 * 8)
ARITHMETIC_KERNEL(f32_512, f32x16, f32x16, AVX512, MULTIPLY_ADD, 2 * 16)
/* As engines do where there is no dot product: pairs of bytes, pairs of words, sum. */
ARITHMETIC_KERNEL(int8_256, __m256i, __m256i, AVX2,
                  _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, sum[i]), b)), 2 * 32)
ARITHMETIC_KERNEL(int8_512, __m512i, __m512i, AVX512_VNNI, _mm512_dpbusd_epi32(sum[i], a, b), 2 * 64)

/* Which vectors the processor has and the kernel saves. */
static void features(bool *avx2, bool *avx512, bool *vnni) {
  unsigned a, b, c, d, low, high;

  *avx2 = *avx512 = *vnni = false;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
    return;
  bool fma = c & bit_FMA;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
    return;
  *avx2 = fma && (b & bit_AVX2) && (low & 0x6) == 0x6;
  *avx512 = *avx2 && (b & bit_AVX512F) && (low & 0xe6) == 0xe6;
  *vnni = *avx512 && (c & bit_AVX512VNNI);
}

static struct choice choose(enum calibration_work work) {
  bool avx2, avx512, vnni;

  features(&avx2, &avx512, &vnni);
  switch (work) {
  case CALIBRATION_READ:
  case CALIBRATION_READ_HUGE:
  case CALIBRATION_READ_CACHE:
    return avx512 ? (struct choice){read_512, "AVX-512 loads, 512 bits"}
           : avx2 ? (struct choice){read_256, "AVX2 loads, 256 bits"}
                  : (struct choice){read_128, "SSE2 loads, 128 bits"};
  case CALIBRATION_F32:
    return avx512 ? (struct choice){f32_512, "AVX-512 FMA, 512 bits"}
           : avx2 ? (struct choice){f32_256, "FMA, 256 bits"}
                  : (struct choice){f32_128, "SSE multiply and add, 128 bits"};
  case CALIBRATION_INT8:
    return vnni   ? (struct choice){int8_512, "AVX-512 VNNI, 512 bits"}
           : avx2 ? (struct choice){int8_256, "AVX2 multiply and add, 256 bits"}
                  : (struct choice){};
  default:
    return (struct choice){};
  }
}
#else
#include <arm_neon.h>
#include <sys/auxv.h>

#define HALF __attribute__((target("fullfp16")))
#define DOT __attribute__((target("dotprod")))
#define MATRIX __attribute__((target("i8mm")))
/* Of the kernel's <asm/hwcap.h>, which older headers lack. */
#define HAS_HALF (1ul << 10)
#define HAS_DOT (1ul << 20)
#define HAS_MATRIX_2 (1ul << 13)

ARITHMETIC_KERNEL(f32_128, float32x4_t, float32x4_t, , vfmaq_f32(sum[i], a, b), 2 * 4)
ARITHMETIC_KERNEL(f16_128, float16x8_t, float16x8_t, HALF, vfmaq_f16(sum[i], a, b), 2 * 8)
/* With the sums as factors, or the products would be formed once, before the loop. */
#define AS_BYTES vreinterpretq_s8_s32(sum[i])
ARITHMETIC_KERNEL(int8_128, int32x4_t, int8x16_t, ,
                  vpadalq_s16(vpadalq_s16(sum[i], vmull_s8(vget_low_s8(a), vget_low_s8(AS_BYTES))),
                              vmull_high_s8(b, AS_BYTES)),
                  2 * 16)
ARITHMETIC_KERNEL(int8_dot, int32x4_t, int8x16_t, DOT, vdotq_s32(sum[i], a, b), 2 * 16)
ARITHMETIC_KERNEL(int8_matrix, int32x4_t, int8x16_t, MATRIX, vmmlaq_s32(sum[i], a, b), 2 * 32)

static struct choice choose(enum calibration_work work) {
  unsigned long has = getauxval(AT_HWCAP), has_2 = getauxval(AT_HWCAP2);

  switch (work) {
  case CALIBRATION_READ:
  case CALIBRATION_READ_HUGE:
  case CALIBRATION_READ_CACHE:
    return (struct choice){read_128, "NEON loads, 128 bits"};
  case CALIBRATION_F32:
    return (struct choice){f32_128, "NEON FMA, 128 bits"};
  case CALIBRATION_F16:
    return has & HAS_HALF ? (struct choice){f16_128, "NEON FMA, half precision, 128 bits"}
                          : (struct choice){};
  case CALIBRATION_INT8:
    return has_2 & HAS_MATRIX_2 ? (struct choice){int8_matrix, "NEON matrix multiply, 128 bits"}
           : has & HAS_DOT      ? (struct choice){int8_dot, "NEON dot product, 128 bits"}
                                : (struct choice){int8_128, "NEON multiply and add, 128 bits"};
  default:
    return (struct choice){};
  }
}
#endif

const char *calibration_instructions(enum calibration_work work) { return choose(work).instructions; }

calibration_kernel *calibration_kernel_for(enum calibration_work work) { return choose(work).run; }
