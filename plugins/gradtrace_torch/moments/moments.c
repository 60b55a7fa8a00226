/* What is known of elements once one pass has gone over the memory they lie in.

   Elements are taken LANES at a time, and each lane has sums of its own: so compilers make vector
   instructions of the loops without leave to change a result, which is the same on every processor.
   What is added up in the type of the elements goes on in double precision after each BLOCK. NaN
   is neither lowest nor highest. Whether squares have overflowed or vanished, or an element was
   not finite, shows in their sum: then each element is looked at again, in double precision. */

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

static const moments NOTHING = {0, 0, 0, INFINITY, -INFINITY, 0, 0, NAN, 0};

static const moments UNKNOWN = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

INLINE float from_f32(float x) { return x; }

INLINE double from_f64(double x) { return x; }

INLINE float from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* Say whether the sums are not to be trusted, and then forget them. */
INLINE int are_doubtful(moments *found, size_t size, double least_square) {
    double squares = found->sum_of_squares;
    if ((least_square * size <= squares && squares < INFINITY) || found->zeros == size) return 0;
    *found = NOTHING;
    return 1;
}

INLINE void add_carefully(moments *found, double x) {
    if (!isfinite(x)) {
        found->nonfinite++;
        found->nan += isnan(x) != 0;
        return;
    }
    found->sum += x;
    found->sum_of_squares += x * x;
    found->lowest = x < found->lowest ? x : found->lowest;
    found->highest = x > found->highest ? x : found->highest;
    found->zeros += x == 0;
}

INLINE void finish(moments *found, size_t size) {
    found->count = size;
    if (found->lowest > found->highest) found->lowest = found->highest = NAN;
}

/* DEFINE(f32, float, float, int32_t, 1e-31) is what there is for f32: how an element is stored, in
   what it is added up, an integer of that size, and the mean square below which too many squares
   may have vanished. The functions return how many tensors there was something to read of. */
#define DEFINE(NAME, STORED, REAL, INTEGER, LEAST_SQUARE)                                          \
    static const double least_square_##NAME = LEAST_SQUARE;                                        \
                                                                                                   \
    INLINE void add_##NAME(moments *found, const STORED *elements, size_t size) {                  \
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
            found->sum += sum[j];                                                                  \
            found->sum_of_squares += squares[j];                                                   \
            found->lowest = lowest[j] < found->lowest ? lowest[j] : found->lowest;                 \
            found->highest = highest[j] > found->highest ? highest[j] : found->highest;            \
            found->zeros += zeros[j];                                                              \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    FOR_EACH_PROCESSOR int moments_##NAME(const STORED *elements, size_t size, moments *found) {   \
        int readable = elements || !size;                                                          \
        *found = readable ? NOTHING : UNKNOWN;                                                     \
        if (!readable) return 0;                                                                   \
        for (size_t i = 0; i < size; i += BLOCK)                                                   \
            add_##NAME(found, elements + i, size - i < BLOCK ? size - i : BLOCK);                  \
        if (are_doubtful(found, size, least_square_##NAME))                                        \
            for (size_t i = 0; i < size; i++) add_carefully(found, from_##NAME(elements[i]));      \
        finish(found, size);                                                                       \
        return 1;                                                                                  \
    }                                                                                              \
                                                                                                   \
    int moments_of_many_##NAME(const STORED **each, const size_t *sizes, int count,                \
                               moments *found) {                                                   \
        int read = 0;                                                                              \
        for (int k = 0; k < count; k++) read += moments_##NAME(each[k], sizes[k], &found[k]);      \
        return read;                                                                               \
    }

/* The moments of what lies there now, then of what was added to what lay there before. */
#define DEFINE_MOVES(NAME, REAL)                                                                   \
    FOR_EACH_PROCESSOR static int add_move_##NAME(const REAL *now, const REAL *before, size_t size,\
                                                  moments *found) {                                \
        REAL move[BLOCK];                                                                          \
        int readable = (now && before) || !size;                                                   \
        found[0] = found[1] = readable ? NOTHING : UNKNOWN;                                        \
        if (!readable) return 0;                                                                   \
        for (size_t i = 0; i < size; i += BLOCK) {                                                 \
            size_t length = size - i < BLOCK ? size - i : BLOCK;                                   \
            for (size_t j = 0; j < length; j++) move[j] = now[i + j] - before[i + j];              \
            add_##NAME(&found[0], now + i, length);                                                \
            add_##NAME(&found[1], move, length);                                                   \
        }                                                                                          \
        if (are_doubtful(&found[0], size, least_square_##NAME))                                    \
            for (size_t i = 0; i < size; i++) add_carefully(&found[0], now[i]);                    \
        if (are_doubtful(&found[1], size, least_square_##NAME))                                    \
            for (size_t i = 0; i < size; i++) add_carefully(&found[1], now[i] - before[i]);        \
        finish(&found[0], size);                                                                   \
        finish(&found[1], size);                                                                   \
        return 1;                                                                                  \
    }                                                                                              \
                                                                                                   \
    int moments_of_moves_##NAME(const REAL **now, const REAL **before, const size_t *sizes,        \
                                int count, moments *found) {                                       \
        int read = 0;                                                                              \
        for (int k = 0; k < count; k++)                                                            \
            read += add_move_##NAME(now[k], before[k], sizes[k], &found[2 * k]);                   \
        return read;                                                                               \
    }

DEFINE(f32, float, float, int32_t, 1e-31)
DEFINE(f64, double, double, int64_t, 1e-300)
DEFINE(bf16, uint16_t, float, int32_t, 1e-31)

DEFINE_MOVES(f32, float)
DEFINE_MOVES(f64, double)
