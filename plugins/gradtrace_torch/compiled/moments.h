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

enum { LANES = 16, MANY_LANES = 32, BLOCK = 1024 };

/* The statistics that are recorded of a tensor, in the order of `FIELDS`. */
typedef struct {
    double count, sum, sum_of_squares, lowest, highest, zeros, nonfinite, saturated, nan;
} moments;

static const moments NOTHING = {0, 0, 0, INFINITY, -INFINITY, 0, 0, NAN, 0};

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

/* Take an element in lane j. */
#define TAKE(ELEMENT, REAL, J)                                                                     \
    {                                                                                              \
        REAL x = ELEMENT;                                                                          \
        sum[J] += x;                                                                               \
        squares[J] += x * x;                                                                       \
        lowest[J] = x < lowest[J] ? x : lowest[J];                                                 \
        highest[J] = x > highest[J] ? x : highest[J];                                              \
        zeros[J] += x == 0;                                                                        \
    }

/* Add an element to the sums alone. */
#define ADD(ELEMENT, REAL, J)                                                                      \
    {                                                                                              \
        REAL x = ELEMENT;                                                                          \
        some[J] += x;                                                                              \
        some_squares[J] += x * x;                                                                  \
    }

/* DEFINE(f32, float, float, int32_t, 1e-31) is what there is for f32: how an element is stored, in
   what it is added up, an integer of that size, and the mean square below which too many squares
   may have vanished. */
