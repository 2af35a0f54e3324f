// The plain convolution of any shape, for machines without cuDNN: an implicit matrix product in tiles of 64 x 64 results, every thread 4 x 4
// of them. Weights lie (K, taps, pitch).

struct ConvShape {
    int in[3], out[3], kernel[3], stride[3], low[3];
};

constexpr int TILE = 64;
constexpr int DEPTH = 16;

// An operand gives its rows (of the 64 of a tile) along the depth. prepare announces the row of a slot, depth a position along the depth, get
// reads the element of a slot's row at that position, 0 outside. DEPTH_FAST: neighbours in memory lie along the depth (then a thread reads four rows at
// one depth), else along the rows (then it reads one row at four depths).
template <typename Operand>
__device__ inline void prepareTile(Operand& o, int firstRow) {
    int t = (int)threadIdx.x;
    if (Operand::DEPTH_FAST) {
#pragma unroll
        for (int i = 0; i < 4; i++) o.prepare(i, firstRow + t / DEPTH + i * (TILE / 4));
    } else {
        o.prepare(0, firstRow + t % TILE);
    }
}

template <typename Operand>
__device__ inline void loadTile(Operand& o, int at, float (*shared)[TILE + 4]) {
    int t = (int)threadIdx.x;
    if (Operand::DEPTH_FAST) {
        o.depth(at + t % DEPTH);
#pragma unroll
        for (int i = 0; i < 4; i++) shared[t % DEPTH][t / DEPTH + i * (TILE / 4)] = o.get(i);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            o.depth(at + t / TILE + i * 4);
            shared[t / TILE + i * 4][t % TILE] = o.get(0);
        }
    }
}

// Hands out(row, column, sum over the depth [from, to)) all results of the tile at (firstRow, firstColumn); operands return 0 from their own
// ends on, out ignores what is outside.
template <typename Rows, typename Columns, typename Out>
__device__ inline void product(Rows a, Columns b, int firstRow, int firstColumn, int from, int to, Out out) {
    __shared__ float sharedA[DEPTH][TILE + 4], sharedB[DEPTH][TILE + 4];
    int tx = (int)threadIdx.x % 16, ty = (int)threadIdx.x / 16;
    float sum[4][4] = {};
    prepareTile(a, firstRow);
    prepareTile(b, firstColumn);
    for (int at = from; at < to; at += DEPTH) {
        loadTile(a, at, sharedA);
        loadTile(b, at, sharedB);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float4 r = *(const float4*)&sharedA[k][4 * ty], c = *(const float4*)&sharedB[k][4 * tx];
            float rows[4] = {r.x, r.y, r.z, r.w}, columns[4] = {c.x, c.y, c.z, c.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] = fmaf(rows[i], columns[j], sum[i][j]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) out(firstRow + 4 * ty + i, firstColumn + 4 * tx + j, sum[i][j]);
    }
}

struct Tap {
    int d, h, w;
};

__device__ inline Tap tapAt(const ConvShape& s, int tap) { return {tap / (s.kernel[1] * s.kernel[2]), tap / s.kernel[2] % s.kernel[1], tap % s.kernel[2]}; }

__device__ inline int tapCount(const ConvShape& s) { return s.kernel[0] * s.kernel[1] * s.kernel[2]; }

// Rows are output voxels, the depth is (tap, channel of x).
struct Patches {
    static constexpr bool DEPTH_FAST = true;
    const T* x;
    const ConvShape& s;
    int voxels, c, pitch;
    Position at[4];
    Tap tap;
    int channel;

    __device__ Patches(const T* x, const ConvShape& s, int voxels, int c, int pitch) : x(x), s(s), voxels(voxels), c(c), pitch(pitch) {}

    __device__ void prepare(int slot, int row) {
        Position p = position(row, s.out[0], s.out[1], s.out[2]);
        at[slot] = {row < voxels ? p.n : -1, p.d * s.stride[0] - s.low[0], p.h * s.stride[1] - s.low[1], p.w * s.stride[2] - s.low[2]};
    }

    __device__ void depth(int k) {
        int t = k / c;
        channel = t < tapCount(s) ? k % c : -1;
        tap = tapAt(s, t);
    }

