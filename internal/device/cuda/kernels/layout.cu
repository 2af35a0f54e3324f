// Between PyTorch's order and the card's.

// (N, C, voxels) float -> (N, voxels, pitch) T; channels from c up to padded become 0. One thread per voxel and channel, channels fastest.
extern "C" __global__ void pack_activations(const float* src, T* dst, int n, int voxels, int c, int padded, int pitch) {
    i64 i = flatIndex();
    if (i >= (i64)n * voxels * padded) return;
    int ch = (int)(i % padded);
    i64 at = i / padded;
    i64 sample = at / voxels, v = at % voxels;
    narrow(ch < c ? src[(sample * c + ch) * voxels + v] : 0.f, dst + at * pitch + ch);
}

// (N, voxels, pitch) T -> (N, C, voxels) float.
extern "C" __global__ void unpack_activations(const T* src, float* dst, int n, int voxels, int c, int pitch) {
    i64 i = flatIndex();
    if (i >= (i64)n * voxels * c) return;
    i64 at = i / voxels, v = i % voxels;
    i64 sample = at / c, ch = at % c;
    dst[i] = widen(src[(sample * voxels + v) * pitch + ch]);
}

// (K, C, taps) float -> (K, taps, pitch) E; channels from c up to pitch become 0.
template <typename E>
__device__ void packWeights(const float* src, E* dst, int k, int c, int taps, int pitch) {
    i64 i = flatIndex();
    if (i >= (i64)k * taps * pitch) return;
    int ch = (int)(i % pitch), tap = (int)(i / pitch % taps);
    i64 out = i / pitch / taps;
    narrow(ch < c ? src[(out * c + ch) * taps + tap] : 0.f, dst + i);
}

extern "C" __global__ void pack_weights(const float* src, T* dst, int k, int c, int taps, int pitch) {
    packWeights(src, dst, k, c, taps, pitch);
}

extern "C" __global__ void pack_weights_f32(const float* src, float* dst, int k, int c, int taps, int pitch) {
    packWeights(src, dst, k, c, taps, pitch);
}

// (K, taps, pitch) E -> (K, C, taps) float.
template <typename E>
__device__ void unpackWeights(const E* src, float* dst, int k, int c, int taps, int pitch) {
    i64 i = flatIndex();
    if (i >= (i64)k * c * taps) return;
    int tap = (int)(i % taps), ch = (int)(i / taps % c);
    i64 out = i / taps / c;
    dst[i] = widen(src[(out * taps + tap) * pitch + ch]);
}

extern "C" __global__ void unpack_weights(const T* src, float* dst, int k, int c, int taps, int pitch) {
    unpackWeights(src, dst, k, c, taps, pitch);
}

extern "C" __global__ void unpack_weights_f32(const float* src, float* dst, int k, int c, int taps, int pitch) {
    unpackWeights(src, dst, k, c, taps, pitch);
}

// dst = T(src), n values.
extern "C" __global__ void convert(const float* src, T* dst, int n) {
    i64 i = flatIndex();
    if (i < n) narrow(src[i], dst + i);
}

// dst = float(src), n values.
extern "C" __global__ void convert_back(const T* src, float* dst, int n) {
    i64 i = flatIndex();
    if (i < n) dst[i] = widen(src[i]);
}

// n times value.
extern "C" __global__ void fill(float* dst, int n, float value) {
    i64 i = flatIndex();
    if (i < n) dst[i] = value;
}

// y += x over views of c channels.
extern "C" __global__ void add(T* y, const T* x, int voxels, int c, int yPitch, int xPitch, int wide) {
    int first = firstChannel();
    if (first >= c) return;
    i64 step = (i64)gridDim.x * blockDim.y;
    for (i64 v = (i64)blockIdx.x * blockDim.y + threadIdx.y; v < voxels; v += step) {
        T* to = y + v * yPitch + first;
        Lanes a = load(to, c - first, wide), b = load(x + v * xPitch + first, c - first, wide);
#pragma unroll
        for (int i = 0; i < LANES; i++) a.f[i] += b.f[i];
        store(to, c - first, wide, a);
    }
}

// y = x over views of c channels.
extern "C" __global__ void copy_channels(const T* x, T* y, int voxels, int c, int xPitch, int yPitch, int wide) {
    int first = firstChannel();
    if (first >= c) return;
    i64 step = (i64)gridDim.x * blockDim.y;
    for (i64 v = (i64)blockIdx.x * blockDim.y + threadIdx.y; v < voxels; v += step) {
        const T* from = x + v * xPitch + first;
        T* to = y + v * yPitch + first;
        if (wide && c - first >= LANES) {
            *(uint4*)to = *(const uint4*)from;
        } else {
            for (int i = 0; i < LANES && first + i < c; i++) to[i] = from[i];
        }
    }
}

// y = max(0, y + bias) over a view; bias may be null. The epilogue of a convolution that has none of its own.
extern "C" __global__ void bias_relu(T* y, const float* bias, int relu, int voxels, int c, int pitch, int wide) {
    int first = firstChannel();
    if (first >= c) return;
    Lanes b = {};
    if (bias) b = loadFloats(bias + first, c - first);
    i64 step = (i64)gridDim.x * blockDim.y;
    for (i64 v = (i64)blockIdx.x * blockDim.y + threadIdx.y; v < voxels; v += step) {
        T* at = y + v * pitch + first;
        Lanes r = load(at, c - first, wide);
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            r.f[i] += b.f[i];
            if (relu) r.f[i] = fmaxf(r.f[i], 0.f);
        }
        store(at, c - first, wide, r);
    }
}

// dy = 0 where y, the result of a ReLU, is 0.
extern "C" __global__ void relu_backward(const T* y, T* dy, int voxels, int c, int yPitch, int dyPitch, int wide) {
    int first = firstChannel();
    if (first >= c) return;
    i64 step = (i64)gridDim.x * blockDim.y;
    for (i64 v = (i64)blockIdx.x * blockDim.y + threadIdx.y; v < voxels; v += step) {
        T* to = dy + v * dyPitch + first;
        Lanes a = load(y + v * yPitch + first, c - first, wide), b = load(to, c - first, wide);
#pragma unroll
        for (int i = 0; i < LANES; i++) b.f[i] = a.f[i] > 0.f ? b.f[i] : 0.f;
        store(to, c - first, wide, b);
    }
}
