// The stem on tensor cores, for 1 to 5 channels of the network's input as it was uploaded, (N, C, D, H, W) float, and 64 output channels. Only where
// UC_TENSOR is defined: 16-bit T on a card with mma for it.
//
// Along a row of the input, channels innermost, the 7 taps of an output voxel are 7C neighbours, those of the next voxel 2C further on: rows
// in shared memory serve as the matrix of patches as they are. A step of the contraction is 16 of these 7C elements, the last one filled up with zero weights.

#ifdef UC_TENSOR

constexpr int STEM_OUT = 64;
constexpr int STEM_THREADS = 256;

// One tile of the tensor cores, d (16 x 8) += a (16 x 16) b (16 x 8), fragments as the PTX manual has them for mma.m16n8k16. With group = lane / 4
// and t = lane % 4: a[i] holds row group + 8*(i%2), columns 2t + 8*(i/2) and the next; b[i] rows 2t + 8*i and the next, column group; d[i]
// row group + 8*(i/2), column 2t + i%2.
__device__ inline void mma(float* d, const u32* a, u32 b0, u32 b1) {
#ifndef __CUDA_ARCH__
    u32 mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
    const u32* all = exchange(mine, 6);
    int lane = (int)threadIdx.x % 32;
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
        for (int k = 0; k < 16; k++) {
            T va, vb;
            va.bits = (u16)(all[(row % 8 * 4 + k % 8 / 2) * 6 + row / 8 + 2 * (k / 8)] >> 16 * (k % 2));
            vb.bits = (u16)(all[(column * 4 + k % 8 / 2) * 6 + 4 + k / 8] >> 16 * (k % 2));
            d[i] += widen(va) * widen(vb);
        }
    }
#elif UC_TYPE == 1
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

// Four 8 x 8 tiles of shared memory, transposed: lane 8q + r gives the address of row r (8 elements) of tile q, and gets of tile q's columns lane / 4 the
// rows 2*(lane % 4) and the next.
__device__ inline void loadTransposed(u32* r, const T* row) {
#ifdef __CUDA_ARCH__
    u32 at = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
#else
    u32 mine[2] = {(u32)(u64)row, (u32)((u64)row >> 32)};
    const u32* all = exchange(mine, 2);
    int lane = (int)threadIdx.x % 32;
    for (int q = 0; q < 4; q++) {
        u32 pair = 0;
        for (int i = 0; i < 2; i++) {
            const u32* from = all + (8 * q + 2 * (lane % 4) + i) * 2;
            pair |= (u32)((const T*)((u64)from[1] << 32 | from[0]))[lane / 4].bits << 16 * i;
        }
        r[q] = pair;
    }
#endif
}

// A thread of the forward kernel ends up with 16 neighbouring channels of a voxel: column g of tile j is this channel.
__device__ inline int stemChannel(int j, int g) { return g / 2 * 16 + j * 2 + g % 2; }

// float (64, 7, 7, 7, C) -> fragments of b, (49 rows of taps, steps, 4 pairs of tiles, 32 lanes, 2 tiles, 2 halves of the depth). One thread per
// word.
extern "C" __global__ void stem_fragments(const float* src, u32* dst, int c) {
    int run = STEM_TAPS * c, steps = (run + 15) / 16;
    int i = (int)flatIndex();
    if (i >= STEM_TAPS * STEM_TAPS * steps * 512) return;
    int half = i % 2, lane = i / 4 % 32, j = i / 128 % 4 * 2 + i / 2 % 2, step = i / 512 % steps, taps = i / 512 / steps;
    const float* from = src + (i64)(stemChannel(j, lane / 4) * STEM_TAPS * STEM_TAPS + taps) * run;
    u32 word = 0;
    for (int e = 0; e < 2; e++) {
        int k = step * 16 + half * 8 + lane % 4 * 2 + e;
        T v;
        narrow(k < run ? from[k] : 0.f, &v);
        word |= (u32)v.bits << 16 * e;
    }
    dst[i] = word;
}

