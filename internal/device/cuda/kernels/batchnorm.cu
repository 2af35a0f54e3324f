// Batch norm fused with ReLU, forward and backward. Statistics are sums over all voxels of a batch: float over a few voxels, double beyond.

// The sums' blocks have at most this many threads.
constexpr int SUM_THREADS = 256;
// Voxels that a thread adds up in float.
constexpr int FLOAT_RUN = 16;
constexpr int FLOAT_STEP = 4;

// Two sums per channel over the piece of voxels of this block, in a fixed order. term(v, a, b) adds those of voxel v of this thread's group of
// channels to a and b. partials: (gridDim.x, c, 2).
template <typename Term>
__device__ void channelSums(Term term, int voxels, int piece, int c, int first, double* partials) {
    __shared__ double shared[SUM_THREADS * LANES];
    double sum[2][LANES] = {};
    i64 from = (i64)blockIdx.x * piece;
    i64 to = from + piece < voxels ? from + piece : voxels;
    if (first < c) {
        for (i64 v = from + threadIdx.y; v < to;) {
            Lanes a = {}, b = {};
            for (int run = 0; run < FLOAT_RUN && v < to; run += FLOAT_STEP) {
#pragma unroll
                for (int u = 0; u < FLOAT_STEP; u++) {
                    if (v < to) term(v, a, b);
                    v += blockDim.y;
                }
            }
#pragma unroll
            for (int i = 0; i < LANES; i++) {
                sum[0][i] += a.f[i];
                sum[1][i] += b.f[i];
            }
        }
    }
    int width = (int)blockDim.x * LANES;
    int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x), count = (int)(blockDim.x * blockDim.y);
#pragma unroll
    for (int s = 0; s < 2; s++) {
#pragma unroll
        for (int i = 0; i < LANES; i++) shared[(int)threadIdx.y * width + (int)threadIdx.x * LANES + i] = sum[s][i];
        __syncthreads();
        for (int t = thread; t < width; t += count) {
            int ch = (int)blockIdx.y * width + t;
            if (ch < c) {
                double all = 0;
                for (int y = 0; y < (int)blockDim.y; y++) all += shared[y * width + t];
                partials[((i64)blockIdx.x * c + ch) * 2 + s] = all;
            }
        }
        __syncthreads();
    }
}

// The sums of x and of its squares.
extern "C" __global__ void __launch_bounds__(256) batchnorm_sums(const T* x, double* partials, int voxels, int piece, int c, int pitch, int wide) {
    int first = firstChannel();
    channelSums(
        [=](i64 v, Lanes& a, Lanes& b) {
            Lanes r = load(x + v * pitch + first, c - first, wide);
#pragma unroll
            for (int i = 0; i < LANES; i++) {
                a.f[i] += r.f[i];
                b.f[i] = fmaf(r.f[i], r.f[i], b.f[i]);
            }
        },
        voxels, piece, c, first, partials);
}

// A batch norm of a group of channels as y = x*scale + shift, the same number wherever it is computed.
struct Affine {
    Lanes scale, shift;
};

__device__ inline Affine affine(const float* mean, const float* invstd, const float* gamma, const float* beta, int count) {
    Affine r;
#pragma unroll
    for (int i = 0; i < LANES; i++) {
        r.scale.f[i] = i < count ? invstd[i] * gamma[i] : 0.f;
        r.shift.f[i] = i < count ? fmaf(-mean[i], r.scale.f[i], beta[i]) : 0.f;
    }
    return r;
}

// The sums of g and of g*(x - mean), where g is dy where the ReLU was open and else 0.
extern "C" __global__ void __launch_bounds__(256, 1) batchnorm_backward_sums(const T* x, const T* dy, const float* mean, const float* invstd, const float* gamma, const float* beta, double* partials,
                                                   int voxels, int piece, int c, int xPitch, int dyPitch, int wide) {
    int first = firstChannel();
    Affine n = {};
    Lanes m = {};
    if (first < c) {
        n = affine(mean + first, invstd + first, gamma + first, beta + first, c - first);
        m = loadFloats(mean + first, c - first);
    }
    channelSums(
        [=](i64 v, Lanes& a, Lanes& b) {
            Lanes r = load(x + v * xPitch + first, c - first, wide), g = load(dy + v * dyPitch + first, c - first, wide);
#pragma unroll
            for (int i = 0; i < LANES; i++) {
                float open = fmaf(r.f[i], n.scale.f[i], n.shift.f[i]) > 0.f ? g.f[i] : 0.f;
                a.f[i] += open;
                b.f[i] = fmaf(open, r.f[i] - m.f[i], b.f[i]);
            }
        },
        voxels, piece, c, first, partials);
}

// The second stage's blocks: threads of x take channels, those of y every 64th piece.
constexpr int REDUCE_CHANNELS = 4;
constexpr int REDUCE_ROWS = 64;

struct TwoSums {
    double a, b;
};

