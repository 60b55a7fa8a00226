/* What is known of elements once one pass has gone over the memory they lie in.

   Elements are taken LANES at a time, and each lane has sums of its own: so compilers make vector
   instructions of the loops without leave to change a result, which is the same on every processor.
   What is added up in the type of the elements goes on in double precision after each BLOCK. NaN
   is neither lowest nor highest. Whether squares have overflowed or vanished, or an element was
   not finite, shows in their sum: then the caller has to look again. */

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

typedef struct {
    double sum, sum_of_squares, lowest, highest, zeros;
} moments;

static const moments NOTHING = {0, 0, INFINITY, -INFINITY, 0};

INLINE float from_f32(float x) { return x; }

INLINE double from_f64(double x) { return x; }

INLINE float from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* DEFINE(f32, float, float, int32_t) is what there is for f32: how an element is stored, in what
   it is added up, and an integer of that size. */
#define DEFINE(NAME, STORED, REAL, INTEGER)                                                        \
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
    FOR_EACH_PROCESSOR void moments_##NAME(const STORED *elements, size_t size, moments *found) {  \
        *found = NOTHING;                                                                          \
        for (size_t i = 0; i < size; i += BLOCK)                                                   \
            add_##NAME(found, elements + i, size - i < BLOCK ? size - i : BLOCK);                  \
    }                                                                                              \
                                                                                                   \
    void moments_of_many_##NAME(const STORED **each, const size_t *sizes, size_t count,            \
                                moments *found) {                                                  \
        for (size_t k = 0; k < count; k++) moments_##NAME(each[k], sizes[k], &found[k]);           \
    }

/* The moments of what lies there now, and of what was added to what lay there before. */
#define DEFINE_MOVE(NAME, REAL)                                                                    \
    FOR_EACH_PROCESSOR void moments_of_move_##NAME(const REAL *now, const REAL *before,            \
                                                   size_t size, moments *found) {                  \
        REAL move[BLOCK];                                                                          \
        found[0] = found[1] = NOTHING;                                                             \
        for (size_t i = 0; i < size; i += BLOCK) {                                                 \
            size_t length = size - i < BLOCK ? size - i : BLOCK;                                   \
            for (size_t j = 0; j < length; j++) move[j] = now[i + j] - before[i + j];              \
            add_##NAME(&found[0], now + i, length);                                                \
            add_##NAME(&found[1], move, length);                                                   \
        }                                                                                          \
    }

DEFINE(f32, float, float, int32_t)
DEFINE(f64, double, double, int64_t)
DEFINE(bf16, uint16_t, float, int32_t)

DEFINE_MOVE(f32, float)
DEFINE_MOVE(f64, double)
