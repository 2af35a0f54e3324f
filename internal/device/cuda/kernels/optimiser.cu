// One step of the optimiser; what the step decides stays on the card.

constexpr int STEP_THREADS = 256;

// The sum of squares of a piece of the gradients per block; partials (gridDim.x).
extern "C" __global__ void __launch_bounds__(256) gradient_squares(const float* grads, int n, int piece, double* partials) {
    __shared__ double shared[STEP_THREADS];
    i64 from = (i64)blockIdx.x * piece, to = from + piece < n ? from + piece : n;
    double sum = 0;
    for (i64 i = from + threadIdx.x; i < to; i += STEP_THREADS) {
        double g = grads[i];
        sum += g * g;
    }
    sum = blockSum(sum, shared);
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// The norm of the gradients, the coefficient that undoes the loss scale and clips, and the loss scale of the next step: with one that grows, a
// step whose gradients overflowed is skipped and halves it, growth good steps in a row double it (as torch.amp.GradScaler). One block.
extern "C" __global__ void __launch_bounds__(256) step_control(const double* partials, int pieces, Control* control) {
    __shared__ double shared[STEP_THREADS];
    double sum = 0;
    for (int p = (int)threadIdx.x; p < pieces; p += STEP_THREADS) sum += partials[p];
    sum = blockSum(sum, shared);
    if (threadIdx.x != 0) return;
    double lossScale = control->lossScale, norm = sqrt(sum) / lossScale, scale = 1;
    if (control->clipNorm > 0) {
        double clip = control->clipNorm / (norm + 1e-6); // torch.nn.utils.clip_grad_norm_
        if (!(clip >= 1)) scale = clip;
    }
    control->norm = norm;
    control->scale = (float)(scale / lossScale);
    control->skipped = 0;
    if (control->growth == 0) return;
    if (!isfinite(norm)) {
        control->skipped = 1;
        control->skippedTotal++;
        control->lossScale = (float)(lossScale / 2);
        control->good = 0;
    } else if (++control->good >= control->growth) {
        control->lossScale = (float)(lossScale * 2);
        control->good = 0;
    }
}

// g = scale*grad + weightDecay*p; m = keep*m + g; p -= lr*(g + momentum*m); working, unless null, gets the new p as T. A skipped step changes
// nothing, but clears a momentum that does not count yet.
extern "C" __global__ void __launch_bounds__(256) sgd_step(float* params, const float* grads, float* momentum, T* working, int n, const Control* control) {
    Control o = *control;
    i64 step = (i64)gridDim.x * STEP_THREADS;
    for (i64 i = flatIndex(); i < n; i += step) {
        if (o.skipped) {
            if (o.keep == 0.f) momentum[i] = 0.f;
            continue;
        }
        float p = params[i];
        float g = fmaf(o.scale, grads[i], o.weightDecay * p);
        float m = o.keep == 0.f ? g : fmaf(o.keep, momentum[i], g); // what lies there before the first step may be no number
        p -= o.lr * fmaf(o.momentum, m, g);
        momentum[i] = m;
        params[i] = p;
        if (working) narrow(p, working + i);
    }
}

// g = scale*grad; m = beta1*m + share1*g; v = beta2*v + share2*g*g, the shares 1 - beta; p = shrink*p - rate*m/(sqrt(v)*root + eps); working, unless null, gets
// the new p as T. In the first step both moments are taken as 0. A skipped step changes nothing, but clears moments that do not count yet.
extern "C" __global__ void __launch_bounds__(256) adamw_step(float* params, const float* grads, float* first, float* second, T* working, int n, const Control* control,
    float beta1, float share1, float beta2, float share2, float shrink, float rate, float root, float eps, int fresh) {
    float scale = control->scale;
    int skipped = control->skipped;
    i64 step = (i64)gridDim.x * STEP_THREADS;
    for (i64 i = flatIndex(); i < n; i += step) {
        if (skipped) {
            if (fresh) first[i] = second[i] = 0.f;
            continue;
        }
        float g = scale * grads[i];
        float m = share1 * g, v = share2 * g * g;
        if (!fresh) {
            m = fmaf(beta1, first[i], m);
            v = fmaf(beta2, second[i], v);
        }
        float p = fmaf(shrink, params[i], -(rate * m / fmaf(sqrtf(v), root, eps)));
        first[i] = m;
        second[i] = v;
        params[i] = p;
        if (working) narrow(p, working + i);
    }
}

// dst = keep*dst + (1-keep)*src; keep 0 copies, whatever dst holds.
extern "C" __global__ void __launch_bounds__(256) running_average(float* dst, const float* src, int n, float keep) {
    i64 step = (i64)gridDim.x * STEP_THREADS;
    for (i64 i = flatIndex(); i < n; i += step) {
        dst[i] = keep == 0.f ? src[i] : dst[i] + (1.f - keep) * (src[i] - dst[i]);
    }
}