#define DEFINE(NAME, STORED, REAL, INTEGER, LEAST_SQUARE)                                          \
    static const double least_square_##NAME = LEAST_SQUARE;                                        \
                                                                                                   \
    typedef struct {                                                                               \
        double sum[LANES], squares[LANES];                                                         \
        REAL lowest[LANES], highest[LANES];                                                        \
        INTEGER zeros[LANES];                                                                      \
    } lanes_##NAME;                                                                                \
                                                                                                   \
    INLINE void begin_##NAME(lanes_##NAME *lanes) {                                                \
        memset(lanes, 0, sizeof *lanes);                                                           \
        for (int j = 0; j < LANES; j++) lanes->lowest[j] = INFINITY, lanes->highest[j] = -INFINITY;\
    }                                                                                              \
                                                                                                   \
    /* Add a block, or the last elements. */                                                       \
    INLINE void add_##NAME(lanes_##NAME *lanes, const STORED *elements, size_t size) {             \
        REAL sum[LANES] = {0}, squares[LANES] = {0}, lowest[LANES], highest[LANES];                \
        INTEGER zeros[LANES] = {0};                                                                \
        size_t whole = size - size % LANES;                                                        \
        memcpy(lowest, lanes->lowest, sizeof lowest);                                              \
        memcpy(highest, lanes->highest, sizeof highest);                                           \
        for (size_t i = 0; i < whole; i += LANES)                                                  \
            for (int j = 0; j < LANES; j++) TAKE(from_##NAME(elements[i + j]), REAL, j)            \
        for (size_t j = 0; j < size - whole; j++) TAKE(from_##NAME(elements[whole + j]), REAL, j)  \
        memcpy(lanes->lowest, lowest, sizeof lowest);                                              \
        memcpy(lanes->highest, highest, sizeof highest);                                           \
        for (int j = 0; j < LANES; j++) {                                                          \
            lanes->sum[j] += sum[j];                                                               \
            lanes->squares[j] += squares[j];                                                       \
            lanes->zeros[j] += zeros[j];                                                           \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    INLINE void join_##NAME(const lanes_##NAME *lanes, moments *found) {                           \
        *found = NOTHING;                                                                          \
        for (int j = 0; j < LANES; j++) {                                                          \
            found->sum += lanes->sum[j];                                                           \
            found->sum_of_squares += lanes->squares[j];                                            \
            found->zeros += lanes->zeros[j];                                                       \
            if (lanes->lowest[j] < found->lowest) found->lowest = lanes->lowest[j];                \
            if (lanes->highest[j] > found->highest) found->highest = lanes->highest[j];            \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    FOR_EACH_PROCESSOR static void moments_##NAME(const void *memory, size_t size,                 \
                                                  moments *found) {                                \
        const STORED *elements = memory;                                                           \
        lanes_##NAME lanes;                                                                        \
        begin_##NAME(&lanes);                                                                      \
        for (size_t i = 0; i < size; i += BLOCK)                                                   \
            add_##NAME(&lanes, elements + i, size - i < BLOCK ? size - i : BLOCK);                 \
        join_##NAME(&lanes, found);                                                                \
        if (are_doubtful(found, size, least_square_##NAME))                                        \
            for (size_t i = 0; i < size; i++) add_carefully(found, from_##NAME(elements[i]));      \
        finish(found, size);                                                                       \
    }                                                                                              \
                                                                                                   \
    /* The sums alone, in half the time. What is not finite is counted all the same. */            \
    FOR_EACH_PROCESSOR static void sums_##NAME(const void *memory, size_t size, moments *found) {  \
        const STORED *elements = memory;                                                           \
        double sum[MANY_LANES] = {0}, squares[MANY_LANES] = {0};                                   \
        for (size_t start = 0; start < size; start += BLOCK) {                                     \
            REAL some[MANY_LANES] = {0}, some_squares[MANY_LANES] = {0};                           \
            size_t end = size - start < BLOCK ? size : start + BLOCK, i = start;                   \
            for (; i + MANY_LANES <= end; i += MANY_LANES)                                         \
                for (int j = 0; j < MANY_LANES; j++) ADD(from_##NAME(elements[i + j]), REAL, j)    \
            for (int j = 0; i < end; i++, j++) ADD(from_##NAME(elements[i]), REAL, j)              \
            for (int j = 0; j < MANY_LANES; j++) sum[j] += some[j], squares[j] += some_squares[j]; \
        }                                                                                          \
        *found = NOTHING;                                                                          \
        for (int j = 0; j < MANY_LANES; j++)                                                       \
            found->sum += sum[j], found->sum_of_squares += squares[j];                             \
        if (are_doubtful(found, size, least_square_##NAME)) moments_##NAME(memory, size, found);   \
        found->count = size;                                                                       \
        found->lowest = found->highest = found->zeros = NAN;                                       \
    }                                                                                              \
                                                                                                   \
    /* How many elements are below or above a range. */                                            \
    FOR_EACH_PROCESSOR static double outside_##NAME(const void *memory, size_t size, double low,   \
                                                    double high) {                                 \
        const STORED *elements = memory;                                                           \
        const REAL least = low, most = high;                                                       \
        size_t count = 0;                                                                          \
        for (size_t i = 0; i < size; i++) {                                                        \
            REAL x = from_##NAME(elements[i]);                                                     \
            count += (x < least) + (x > most);                                                     \
        }                                                                                          \
        return count;                                                                              \
    }

/* The moments of what lies there now, and of what was added to what lay there before. A difference
   of f32 is added up as f32, one of bf16 as f32 too. */
#define DEFINE_MOVE(NAME, STORED, REAL, WIDE)                                                      \
    FOR_EACH_PROCESSOR static void move_##NAME(const void *there, const void *earlier,             \
                                               size_t size, moments *value, moments *move) {       \
        const STORED *now = there, *before = earlier;                                              \
        REAL moved[BLOCK];                                                                         \
        lanes_##NAME values;                                                                       \
        lanes_##WIDE moves;                                                                        \
        begin_##NAME(&values);                                                                     \
        begin_##WIDE(&moves);                                                                      \
        for (size_t i = 0; i < size; i += BLOCK) {                                                 \
            size_t length = size - i < BLOCK ? size - i : BLOCK;                                   \
            for (size_t j = 0; j < length; j++)                                                    \
                moved[j] = from_##NAME(now[i + j]) - from_##NAME(before[i + j]);                   \
            add_##NAME(&values, now + i, length);                                                  \
            add_##WIDE(&moves, moved, length);                                                     \
        }                                                                                          \
        join_##NAME(&values, value);                                                               \
        join_##WIDE(&moves, move);                                                                 \
        if (are_doubtful(value, size, least_square_##NAME))                                        \
            for (size_t i = 0; i < size; i++) add_carefully(value, from_##NAME(now[i]));           \
        if (are_doubtful(move, size, least_square_##WIDE))                                         \
            for (size_t i = 0; i < size; i++)                                                      \
                add_carefully(move, from_##NAME(now[i]) - from_##NAME(before[i]));                 \
        finish(value, size);                                                                       \
        finish(move, size);                                                                        \
    }

DEFINE(f32, float, float, int32_t, 1e-31)
DEFINE(f64, double, double, int64_t, 1e-300)
DEFINE(bf16, uint16_t, float, int32_t, 1e-31)

DEFINE_MOVE(f32, float, float, f32)
DEFINE_MOVE(f64, double, double, f64)
DEFINE_MOVE(bf16, uint16_t, float, f32)

/* What there is for a type of elements. */
typedef struct {
    size_t bytes;
    void (*measure)(const void *memory, size_t size, moments *found);
    void (*measure_sums)(const void *memory, size_t size, moments *found);
    void (*measure_move)(const void *now, const void *before, size_t size, moments *value,
                         moments *move);
    double (*count_outside)(const void *memory, size_t size, double low, double high);
} element_type;

static const element_type F32 = {4, moments_f32, sums_f32, move_f32, outside_f32};
static const element_type F64 = {8, moments_f64, sums_f64, move_f64, outside_f64};
static const element_type BF16 = {2, moments_bf16, sums_bf16, move_bf16, outside_bf16};