    __device__ float get(int slot) const {
        int d = at[slot].d + tap.d, h = at[slot].h + tap.h, w = at[slot].w + tap.w;
        if (at[slot].n < 0 || channel < 0 || (u32)d >= (u32)s.in[0] || (u32)h >= (u32)s.in[1] || (u32)w >= (u32)s.in[2]) return 0.f;
        return widen(x[((((i64)at[slot].n * s.in[0] + d) * s.in[1] + h) * s.in[2] + w) * pitch + channel]);
    }
};

// Rows are output channels, the depth is (tap, channel of x).
struct Filters {
    static constexpr bool DEPTH_FAST = true;
    const T* w;
    int k, taps, c, pitch;
    int row[4];
    i64 offset;

    __device__ Filters(const T* w, int k, int taps, int c, int pitch) : w(w), k(k), taps(taps), c(c), pitch(pitch) {}

    __device__ void prepare(int slot, int r) { row[slot] = r; }

    __device__ void depth(int at) { offset = at < taps * c ? (i64)(at / c) * pitch + at % c : -1; }

    __device__ float get(int slot) const { return row[slot] < k && offset >= 0 ? widen(w[(i64)row[slot] * taps * pitch + offset]) : 0.f; }
};

// y = max(0, conv(x, w) + bias), each of them on request.
extern "C" __global__ void __launch_bounds__(256) conv_forward(const T* x, const T* w, T* y, const float* bias, int relu, ConvShape s, int voxels, int c, int k, int xPitch, int wPitch, int yPitch) {
    int taps = tapCount(s);
    product(Patches(x, s, voxels, c, xPitch), Filters(w, k, taps, c, wPitch), (int)blockIdx.x * TILE, (int)blockIdx.y * TILE, 0, taps * c, [=](int v, int ch, float sum) {
        if (v >= voxels || ch >= k) return;
        if (bias) sum += bias[ch];
        if (relu) sum = fmaxf(sum, 0.f);
        narrow(sum, y + (i64)v * yPitch + ch);
    });
}

// The output position whose tap reads input position in (with the padding in front); -1 if there is none.
__device__ inline int outputAt(int in, int tap, int stride, int size) {
    int at = in - tap;
    return at < 0 || at % stride != 0 || at / stride >= size ? -1 : at / stride;
}

// Rows are input voxels, the depth is (tap, channel of dy).
struct Gradients {
    static constexpr bool DEPTH_FAST = true;
    const T* dy;
    const ConvShape& s;
    int voxels, k, pitch;
    Position at[4];
    Tap tap;
    int channel;

    __device__ Gradients(const T* dy, const ConvShape& s, int voxels, int k, int pitch) : dy(dy), s(s), voxels(voxels), k(k), pitch(pitch) {}

    __device__ void prepare(int slot, int row) {
        Position p = position(row, s.in[0], s.in[1], s.in[2]);
        at[slot] = {row < voxels ? p.n : -1, p.d + s.low[0], p.h + s.low[1], p.w + s.low[2]};
    }

    __device__ void depth(int i) {
        int t = i / k;
        channel = t < tapCount(s) ? i % k : -1;
        tap = tapAt(s, t);
    }

    __device__ float get(int slot) const {
        if (at[slot].n < 0 || channel < 0) return 0.f;
        int d = outputAt(at[slot].d, tap.d, s.stride[0], s.out[0]), h = outputAt(at[slot].h, tap.h, s.stride[1], s.out[1]), w = outputAt(at[slot].w, tap.w, s.stride[2], s.out[2]);
        if (d < 0 || h < 0 || w < 0) return 0.f;
        return widen(dy[((((i64)at[slot].n * s.out[0] + d) * s.out[1] + h) * s.out[2] + w) * pitch + channel]);
    }
};

// Rows are input channels, the depth is (tap, output channel).
struct FiltersTransposed {
    static constexpr bool DEPTH_FAST = false;
    const T* w;
    int k, taps, c, pitch;
    int row;
    i64 offset;

    __device__ FiltersTransposed(const T* w, int k, int taps, int c, int pitch) : w(w), k(k), taps(taps), c(c), pitch(pitch) {}

    __device__ void prepare(int, int r) { row = r; }

    __device__ void depth(int at) { offset = at < taps * k ? ((i64)(at % k) * taps + at / k) * pitch : -1; }

