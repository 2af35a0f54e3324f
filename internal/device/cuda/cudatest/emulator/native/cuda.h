// What the kernels use of CUDA, for a C++ compiler: a block's threads are coroutines on one processor, switched at barriers.
#pragma once

#include <math.h>
#include <string.h>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)

struct Dimensions {
    unsigned x, y, z;
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

// One thread of the block that is running.
struct Thread {
    Dimensions index;
    unsigned number;
};

extern Thread* running;
extern Dimensions blockIdx, blockDim, gridDim;

#define threadIdx (running->index)

// Waits for all threads of the block.
void __syncthreads();

// Every thread of a warp gives values, then sees those of all: slots [32][count] until the warp's next exchange.
const unsigned* exchange(const unsigned* values, int count);

// Products of floats are exact in double; without the processor's instruction the library's fmaf is slow.
#define fmaf(a, b, c) ((float)((double)(a) * (double)(b) + (double)(c)))

static inline float __uint_as_float(unsigned b) {
    float f;
    memcpy(&f, &b, 4);
    return f;
}

static inline unsigned __float_as_uint(float f) {
    unsigned b;
    memcpy(&b, &f, 4);
    return b;
}

static inline float host_half_to_float(unsigned short h) {
    unsigned sign = (unsigned)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
    float f = __uint_as_float((unsigned)(h & 0x7fff) << 13) * 0x1p112f; // from a bias of 127 to one of 15
    return sign ? -f : f;
}

// Rounds to the nearest, ties to even.
static inline unsigned short host_float_to_half(float f) {
    unsigned b = __float_as_uint(f);
    unsigned short sign = (unsigned short)(b >> 16 & 0x8000);
    float a = fabsf(f);
    if (a != a) return (unsigned short)(sign | 0x7e00);
    if (a >= 65520.f) return (unsigned short)(sign | 0x7c00);
    if (a < 6.103515625e-5f) return (unsigned short)(sign | (unsigned short)nearbyintf(ldexpf(a, 24))); // subnormal, or the first normal number
    int exponent;
    float fraction = frexpf(a, &exponent);                                                             // [0.5, 1)
    unsigned bits = (unsigned)nearbyintf(ldexpf(fraction, 11));                                         // 1024 .. 2048
    return (unsigned short)(sign | (unsigned short)(((unsigned)(exponent + 14) << 10) + bits - 1024));
}