// A block of the forward kernel: 8 rows of 32 voxels, a warp each.
constexpr int STEM_ROWS = 8;
constexpr int STEM_WIDTH = 32;

template <int C>
__device__ inline void stemForward(const float* x, const uint4* w, T* y, const float* bias, int relu, StemShape s, int yPitch) {
    constexpr int STEPS = (STEM_TAPS * C + 15) / 16;
    constexpr int INPUT_ROWS = 2 * (STEM_ROWS - 1) + STEM_TAPS;
    constexpr int PITCH = 2 * C * (STEM_WIDTH - 1) + 16 * STEPS; // up to the end of the last voxel's last step
    alignas(16) __shared__ T rows[INPUT_ROWS * PITCH];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4;
    int at = (int)blockIdx.x, tiles = (s.out[2] + STEM_WIDTH - 1) / STEM_WIDTH;
    int ow = at % tiles * STEM_WIDTH;
    at /= tiles;
    tiles = (s.out[1] + STEM_ROWS - 1) / STEM_ROWS;
    int oh = at % tiles * STEM_ROWS;
    at /= tiles;
    int od = at % s.out[0], n = at / s.out[0];
    i64 plane = (i64)s.in[1] * s.in[2], channel = plane * s.in[0];
    float sum[2][8][4] = {};
    for (int kd = 0; kd < STEM_TAPS; kd++) {
        int id = 2 * od - STEM_LOW + kd;
        if ((u32)id >= (u32)s.in[0]) continue;
        __syncthreads();
        for (int r = warp; r < INPUT_ROWS; r += STEM_ROWS) {
            int ih = 2 * oh - STEM_LOW + r;
            bool inside = (u32)ih < (u32)s.in[1];
            const float* from = x + n * C * channel + id * plane + (i64)ih * s.in[2];
#pragma unroll 4
            for (int e = lane; e < PITCH; e += 32) {
                int iw = 2 * ow - STEM_LOW + e / C;
                narrow(inside && (u32)iw < (u32)s.in[2] ? from[e % C * channel + iw] : 0.f, &rows[r * PITCH + e]);
            }
        }
        __syncthreads();
#pragma unroll 1
        for (int kh = 0; kh < STEM_TAPS; kh++) {
            const T* patch = rows + (2 * warp + kh) * PITCH + 2 * C * g + 2 * t;
            const uint4* b = w + (kd * STEM_TAPS + kh) * STEPS * 128 + lane;
#pragma unroll 1
            for (int step = 0; step < STEPS; step++) {
                u32 a[2][4];
#pragma unroll
                for (int m = 0; m < 2; m++) {
#pragma unroll
                    for (int i = 0; i < 4; i++) a[m][i] = *(const u32*)(patch + 2 * C * (16 * m + i % 2 * 8) + step * 16 + i / 2 * 8);
                }
#pragma unroll
                for (int j = 0; j < 8; j += 2) {
                    uint4 f = b[(step * 4 + j / 2) * 32];
#pragma unroll
                    for (int m = 0; m < 2; m++) {
                        mma(sum[m][j], a[m], f.x, f.y);
                        mma(sum[m][j + 1], a[m], f.z, f.w);
                    }
                }
            }
        }
    }
    oh += warp;
    if (oh >= s.out[1]) return;
    float add[16];
#pragma unroll
    for (int i = 0; i < 16; i++) add[i] = bias ? bias[t * 16 + i] : 0.f;
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int v = ow + 16 * m + 8 * h + g;
            if (v >= s.out[2]) continue;
            T* to = y + ((((i64)n * s.out[0] + od) * s.out[1] + oh) * s.out[2] + v) * yPitch + t * 16;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                Bits b;
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    float f = sum[m][half * 4 + i / 2][2 * h + i % 2] + add[half * 8 + i];
                    narrow(relu ? fmaxf(f, 0.f) : f, &b.t[i]);
                }
                *(uint4*)(to + half * 8) = b.q;
            }
        }
    }
}

