package backend

import (
	"fmt"
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"

	"github.com/universal-classifier/uc/internal/backend/cpu"
	"github.com/universal-classifier/uc/internal/memory"
)

// cpuDevice runs the kernels of package cpu on one pool of workers. Activations lie channels-blocked, weights packed; the
// network's input stays as it is, since blocks of 16 would waste most of its memory.
type cpuDevice struct {
	mu      sync.Mutex
	pool    *cpu.Pool
	scratch cpu.Scratch
	half    bool // activations are in bfloat16
}

// OpenCPU returns the CPU with a kernel set chosen by name (generic, avx2 or avx512), lowered to what the processor has. mixed asks for
// activations in bfloat16, which generic has too, as the specification of the fast kernels.
func OpenCPU(threads int, kernels string, mixed bool) (Device, error) {
	f, ok := cpulevel.Parse(kernels)
	if !ok {
		return nil, fmt.Errorf("unknown kernel set %q: expected generic, avx2 or avx512", kernels)
	}
	d := &cpuDevice{pool: cpu.NewPoolFeatures(threads, f)}
	d.half = mixed && d.pool.HasHalf()
	return d, nil
}

// newCPU computes in bfloat16 only where the processor has instructions for it.
func newCPU(threads int, mixed bool) *cpuDevice {
	d := &cpuDevice{pool: cpu.NewPool(threads)}
	d.half = mixed && d.pool.HasHalf() && d.pool.Features() > cpu.Generic
	return d
}

func (d *cpuDevice) Name() string {
	return fmt.Sprintf("cpu (%s, %d threads)", d.pool.Features(), d.pool.Threads())
}

func (d *cpuDevice) Precision() string {
	if d.half {
		return "bf16"
	}
	return "fp32"
}

func (d *cpuDevice) Close() { d.pool.Close() }

// Ceiling measures the device's fused-multiply-add ceiling in GFLOP/s for about the given time.
func (d *cpuDevice) Ceiling(t time.Duration) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return cpu.MeasureFMA(d.pool, t)
}

// cpuStorage is where a tensor lies: data for parameters and small values, act for activations.
type cpuStorage struct {
	data []float32
	act  cpu.Act
	// What convolutions keep of weights that do not change; slices share it.
	forms *cpu.Forms
}

type cpuBlock []float32

func (b cpuBlock) Bytes() int64 { return 4 * int64(len(b)) }

// cacheLine in floats: every tensor begins on one.
const cacheLine = 16

// floats is the storage of a tensor in units of 4 bytes, padded to cache lines.
func (d *cpuDevice) floats(s Spec) int {
	n := Count(s.Shape)
	switch s.Kind {
	case Activation:
		n = cpu.ActLen(s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4])
		if d.half {
			n /= 2
		}
	case Weights:
		c := packing(s)
		n = cpu.PackedLen(&c)
	case Sums:
		n *= 4
	case Winners:
		n = (cpu.ActLen(s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4]) + 3) / 4
	}
	return (n + cacheLine - 1) / cacheLine * cacheLine
}

// packing is the part of a convolution that the layout of its weights depends on.
func packing(s Spec) cpu.Conv {
	return cpu.Conv{Out: s.Shape[0], In: s.Shape[1], Kernel: [3]int(s.Shape[2:5])}
}

func (d *cpuDevice) Bytes(s Spec) int64 { return 4 * int64(d.floats(s)) }

// NewBlock refuses what the machine has not got, as the system would end the process rather than fail.
func (d *cpuDevice) NewBlock(bytes int64) (Block, error) {
	if free := memory.Available(); bytes > free {
		return nil, fmt.Errorf("the network needs a block of %s of memory, %s are free; a smaller batch or smaller images need less", memory.Format(bytes), memory.Format(free))
	}
	return cpuBlock(cpu.AlignedFloats(int((bytes + 3) / 4))), nil
}

