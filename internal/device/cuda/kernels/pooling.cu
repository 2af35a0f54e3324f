// Max pooling of a zero-padded array in ceil mode, and the mean over an average pooling.

// Sizes and padding of a max pooling, per axis (D, H, W). high is the input's size with the zeros behind it: what lies beyond, where a last
// window may reach, is ignored.
struct PoolShape {
    int in[3], out[3], kernel[3], stride[3], low[3], high[3];
};

struct Position {
    int n, d, h, w;
};

__device__ inline Position position(int v, int d, int h, int w) {
    Position p;
    p.w = v % w;
    v /= w;
    p.h = v % h;
    v /= h;
    p.d = v % d;
    p.n = v / d;
    return p;
}

// The winner of an output is the number of its tap, the first of equals in the order (D, H, W); a zero of the padding may win. One thread per
// output voxel and group of channels. winners may be null; its pitch is a multiple of 16 bytes.
extern "C" __global__ void max_pool(const T* x, T* y, u8* winners, PoolShape p, int voxels, int c, int xPitch, int yPitch, int winnerPitch, int wide) {
    int first = firstChannel();
    int v = (int)(blockIdx.x * blockDim.y + threadIdx.y);
    if (first >= c || v >= voxels) return;
    Position o = position(v, p.out[0], p.out[1], p.out[2]);
    Lanes best;
    u8 tapOf[LANES];
    bool started = false;
    int d0 = o.d * p.stride[0] - p.low[0], h0 = o.h * p.stride[1] - p.low[1], w0 = o.w * p.stride[2] - p.low[2];
    for (int kd = 0; kd < p.kernel[0] && d0 + kd < p.high[0]; kd++) {
        for (int kh = 0; kh < p.kernel[1] && h0 + kh < p.high[1]; kh++) {
            i64 row = (((i64)o.n * p.in[0] + d0 + kd) * p.in[1] + h0 + kh) * p.in[2];
            bool rowInside = (u32)(d0 + kd) < (u32)p.in[0] && (u32)(h0 + kh) < (u32)p.in[1];
            for (int kw = 0; kw < p.kernel[2] && w0 + kw < p.high[2]; kw++) {
                Lanes r = {};
                if (rowInside && (u32)(w0 + kw) < (u32)p.in[2]) r = load(x + (row + w0 + kw) * xPitch + first, c - first, wide);
                u8 tap = (u8)((kd * p.kernel[1] + kh) * p.kernel[2] + kw);
#pragma unroll
                for (int i = 0; i < LANES; i++) {
                    if (!started || r.f[i] > best.f[i]) {
                        best.f[i] = r.f[i];
                        tapOf[i] = tap;
                    }
                }
                started = true;
            }
        }
    }
    store(y + (i64)v * yPitch + first, c - first, wide, best);
    if (winners) {
        u8* to = winners + (i64)v * winnerPitch + first;
#pragma unroll
        for (int i = 0; i < LANES; i += 4) *(u32*)(to + i) = tapOf[i] | (u32)tapOf[i + 1] << 8 | (u32)tapOf[i + 2] << 16 | (u32)tapOf[i + 3] << 24;
    }
}

