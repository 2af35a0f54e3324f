// The network's head on float arrays: a few thousand multiplications, sums in double.

constexpr int HEAD_THREADS = 128;

// y (rows, out) = x (rows, in) w' + b; one block per result.
extern "C" __global__ void linear(const float* x, const float* w, const float* b, float* y, int in, int out) {
    __shared__ double shared[HEAD_THREADS];
    int o = (int)blockIdx.x, r = (int)blockIdx.y;
    double sum = 0;
    for (int i = (int)threadIdx.x; i < in; i += (int)blockDim.x) sum += (double)x[(i64)r * in + i] * w[(i64)o * in + i];
    sum = blockSum(sum, shared);
    if (threadIdx.x == 0) y[(i64)r * out + o] = (float)(sum + b[o]);
}

// dx (rows, in) = dy w; one thread per result.
extern "C" __global__ void linear_backward_input(const float* dy, const float* w, float* dx, int rows, int in, int out) {
    i64 t = flatIndex();
    if (t >= (i64)rows * in) return;
    i64 r = t / in, i = t % in;
    double sum = 0;
    for (int o = 0; o < out; o++) sum += (double)dy[r * out + o] * w[(i64)o * in + i];
    dx[t] = (float)sum;
}

// dw (out, in) = dy' x and db (out), the sums of dy over rows; one thread per weight.
extern "C" __global__ void linear_backward_weights(const float* x, const float* dy, float* dw, float* db, int rows, int in, int out) {
    i64 t = flatIndex();
    if (t >= (i64)out * in) return;
    i64 o = t / in, i = t % in;
    double sum = 0, bias = 0;
    for (int r = 0; r < rows; r++) {
        double g = dy[(i64)r * out + o];
        sum += g * x[(i64)r * in + i];
        bias += g;
    }
    dw[t] = (float)sum;
    if (i == 0) db[o] = (float)bias;
}

// The mean cross-entropy of one label, whose classes are count columns of logits (rows, columns) from first on, with targets (rows, labels), class
// numbers; added to the loss on request. dlogits get the gradient times the loss scale of control, if there is one. One block.
extern "C" __global__ void cross_entropy(const float* logits, const float* targets, float* loss, float* dlogits, const Control* control, int rows, int columns, int labels, int label, int first,
                                         int count, int accumulate) {
    __shared__ double shared[HEAD_THREADS];
    double total = 0, scale = control ? control->lossScale : 1.0;
    for (int r = (int)threadIdx.x; r < rows; r += (int)blockDim.x) {
        const float* row = logits + (i64)r * columns + first;
        float* g = dlogits + (i64)r * columns + first;
        double top = row[0], sum = 0;
        for (int c = 1; c < count; c++) top = fmax(top, (double)row[c]);
        for (int c = 0; c < count; c++) sum += exp(row[c] - top);
        int target = (int)targets[(i64)r * labels + label];
        total += (top + log(sum) - row[target]) / rows;
        for (int c = 0; c < count; c++) {
            double p = exp(row[c] - top) / sum;
            if (c == target) p -= 1;
            g[c] = (float)(p / rows * scale);
        }
    }
    total = blockSum(total, shared);
    if (threadIdx.x == 0) loss[0] = (float)((accumulate ? loss[0] : 0.0) + total);
}