func (d *cpuDevice) Place(s Spec, b Block, offset int64) *Tensor {
	from := int(offset / 4)
	st := &cpuStorage{data: b.(cpuBlock)[from : from+d.floats(s)]}
	switch s.Kind {
	case Activation:
		on := cpu.ActOn
		if d.half {
			on = cpu.HalfOn
		}
		st.act = on(st.data, s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4])
	case Weights:
		st.forms = &cpu.Forms{}
	case Input:
		st.act = cpu.PlanarOn(st.data, s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4])
	}
	return NewTensor(s, st)
}

func (d *cpuDevice) Slice(t *Tensor, first, count int) *Tensor {
	s, st := SliceSpec(t.spec, first, count), t.Storage.(*cpuStorage)
	part := &cpuStorage{}
	switch s.Kind {
	case Activation:
		part.act = st.act.Slice(first, count)
	case Weights:
		before := packing(t.spec)
		before.Out = first
		part.data = st.data[cpu.PackedLen(&before):][:d.floats(s)]
		part.forms = st.forms
	case Values:
		row := Count(s.Shape[1:])
		part.data = st.data[first*row : (first+count)*row]
	case Sums:
		part.data = st.data[4*first : 4*(first+count)]
	default:
		panic("backend: tensors of this kind have no slices")
	}
	return NewTensor(s, part)
}

func (d *cpuDevice) WorkspaceBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.scratch.Bytes()
}

func (d *cpuDevice) Upload(t *Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("backend: %d values for a tensor of shape %v", len(values), t.spec.Shape))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := t.Storage.(*cpuStorage)
	switch t.spec.Kind {
	case Activation:
		cpu.PackActivations(d.pool, values, st.act)
	case Weights:
		c := packing(t.spec)
		cpu.PackWeights(&c, values, st.data)
		st.forms.Clear()
	case Input, Values:
		copy(st.data, values)
	default:
		panic("backend: tensors of this kind are not uploaded")
	}
}

func (d *cpuDevice) Download(t *Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("backend: room for %d values, tensor of shape %v", len(values), t.spec.Shape))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := t.Storage.(*cpuStorage)
	switch t.spec.Kind {
	case Activation:
		cpu.UnpackActivations(d.pool, st.act, values)
	case Weights:
		c := packing(t.spec)
		cpu.UnpackWeights(&c, st.data, values)
	case Input, Values:
		copy(values, st.data)
	default:
		panic("backend: tensors of this kind are not downloaded")
	}
}

func act(t *Tensor) cpu.Act { return t.Storage.(*cpuStorage).act }

// values are a tensor's floats without the padding behind them.
func values(t *Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.Storage.(*cpuStorage).data[:t.Size()]
}

// packed are the floats of convolution weights.
func packed(t *Tensor) []float32 { return t.Storage.(*cpuStorage).data }

// sums views the two sums per channel.
func sums(t *Tensor) (sum, sumSq []float64) {
	data, n := t.Storage.(*cpuStorage).data, t.Size()
	all := unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(data))), 2*n)
	return all[:n], all[n:]
}

func winners(t *Tensor) []uint8 {
	if t == nil {
		return nil
	}
	data := t.Storage.(*cpuStorage).data
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(data))), 4*len(data))
}

func geometry(c Conv, x, y *Tensor) cpu.Conv {
	return cpu.SameConv(x.Dim(1), y.Dim(1), c.Kernel, c.Stride, [3]int(x.spec.Shape[2:5]))
}

func (d *cpuDevice) ConvForward(c Conv, x, w, y *Tensor, e Epilogue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := geometry(c, x, y)
	ep := &cpu.Epilogue{Bias: values(e.Bias), ReLU: e.ReLU}
	if c.Fixed {
		ep.Forms = w.Storage.(*cpuStorage).forms
	}
	if e.Sums != nil {
		ep.Sum, ep.SumSq = sums(e.Sums)
	}
	cpu.ConvForward(d.pool, &g, act(x), packed(w), act(y), ep, &d.scratch)
}