    __device__ float get(int) const { return row < c && offset >= 0 ? widen(w[offset + row]) : 0.f; }
};

// dx = the gradient of the input, or adds it.
extern "C" __global__ void __launch_bounds__(256) conv_backward_data(const T* dy, const T* w, T* dx, int accumulate, ConvShape s, int voxels, int c, int k, int dyPitch, int wPitch, int dxPitch) {
    int taps = tapCount(s);
    product(Gradients(dy, s, voxels, k, dyPitch), FiltersTransposed(w, k, taps, c, wPitch), (int)blockIdx.x * TILE, (int)blockIdx.y * TILE, 0, taps * k, [=](int v, int ch, float sum) {
        if (v >= voxels || ch >= c) return;
        T* to = dx + (i64)v * dxPitch + ch;
        narrow(accumulate ? widen(*to) + sum : sum, to);
    });
}

// Rows are output channels, the depth is output voxels below end.
struct GradientChannels {
    static constexpr bool DEPTH_FAST = false;
    const T* dy;
    int k, pitch, end;
    int row, voxel;

    __device__ GradientChannels(const T* dy, int k, int pitch, int end) : dy(dy), k(k), pitch(pitch), end(end) {}

    __device__ void prepare(int, int r) { row = r; }

    __device__ void depth(int v) { voxel = v; }

    __device__ float get(int) const { return row < k && voxel < end ? widen(dy[(i64)voxel * pitch + row]) : 0.f; }
};

// Rows are (tap, channel of x), the depth is output voxels below end.
struct PatchElements {
    static constexpr bool DEPTH_FAST = false;
    const T* x;
    const ConvShape& s;
    int c, pitch, end;
    Tap tap;
    int channel;
    Position at;

    __device__ PatchElements(const T* x, const ConvShape& s, int c, int pitch, int end) : x(x), s(s), c(c), pitch(pitch), end(end) {}

    __device__ void prepare(int, int row) {
        int t = row / c;
        channel = t < tapCount(s) ? row % c : -1;
        tap = tapAt(s, t);
        tap.d -= s.low[0];
        tap.h -= s.low[1];
        tap.w -= s.low[2];
    }

    __device__ void depth(int v) {
        at = position(v, s.out[0], s.out[1], s.out[2]);
        if (v >= end) at.n = -1;
    }

    __device__ float get(int) const {
        int d = at.d * s.stride[0] + tap.d, h = at.h * s.stride[1] + tap.h, w = at.w * s.stride[2] + tap.w;
        if (at.n < 0 || channel < 0 || (u32)d >= (u32)s.in[0] || (u32)h >= (u32)s.in[1] || (u32)w >= (u32)s.in[2]) return 0.f;
        return widen(x[((((i64)at.n * s.in[0] + d) * s.in[1] + h) * s.in[2] + w) * pitch + channel]);
    }
};

// The gradient of the weights over the piece of voxels of blockIdx.z; partials (gridDim.z, K, taps, C).
extern "C" __global__ void __launch_bounds__(256) conv_backward_weights(const T* x, const T* dy, float* partials, ConvShape s, int voxels, int piece, int c, int k, int xPitch, int dyPitch) {
    int columns = tapCount(s) * c, from = (int)blockIdx.z * piece, to = from + piece < voxels ? from + piece : voxels;
    float* out = partials + (i64)blockIdx.z * k * columns;
    product(GradientChannels(dy, k, dyPitch, to), PatchElements(x, s, c, xPitch, to), (int)blockIdx.x * TILE, (int)blockIdx.y * TILE, from, to, [=](int ch, int column, float sum) {
        if (ch < k && column < columns) out[(i64)ch * columns + column] = sum;
    });
}

// dw (rows, pitch) = the sum of partials (pieces, rows, c); channels from c up to pitch become 0.
extern "C" __global__ void conv_weights_reduce(const float* partials, float* dw, int pieces, int rows, int c, int pitch) {
    i64 i = flatIndex();
    if (i >= (i64)rows * pitch) return;
    i64 row = i / pitch;
    int ch = (int)(i % pitch);
    double sum = 0;
    if (ch < c) {
        for (int p = 0; p < pieces; p++) sum += partials[((i64)p * rows + row) * c + ch];
    }
    dw[i] = (float)sum;
}