// Adds the partial sums of a channel; valid in the threads of row 0.
__device__ inline TwoSums reduceChannel(const double* partials, int pieces, int c, int ch) {
    __shared__ double shared[2][REDUCE_ROWS][REDUCE_CHANNELS];
    double a = 0, b = 0;
    if (ch < c) {
#pragma unroll 4
        for (int p = (int)threadIdx.y; p < pieces; p += REDUCE_ROWS) {
            a += partials[((i64)p * c + ch) * 2];
            b += partials[((i64)p * c + ch) * 2 + 1];
        }
    }
    shared[0][threadIdx.y][threadIdx.x] = a;
    shared[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    for (int half = REDUCE_ROWS / 2; half > 0; half /= 2) {
        if ((int)threadIdx.y < half) {
            shared[0][threadIdx.y][threadIdx.x] += shared[0][threadIdx.y + half][threadIdx.x];
            shared[1][threadIdx.y][threadIdx.x] += shared[1][threadIdx.y + half][threadIdx.x];
        }
        __syncthreads();
    }
    return {shared[0][0][threadIdx.x], shared[1][0][threadIdx.x]};
}

// sums: (c, 2), the sum and the sum of squares of every channel.
extern "C" __global__ void batchnorm_reduce(const double* partials, int pieces, int c, double* sums) {
    int ch = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    TwoSums s = reduceChannel(partials, pieces, c, ch);
    if (ch < c && threadIdx.y == 0) {
        sums[2 * ch] = s.a;
        sums[2 * ch + 1] = s.b;
    }
}

// Mean and inverse deviation (biased variance) over count values per channel; the running statistics move by momentum, with the unbiased
// variance.
extern "C" __global__ void batchnorm_stats(const double* sums, int c, int count, double eps, double momentum, float* mean, float* invstd, float* runningMean, float* runningVar) {
    int ch = (int)flatIndex();
    if (ch >= c) return;
    double m = sums[2 * ch] / count;
    double v = fmax(sums[2 * ch + 1] / count - m * m, 0.0);
    mean[ch] = (float)m;
    invstd[ch] = (float)(1 / sqrt(v + eps));
    double unbiased = count > 1 ? v * count / (count - 1.0) : v;
    runningMean[ch] = (float)((1 - momentum) * runningMean[ch] + momentum * m);
    runningVar[ch] = (float)((1 - momentum) * runningVar[ch] + momentum * unbiased);
}

// y = max(0, batchnorm(x)); y may be x.
extern "C" __global__ void __launch_bounds__(256) batchnorm_relu(const T* x, const float* mean, const float* invstd, const float* gamma, const float* beta, T* y, int voxels, int c, int xPitch,
                                          int yPitch, int wide) {
    int first = firstChannel();
    if (first >= c) return;
    Affine n = affine(mean + first, invstd + first, gamma + first, beta + first, c - first);
    i64 step = (i64)gridDim.x * blockDim.y;
    for (i64 v = (i64)blockIdx.x * blockDim.y + threadIdx.y; v < voxels; v += 2 * step) {
        bool second = v + step < voxels; // two loads under way per thread
        Lanes a = load(x + v * xPitch + first, c - first, wide), b = {};
        if (second) b = load(x + (v + step) * xPitch + first, c - first, wide);
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            a.f[i] = fmaxf(fmaf(a.f[i], n.scale.f[i], n.shift.f[i]), 0.f);
            b.f[i] = fmaxf(fmaf(b.f[i], n.scale.f[i], n.shift.f[i]), 0.f);
        }
        store(y + v * yPitch + first, c - first, wide, a);
        if (second) store(y + (v + step) * yPitch + first, c - first, wide, b);
    }
}

// dgamma, dbeta, and slope and offset (2, c) of the input's gradient: dx = scale*(g - sum(g)/count - (x-mean)*invstd*dgamma/count)
// = scale*g + x*slope + offset.
extern "C" __global__ void batchnorm_backward_reduce(const double* partials, int pieces, int c, int count, const float* mean, const float* invstd, const float* gamma, float* dgamma,
                                                     float* dbeta, float* coefficients) {
    int ch = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    TwoSums s = reduceChannel(partials, pieces, c, ch);
    if (ch >= c || threadIdx.y != 0) return;
    double inv = invstd[ch];
    dbeta[ch] = (float)s.a;
    dgamma[ch] = (float)(s.b * inv);
    double scale = invstd[ch] * gamma[ch];
    double slope = -scale * inv * inv * s.b / count;
    coefficients[ch] = (float)slope;
    coefficients[c + ch] = (float)(-scale * s.a / count - mean[ch] * slope);
}

// dx = scale*g + x*slope + offset; dx may be dy or x.
extern "C" __global__ void __launch_bounds__(256) batchnorm_backward(const T* x, const T* dy, const float* mean, const float* invstd, const float* gamma, const float* beta,
                                              const float* coefficients, T* dx, int voxels, int c, int xPitch, int dyPitch, int dxPitch, int wide) {
    int first = firstChannel();
    if (first >= c) return;
    int count = c - first;
    Affine n = affine(mean + first, invstd + first, gamma + first, beta + first, count);
    Lanes slope = loadFloats(coefficients + first, count), offset = loadFloats(coefficients + c + first, count);
    i64 step = (i64)gridDim.x * blockDim.y;
    for (i64 v = (i64)blockIdx.x * blockDim.y + threadIdx.y; v < voxels; v += step) {
        Lanes r = load(x + v * xPitch + first, count, wide), g = load(dy + v * dyPitch + first, count, wide);
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            float open = fmaf(r.f[i], n.scale.f[i], n.shift.f[i]) > 0.f ? g.f[i] : 0.f;
            r.f[i] = fmaf(n.scale.f[i], open, fmaf(r.f[i], slope.f[i], offset.f[i]));
        }
        store(dx + v * dxPitch + first, count, wide, r);
    }
}
