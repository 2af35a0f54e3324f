// Elements and groups of them. UC_TYPE chooses the element type T of activations: 0 float, 1 bfloat16, 2 half. Nothing is included: the
// run-time compiler comes without headers, so the few conversions are written here.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

struct bf16 {
    u16 bits;
};

struct f16 {
    u16 bits;
};

__device__ inline float widen(float v) { return v; }

__device__ inline float widen(bf16 v) { return __uint_as_float((u32)v.bits << 16); }

__device__ inline float widen(f16 v) {
#ifdef __CUDA_ARCH__
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
    return f;
#else
    return host_half_to_float(v.bits);
#endif
}

__device__ inline void narrow(float v, float* to) { *to = v; }

// Rounds to the nearest, ties to even; what is no number stays none.
__device__ inline void narrow(float v, bf16* to) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(v));
#else
    u32 b = __float_as_uint(v);
    if ((b & 0x7fffffffu) > 0x7f800000u) {
        to->bits = (u16)(b >> 16 | 0x40u);
    } else {
        to->bits = (u16)((b + 0x7fffu + (b >> 16 & 1u)) >> 16);
    }
#endif
}

__device__ inline void narrow(float v, f16* to) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to->bits) : "f"(v));
#else
    to->bits = host_float_to_half(v);
#endif
}

#if UC_TYPE == 0
typedef float T;
#elif UC_TYPE == 1
typedef bf16 T;
#else
typedef f16 T;
#endif

// A thread handles a group of channels of one voxel: 16 bytes.
constexpr int LANES = 16 / (int)sizeof(T);

struct Lanes {
    float f[LANES];
};

union Bits {
    uint4 q;
    T t[LANES];
};

// Reads count (at least 1) of a group's channels, 0 for the others. wide: p is aligned to 16 bytes.
__device__ inline Lanes load(const T* p, int count, bool wide) {
    Lanes r;
    if (wide && count >= LANES) {
        Bits b;
        b.q = *(const uint4*)p;
#pragma unroll
        for (int i = 0; i < LANES; i++) r.f[i] = widen(b.t[i]);
    } else {
#pragma unroll
        for (int i = 0; i < LANES; i++) r.f[i] = i < count ? widen(p[i]) : 0.f;
    }
    return r;
}

// Writes count of a group's channels.
__device__ inline void store(T* p, int count, bool wide, const Lanes& v) {
    if (wide && count >= LANES) {
        Bits b;
#pragma unroll
        for (int i = 0; i < LANES; i++) narrow(v.f[i], &b.t[i]);
        *(uint4*)p = b.q;
    } else {
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            if (i < count) narrow(v.f[i], p + i);
        }
    }
}

// The same for one value per channel in float, such as a batch norm's parameters.
__device__ inline Lanes loadFloats(const float* p, int count) {
    Lanes r;
#pragma unroll
    for (int i = 0; i < LANES; i++) r.f[i] = i < count ? p[i] : 0.f;
    return r;
}

// The group of channels of this thread: its first channel and how many of them exist (at most 0: none).
__device__ inline int firstChannel() { return (int)(blockIdx.y * blockDim.x + threadIdx.x) * LANES; }

__device__ inline i64 flatIndex() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }

// Adds up one double per thread of a block of blockDim.x threads (a power of two), in a fixed order; the sum is valid in thread 0.
__device__ inline double blockSum(double v, double* shared) {
    shared[threadIdx.x] = v;
    __syncthreads();
    for (int half = (int)blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    double sum = shared[0];
    __syncthreads();
    return sum;
}

// The numbers of an optimiser step; Control in optimiser.go.
struct Control {
    float lr, momentum, weightDecay, clipNorm, keep, lossScale;
    int growth, good, skippedTotal, skipped;
    float scale;
    int unused;
    double norm;
};