// The gradient of the weights contracts over the voxels of a row, two of them in a register: dy comes transposed out of shared memory, and the input
// lies there by channel and parity of its position, once as it is and once shifted by one, so that pairs of every tap are words.
// A block has one kd and a share of the rows of voxels; it goes down along H and keeps the seven rows of the input that a row needs in a ring of eight.
constexpr int STEM_PIECE = 64;                  // voxels of a row at a time
constexpr int STEM_WORDS = STEM_PIECE / 2 + 4; // the shared rows' pitch, which spreads eight of them over all banks

template <int C>
__device__ inline void stemBackwardWeights(const float* x, const T* dy, float* partials, StemShape s, int batch, int dyPitch) {
    constexpr int RUN = STEM_TAPS * C;
    constexpr int TILES = (RUN + 7) / 8;              // of 8 of a row's 7C elements
    constexpr int MINE = (STEM_TAPS * TILES + 1) / 2; // two warps share the 7 rows of taps, four the 64 channels
    constexpr int SLOT = 4 * C * STEM_WORDS;
    alignas(16) __shared__ T gradients[STEM_PIECE * STEM_OUT];
    __shared__ u32 ring[8 * SLOT];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, g = lane / 4, t = lane % 4;
    int m = warp % 4, firstTile = warp / 4 * MINE, kd = (int)blockIdx.y;
    int pieces = (s.out[2] + STEM_PIECE - 1) / STEM_PIECE, units = batch * s.out[0] * pieces;
    i64 plane = (i64)s.in[1] * s.in[2], channel = plane * s.in[0];
    int base[MINE]; // where this lane's column of a tile begins in a slot
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        int column = (firstTile + i) % TILES * 8 + g;
        int tap = column < RUN ? column / C : 0, ch = column < RUN ? column % C : 0;
        base[i] = ((tap / 2 % 2 * 2 + tap % 2) * C + ch) * STEM_WORDS + tap / 4 + t;
    }
    float sum[MINE][4] = {};
    for (int unit = (int)blockIdx.x; unit < units; unit += (int)gridDim.x) {
        int ow = unit % pieces * STEM_PIECE, od = unit / pieces % s.out[0], n = unit / pieces / s.out[0];
        int id = 2 * od - STEM_LOW + kd;
        if ((u32)id >= (u32)s.in[0]) continue;
        const float* image = x + n * C * channel + id * plane;
        int count = s.out[2] - ow < STEM_PIECE ? s.out[2] - ow : STEM_PIECE;
        for (int oh = 0; oh < s.out[1]; oh++) {
            __syncthreads();
            int fresh = oh == 0 ? STEM_TAPS : 2, firstRow = 2 * oh + STEM_TAPS - fresh;
            for (int i = (int)threadIdx.x; i < fresh * SLOT; i += STEM_THREADS) {
                int row = firstRow + i / SLOT, rest = i % SLOT, ih = row - STEM_LOW;
                int word = rest % STEM_WORDS, ch = rest / STEM_WORDS % C, parity = rest / STEM_WORDS / C % 2, shift = rest / STEM_WORDS / C / 2;
                int iw = 2 * (ow + 2 * word + shift) + parity - STEM_LOW;
                const float* from = image + ch * channel + (i64)ih * s.in[2];
                bool inside = (u32)ih < (u32)s.in[1];
                T low, high;
                narrow(inside && (u32)iw < (u32)s.in[2] ? from[iw] : 0.f, &low);
                narrow(inside && (u32)(iw + 2) < (u32)s.in[2] ? from[iw + 2] : 0.f, &high);
                ring[row % 8 * SLOT + rest] = low.bits | (u32)high.bits << 16;
            }
            const T* line = dy + ((((i64)n * s.out[0] + od) * s.out[1] + oh) * s.out[2] + ow) * dyPitch;
            for (int i = (int)threadIdx.x; i < STEM_PIECE * 8; i += STEM_THREADS) {
                int v = i / 8, chunk = i % 8;
                uint4 q = {0, 0, 0, 0};
                if (v < count) q = *(const uint4*)(line + (i64)v * dyPitch + chunk * 8);
                *(uint4*)&gradients[(v * 8 + (chunk ^ v % 8)) * 8] = q; // chunks change places so that eight voxels' are in eight banks
            }
            __syncthreads();
            for (int step = 0; step * 16 < count; step++) {
                u32 a[4];
                int v = step * 16 + lane % 8 + lane / 16 * 8;
                loadTransposed(a, &gradients[(v * 8 + ((2 * m + lane / 8 % 2) ^ v % 8)) * 8]);
#pragma unroll
                for (int i = 0; i < MINE; i++) {
                    int kh = (firstTile + i) / TILES;
                    if (kh >= STEM_TAPS) continue;
                    const u32* b = ring + (2 * oh + kh) % 8 * SLOT + base[i] + step * 8;
                    mma(sum[i], a, b[0], b[4]);
                }
            }
        }
    }
    float* out = partials + (i64)blockIdx.x * STEM_OUT * STEM_TAPS * STEM_TAPS * RUN;
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        int kh = (firstTile + i) / TILES;
        if (kh >= STEM_TAPS) continue;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int ch = m * 16 + g + j / 2 * 8, column = (firstTile + i) % TILES * 8 + 2 * t + j % 2;
            if (column < RUN) out[((i64)(ch * STEM_TAPS + kd) * STEM_TAPS + kh) * RUN + column] = sum[i][j];
        }
    }
}