// Gathers, per input voxel, the gradients of the outputs it won; adds to dx on request. One thread per input voxel and group of channels.
extern "C" __global__ void max_pool_backward(const T* dy, const u8* winners, T* dx, PoolShape p, int accumulate, int voxels, int c, int dyPitch, int winnerPitch, int dxPitch, int wide) {
    int first = firstChannel();
    int v = (int)(blockIdx.x * blockDim.y + threadIdx.y);
    if (first >= c || v >= voxels) return;
    Position in = position(v, p.in[0], p.in[1], p.in[2]);
    int at[3] = {in.d + p.low[0], in.h + p.low[1], in.w + p.low[2]}, lo[3], hi[3];
#pragma unroll
    for (int a = 0; a < 3; a++) { // the outputs whose windows reach this voxel
        lo[a] = at[a] < p.kernel[a] ? 0 : (at[a] - p.kernel[a] + p.stride[a]) / p.stride[a];
        hi[a] = at[a] / p.stride[a] + 1;
        if (hi[a] > p.out[a]) hi[a] = p.out[a];
    }
    T* to = dx + (i64)v * dxPitch + first;
    Lanes sum = {};
    if (accumulate) sum = load(to, c - first, wide);
    for (int d = lo[0]; d < hi[0]; d++) {
        for (int h = lo[1]; h < hi[1]; h++) {
            for (int w = lo[2]; w < hi[2]; w++) {
                i64 o = (((i64)in.n * p.out[0] + d) * p.out[1] + h) * p.out[2] + w;
                u32 tap = (u32)(((at[0] - d * p.stride[0]) * p.kernel[1] + at[1] - h * p.stride[1]) * p.kernel[2] + at[2] - w * p.stride[2]);
                const u8* from = winners + o * winnerPitch + first;
                bool won[LANES], any = false;
#pragma unroll
                for (int i = 0; i < LANES; i += 4) {
                    u32 four = *(const u32*)(from + i);
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        won[i + j] = (four >> 8 * j & 255u) == tap;
                        any = any || won[i + j];
                    }
                }
                if (!any) continue;
                Lanes g = load(dy + o * dyPitch + first, c - first, wide);
#pragma unroll
                for (int i = 0; i < LANES; i++) sum.f[i] += won[i] ? g.f[i] : 0.f;
            }
        }
    }
    store(to, c - first, wide, sum);
}

// How much a position counts, along one axis, in the mean over all windows of an average pooling with stride 1; kernel is at most size.
__device__ inline float meanWeight(int i, int size, int kernel) {
    int windows = size - kernel + 1;
    int last = i < windows - 1 ? i : windows - 1, first = i - kernel + 1 > 0 ? i - kernel + 1 : 0;
    return (float)(last - first + 1) / (float)(kernel * windows);
}

// features (N, C): one block per sample and blockDim.x groups of channels, voxels over threadIdx.y.
extern "C" __global__ void avg_pool_mean(const T* x, float* features, int d, int h, int w, int kd, int kh, int kw, int c, int pitch, int wide) {
    __shared__ double shared[SUM_THREADS * LANES];
    int first = firstChannel(), n = (int)blockIdx.x, voxels = d * h * w;
    double sum[LANES] = {};
    if (first < c) {
        for (int v = (int)threadIdx.y; v < voxels; v += (int)blockDim.y) {
            Position p = position(v, d, h, w);
            float f = meanWeight(p.d, d, kd) * meanWeight(p.h, h, kh) * meanWeight(p.w, w, kw);
            Lanes r = load(x + ((i64)n * voxels + v) * pitch + first, c - first, wide);
#pragma unroll
            for (int i = 0; i < LANES; i++) sum[i] += f * r.f[i];
        }
    }
    int width = (int)blockDim.x * LANES;
#pragma unroll
    for (int i = 0; i < LANES; i++) shared[(int)threadIdx.y * width + (int)threadIdx.x * LANES + i] = sum[i];
    __syncthreads();
    for (int t = (int)(threadIdx.y * blockDim.x + threadIdx.x); t < width; t += (int)(blockDim.x * blockDim.y)) {
        int ch = (int)blockIdx.y * width + t;
        if (ch >= c) continue;
        double all = 0;
        for (int y = 0; y < (int)blockDim.y; y++) all += shared[y * width + t];
        features[(i64)n * c + ch] = (float)all;
    }
}

// dx of avg_pool_mean; one thread per voxel and group of channels.
extern "C" __global__ void avg_pool_mean_backward(const float* dfeatures, T* dx, int d, int h, int w, int kd, int kh, int kw, int voxels, int c, int pitch, int wide) {
    int first = firstChannel();
    int v = (int)(blockIdx.x * blockDim.y + threadIdx.y);
    if (first >= c || v >= voxels) return;
    Position p = position(v, d, h, w);
    float f = meanWeight(p.d, d, kd) * meanWeight(p.h, h, kh) * meanWeight(p.w, w, kw);
    Lanes g = loadFloats(dfeatures + (i64)p.n * c + first, c - first);
#pragma unroll
    for (int i = 0; i < LANES; i++) g.f[i] *= f;
    store(dx + (i64)v * pitch + first, c - first, wide, g);
}