func (d *cpuDevice) ConvBackwardData(c Conv, dy, w, dx *Tensor, accumulate bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := geometry(c, dx, dy)
	cpu.ConvBackwardData(d.pool, &g, act(dy), packed(w), act(dx), accumulate, &d.scratch)
}

func (d *cpuDevice) ConvBackwardWeights(c Conv, x, dy, dw *Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := geometry(c, x, dy)
	cpu.ConvBackwardWeights(d.pool, &g, act(x), act(dy), packed(dw), &d.scratch)
}

func (d *cpuDevice) BatchNormStats(s *Tensor, count int, b BatchNorm) {
	sum, sumSq := sums(s)
	cpu.BatchNormStats(sum, sumSq, count, BatchNormEps, BatchNormMomentum, values(b.Mean), values(b.InvStd), values(b.RunningMean), values(b.RunningVar))
}

func (d *cpuDevice) BatchNormReLU(x *Tensor, b BatchNorm, y *Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cpu.BatchNormForward(d.pool, act(x), values(b.Mean), values(b.InvStd), values(b.Gamma), values(b.Beta), true, act(y))
}

func (d *cpuDevice) BatchNormReLUBackward(x, dy *Tensor, b BatchNorm, dx, dgamma, dbeta *Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cpu.BatchNormBackward(d.pool, act(x), act(dy), values(b.Mean), values(b.InvStd), values(b.Gamma), values(b.Beta), true,
		act(dx), values(dgamma), values(dbeta), &d.scratch)
}

func (d *cpuDevice) MaxPool(p Pool, x, y, w *Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := cpu.SamePooling(p.Kernel, p.Stride, [3]int(x.spec.Shape[2:5]))
	cpu.MaxPoolForward(d.pool, &g, act(x), act(y), winners(w), &d.scratch)
}

func (d *cpuDevice) MaxPoolBackward(p Pool, dy, w, dx *Tensor, accumulate bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := cpu.SamePooling(p.Kernel, p.Stride, [3]int(dx.spec.Shape[2:5]))
	cpu.MaxPoolBackward(d.pool, &g, act(dy), winners(w), act(dx), accumulate, &d.scratch)
}

func (d *cpuDevice) AvgPoolMean(window [3]int, x, features *Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cpu.AvgPoolMean(d.pool, window, act(x), values(features))
}

func (d *cpuDevice) AvgPoolMeanBackward(window [3]int, dfeatures, dx *Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cpu.AvgPoolMeanBackward(d.pool, window, values(dfeatures), act(dx))
}

func (d *cpuDevice) Step(o SGD, params, grads, momentum *Tensor) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	norm := math.Sqrt(cpu.SumSquares(d.pool, values(grads), &d.scratch))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm
	}
	cpu.SGDStep(d.pool, cpu.SGD{LR: float32(o.LR), Momentum: float32(o.Momentum), WeightDecay: float32(o.WeightDecay),
		Scale: clipScale(norm, o.ClipNorm), First: o.First}, values(params), values(grads), values(momentum))
	return norm
}

func (d *cpuDevice) StepAdamW(o AdamW, params, grads, momentum, second *Tensor) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	norm := math.Sqrt(cpu.SumSquares(d.pool, values(grads), &d.scratch))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm
	}
	shrink, rate, root := o.factors()
	cpu.AdamWStep(d.pool, cpu.AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Shrink: shrink, Rate: rate, Root: root, Eps: o.Eps,
		Scale: clipScale(norm, o.ClipNorm), Fresh: o.Step == 1}, values(params), values(grads), values(momentum), values(second))
	return norm
}

func (d *cpuDevice) Average(dst, src *Tensor, keep float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cpu.Average(d.pool, values(dst), values(src), float32(keep))
}

// clipScale is what torch.nn.utils.clip_grad_norm_ multiplies a gradient of that norm by; a limit of 0 means none.
func clipScale(norm, limit float64) float32 {
	if limit <= 0 {
		return 1
	}
	return float32(min(1, limit/(norm+1e-6)))
}