// y = conv(x) with a bias, unless it is null, and ReLU on request. w are stem_fragments.
extern "C" __global__ void __launch_bounds__(256, 2) stem_forward_1(const float* x, const uint4* w, T* y, const float* bias, int relu, StemShape s, int yPitch) { stemForward<1>(x, w, y, bias, relu, s, yPitch); }
extern "C" __global__ void __launch_bounds__(256, 2) stem_forward_2(const float* x, const uint4* w, T* y, const float* bias, int relu, StemShape s, int yPitch) { stemForward<2>(x, w, y, bias, relu, s, yPitch); }
extern "C" __global__ void __launch_bounds__(256, 2) stem_forward_3(const float* x, const uint4* w, T* y, const float* bias, int relu, StemShape s, int yPitch) { stemForward<3>(x, w, y, bias, relu, s, yPitch); }
extern "C" __global__ void __launch_bounds__(256, 2) stem_forward_4(const float* x, const uint4* w, T* y, const float* bias, int relu, StemShape s, int yPitch) { stemForward<4>(x, w, y, bias, relu, s, yPitch); }
extern "C" __global__ void __launch_bounds__(256, 2) stem_forward_5(const float* x, const uint4* w, T* y, const float* bias, int relu, StemShape s, int yPitch) { stemForward<5>(x, w, y, bias, relu, s, yPitch); }

// The gradient of the weights over the units of blockIdx.x and the taps kd = blockIdx.y; partials (gridDim.x, 64, 7, 7, 7, C).
extern "C" __global__ void __launch_bounds__(256, 1) stem_backward_weights_1(const float* x, const T* dy, float* partials, StemShape s, int batch, int dyPitch) { stemBackwardWeights<1>(x, dy, partials, s, batch, dyPitch); }
extern "C" __global__ void __launch_bounds__(256, 1) stem_backward_weights_2(const float* x, const T* dy, float* partials, StemShape s, int batch, int dyPitch) { stemBackwardWeights<2>(x, dy, partials, s, batch, dyPitch); }
extern "C" __global__ void __launch_bounds__(256, 1) stem_backward_weights_3(const float* x, const T* dy, float* partials, StemShape s, int batch, int dyPitch) { stemBackwardWeights<3>(x, dy, partials, s, batch, dyPitch); }
extern "C" __global__ void __launch_bounds__(256, 1) stem_backward_weights_4(const float* x, const T* dy, float* partials, StemShape s, int batch, int dyPitch) { stemBackwardWeights<4>(x, dy, partials, s, batch, dyPitch); }
extern "C" __global__ void __launch_bounds__(256, 1) stem_backward_weights_5(const float* x, const T* dy, float* partials, StemShape s, int batch, int dyPitch) { stemBackwardWeights<5>(x, dy, partials, s, batch, dyPitch); }

#endif
