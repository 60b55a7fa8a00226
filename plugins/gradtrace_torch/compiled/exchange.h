/* How PyTorch tells in one call where the elements of a tensor are: what is used here of the C
   interface of DLPack, <https://dmlc.github.io/dlpack/latest/c_api.html>. */

#include <stdint.h>

typedef struct { int32_t type, number; } dl_device;

typedef struct { uint8_t code, bits; uint16_t lanes; } dl_element;

typedef struct { uint32_t major, minor; } dl_version;

enum { DL_CPU = 1, DL_FLOAT = 2, DL_BFLOAT = 4 };

typedef struct {
    void *data;
    dl_device device;
    int32_t dimensions;
    dl_element element;
    int64_t *shape, *strides; /* in elements */
    uint64_t byte_offset;
} dl_tensor;

typedef struct {
    dl_version version;
    void *earlier;
    void *allocate, *give_away, *take_over;
    int (*look)(void *object, dl_tensor *found); /* -1 where it raises; what is found is borrowed */
    void *current_stream;
} dl_exchange;
