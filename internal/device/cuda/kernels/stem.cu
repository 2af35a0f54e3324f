// The network's first convolution: 7^3 taps, stride 2, few channels.
//
// Space to depth makes it one of 4^3 taps without stride or padding over 8 times the channels: block j of an axis holds the input's positions
// 2j - 2 and 2j - 1, so tap t of output o is parity t % 2 of block o + t / 2. Channel c at parities (pd, ph, pw) is c*8 + pd*4 + ph*2 + pw.

constexpr int STEM_TAPS = 7;
constexpr int STEM_LOW = 2; // zeros in front of every axis

struct StemShape {
    int in[3], out[3];
};

// (N, C, D, H, W) float -> T (N, out + 3 per axis, 8C). One thread per block and channel, channels fastest.
extern "C" __global__ void stem_pack(const float* src, T* dst, StemShape s, int n, int c) {
    int blocks[3] = {s.out[0] + 3, s.out[1] + 3, s.out[2] + 3};
    i64 i = flatIndex();
    if (i >= (i64)n * blocks[0] * blocks[1] * blocks[2] * c) return;
    i64 ch = i % c, at = i / c;
    int w = (int)(at % blocks[2]);
    at /= blocks[2];
    int h = (int)(at % blocks[1]);
    at /= blocks[1];
    int d = (int)(at % blocks[0]);
    i64 sample = at / blocks[0];
    alignas(16) T values[8];
#pragma unroll
    for (int p = 0; p < 8; p++) {
        int id = 2 * d - STEM_LOW + p / 4, ih = 2 * h - STEM_LOW + p / 2 % 2, iw = 2 * w - STEM_LOW + p % 2;
        bool inside = (u32)id < (u32)s.in[0] && (u32)ih < (u32)s.in[1] && (u32)iw < (u32)s.in[2];
        narrow(inside ? src[(((sample * c + ch) * s.in[0] + id) * s.in[1] + ih) * s.in[2] + iw] : 0.f, &values[p]);
    }
#pragma unroll
    for (int p = 0; p < 8; p += LANES) *(uint4*)(dst + i * 8 + p) = *(const uint4*)&values[p];
}

// float (K, 7, 7, 7, C) -> T (K, 4, 4, 4, 8C); there is no eighth tap.
extern "C" __global__ void stem_weights(const float* src, T* dst, int k, int c) {
    i64 i = flatIndex();
    if (i >= (i64)k * 64 * 8 * c) return;
    int p = (int)(i % 8), ch = (int)(i / 8 % c), block = (int)(i / 8 / c % 64);
    i64 out = i / 8 / c / 64;
    int d = block / 16 * 2 + p / 4, h = block / 4 % 4 * 2 + p / 2 % 2, w = block % 4 * 2 + p % 2;
    bool tap = d < STEM_TAPS && h < STEM_TAPS && w < STEM_TAPS;
    narrow(tap ? src[(((out * STEM_TAPS + d) * STEM_TAPS + h) * STEM_TAPS + w) * c + ch] : 0.f, dst + i);
}

// T (K, 4, 4, 4, 8C) -> float (K, 7, 7, 7, C).
extern "C" __global__ void stem_weights_back(const T* src, float* dst, int k, int c) {
    i64 i = flatIndex();
    if (i >= (i64)k * STEM_TAPS * STEM_TAPS * STEM_TAPS * c) return;
    int ch = (int)(i % c), tap = (int)(i / c % (STEM_TAPS * STEM_TAPS * STEM_TAPS));
    i64 out = i / c / (STEM_TAPS * STEM_TAPS * STEM_TAPS);
    int d = tap / (STEM_TAPS * STEM_TAPS), h = tap / STEM_TAPS % STEM_TAPS, w = tap % STEM_TAPS;
    int block = d / 2 * 16 + h / 2 * 4 + w / 2, p = d % 2 * 4 + h % 2 * 2 + w % 2;
    dst[i] = widen(src[((out * 64 + block) * c + ch) * 8 + p]);
}
