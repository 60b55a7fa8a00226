/* What is known of elements once one pass has gone over the memory they lie in.

   Elements are taken LANES at a time, and each lane has sums of its own: so compilers make vector
   instructions of the loops without leave to change a result, which is the same on every processor.
   What is added up in the type of the elements goes on in double precision after each BLOCK. NaN
   is neither lowest nor highest. Whether squares have overflowed or vanished, or an element was
   not finite, shows in their sum: then `nonfinite` is NaN, and the caller has to look again. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && !defined(PORTABLE)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, BLOCK = 1024 };

/* The statistics that are recorded of a tensor, in the order of `FIELDS`. */
typedef struct {
    double count, sum, sum_of_squares, lowest, highest, zeros, nonfinite, saturated, nan;
} moments;

static const moments NOTHING = {0, 0, 0, INFINITY, -INFINITY, 0, NAN, NAN, 0};

INLINE float from_f32(float x) { return x; }

INLINE double from_f64(double x) { return x; }

INLINE float from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* Say whether the moments are right, from the mean square below which too many may have vanished. */
INLINE int settle(moments *found, size_t size, double least) {
    double squares = found->sum_of_squares;
    int certain = size && ((least * size <= squares && squares < INFINITY) || found->zeros == size);
    found->count = size;
    if (certain) found->nonfinite = 0;
    return certain;
}

/* DEFINE(f32, float, float, int32_t, 1e-31) is what there is for f32: how an element is stored, in
   what it is added up, an integer of that size, and the least mean square. Each function returns
   how many of what it found are right. */
#define DEFINE(NAME, STORED, REAL, INTEGER, LEAST)                                                 \
    INLINE void add_##NAME(moments *all, const STORED *elements, size_t size) {                    \
        REAL sum[LANES] = {0}, squares[LANES] = {0}, lowest[LANES], highest[LANES];                \
        INTEGER zeros[LANES] = {0};                                                                \
        size_t whole = size - size % LANES;                                                        \
        for (int j = 0; j < LANES; j++) lowest[j] = INFINITY, highest[j] = -INFINITY;              \
        for (size_t i = 0; i < whole; i += LANES)                                                  \
            for (int j = 0; j < LANES; j++) {                                                      \
                REAL x = from_##NAME(elements[i + j]);                                             \
                sum[j] += x;                                                                       \
                squares[j] += x * x;                                                               \
                lowest[j] = x < lowest[j] ? x : lowest[j];                                         \
                highest[j] = x > highest[j] ? x : highest[j];                                      \
                zeros[j] += x == 0;                                                                \
            }                                                                                      \
        for (size_t i = whole; i < size; i++) {                                                    \
            REAL x = from_##NAME(elements[i]);                                                     \
            sum[0] += x;                                                                           \
            squares[0] += x * x;                                                                   \
            lowest[0] = x < lowest[0] ? x : lowest[0];                                             \
            highest[0] = x > highest[0] ? x : highest[0];                                          \
            zeros[0] += x == 0;                                                                    \
        }                                                                                          \
        for (int j = 0; j < LANES; j++) {                                                          \
            all->sum += sum[j];                                                                    \
            all->sum_of_squares += squares[j];                                                     \
            all->lowest = lowest[j] < all->lowest ? lowest[j] : all->lowest;                       \
            all->highest = highest[j] > all->highest ? highest[j] : all->highest;                  \
            all->zeros += zeros[j];                                                                \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    FOR_EACH_PROCESSOR int moments_##NAME(const STORED *elements, size_t size, moments *found) {   \
        *found = NOTHING;                                                                          \
        for (size_t i = 0; i < size; i += BLOCK)                                                   \
            add_##NAME(found, elements + i, size - i < BLOCK ? size - i : BLOCK);                  \
        return settle(found, size, LEAST);                                                         \
    }                                                                                              \
                                                                                                   \
    int moments_of_many_##NAME(const STORED **each, const size_t *sizes, int count,                \
                               moments *found) {                                                   \
        int certain = 0;                                                                           \
        for (int k = 0; k < count; k++) certain += moments_##NAME(each[k], sizes[k], &found[k]);   \
        return certain;                                                                            \
    }

/* The moments of what lies there now, then of what was added to what lay there before. */
#define DEFINE_MOVES(NAME, REAL, LEAST)                                                            \
    FOR_EACH_PROCESSOR static int move_##NAME(const REAL *now, const REAL *before, size_t size,    \
                                              moments *found) {                                    \
        REAL move[BLOCK];                                                                          \
        found[0] = found[1] = NOTHING;                                                             \
        for (size_t i = 0; i < size; i += BLOCK) {                                                 \
            size_t length = size - i < BLOCK ? size - i : BLOCK;                                   \
            for (size_t j = 0; j < length; j++) move[j] = now[i + j] - before[i + j];              \
            add_##NAME(&found[0], now + i, length);                                                \
            add_##NAME(&found[1], move, length);                                                   \
        }                                                                                          \
        return settle(&found[0], size, LEAST) + settle(&found[1], size, LEAST);                    \
    }                                                                                              \
                                                                                                   \
    int moments_of_moves_##NAME(const REAL **now, const REAL **before, const size_t *sizes,        \
                                int count, moments *found) {                                       \
        int certain = 0;                                                                           \
        for (int k = 0; k < count; k++)                                                            \
            certain += move_##NAME(now[k], before[k], sizes[k], &found[2 * k]);                    \
        return certain;                                                                            \
    }

DEFINE(f32, float, float, int32_t, 1e-31)
DEFINE(f64, double, double, int64_t, 1e-300)
DEFINE(bf16, uint16_t, float, int32_t, 1e-31)

DEFINE_MOVES(f32, float, 1e-31)
DEFINE_MOVES(f64, double, 1e-300)
