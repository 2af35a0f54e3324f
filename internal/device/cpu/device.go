package cpu

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/numeric"
)

// cpuDevice runs the kernels on one pool of workers. Activations lie channels-blocked, weights packed; the
// network's input stays as it is, since blocks of 16 would waste most of its memory.
type cpuDevice struct {
	mu      sync.Mutex
	pool    *Workers
	scratch Scratch
	bf16    bool               // activations are in bfloat16
	blocks  map[*cpuBlock]bool // that have not been freed
}

// Open returns the CPU with a kernel set chosen by name (see cpulevel.Names), lowered to what the processor has.
// mixed asks for activations in bfloat16, which generic has too, as the specification of the fast kernels.
func Open(threads int, kernels string, mixed bool) (device.Device, error) {
	f, ok := cpulevel.Parse(kernels)
	if !ok {
		return nil, fmt.Errorf("unknown kernel set %q: expected one of %s", kernels, strings.Join(cpulevel.Names(), ", "))
	}
	d := &cpuDevice{pool: NewWorkersAt(threads, f), blocks: map[*cpuBlock]bool{}}
	d.bf16 = mixed && d.pool.HasBF16()
	return d, nil
}

// New returns the CPU with the best kernels that it has. It computes in bfloat16 only where the processor has
// instructions for it.
func New(threads int, mixed bool) *cpuDevice {
	d := &cpuDevice{pool: NewWorkers(threads), blocks: map[*cpuBlock]bool{}}
	d.bf16 = mixed && d.pool.HasBF16() && d.pool.Level() != cpulevel.Generic
	return d
}

func (d *cpuDevice) Name() string {
	return fmt.Sprintf("cpu (%s, %d threads)", d.pool.Level(), d.pool.Threads())
}

func (d *cpuDevice) Precision() string {
	if d.bf16 {
		return "bf16"
	}
	return "fp32"
}

func (d *cpuDevice) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pool.Close()
	for b := range d.blocks {
		b.free()
	}
	d.scratch.free()
}

// Ceiling measures the device's fused-multiply-add ceiling in GFLOP/s for about the given time.
func (d *cpuDevice) Ceiling(t time.Duration) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return MeasureFMA(d.pool, t)
}

// cpuStorage is where a tensor lies: data for parameters and small values, act for activations.
type cpuStorage struct {
	data []float32
	act  Act
	// What convolutions keep of weights that do not change; slices share it.
	forms *Forms
}

// cacheLine in floats: every tensor begins on one.
const cacheLine = 16

// floats is the storage of a tensor in units of 4 bytes, padded to cache lines.
func (d *cpuDevice) floats(s device.Spec) int {
	n := device.Count(s.Shape)
	switch s.Kind {
	case device.Activation:
		n = ActLen(s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4])
		if d.bf16 {
			n /= 2
		}
	case device.Weights:
		c := packing(s)
		n = PackedLen(&c)
	case device.Sums:
		n *= 4
	case device.Winners:
		n = (ActLen(s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4]) + 3) / 4
	}
	return (n + cacheLine - 1) / cacheLine * cacheLine
}

// packing is the part of a convolution that the layout of its weights depends on.
func packing(s device.Spec) Conv {
	return Conv{Out: s.Shape[0], In: s.Shape[1], Kernel: [3]int(s.Shape[2:5])}
}

func (d *cpuDevice) Bytes(s device.Spec) int64 { return 4 * int64(d.floats(s)) }

// NewBlock fails early when memory is short; otherwise the kernel would kill the process.
func (d *cpuDevice) NewBlock(bytes int64) (device.Block, error) {
	if free := memory.Available(); bytes > free {
		return nil, fmt.Errorf("the network needs a block of %s of memory, %s are free; a smaller batch or smaller images need less", memory.Format(bytes), memory.Format(free))
	}
	s, err := newSlab(int((bytes + 3) / 4))
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := &cpuBlock{dev: d, slab: s}
	d.blocks[b] = true
	return b, nil
}

func (d *cpuDevice) Place(s device.Spec, b device.Block, offset int64) *device.Tensor {
	from, block := int(offset/4), b.(*cpuBlock)
	st := &cpuStorage{data: block.floats[from : from+d.floats(s)]}
	switch s.Kind {
	case device.Activation:
		on := ActOn
		if d.bf16 {
			on = BF16On
		}
		st.act = on(st.data, s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4])
	case device.Weights:
		st.forms = &Forms{}
		block.forms = append(block.forms, st.forms)
	case device.Input:
		st.act = PlanarOn(st.data, s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3], s.Shape[4])
	}
	return device.NewTensor(s, st)
}

func (d *cpuDevice) Slice(t *device.Tensor, first, count int) *device.Tensor {
	s, st := device.SliceSpec(t.Spec(), first, count), t.Storage.(*cpuStorage)
	part := &cpuStorage{}
	switch s.Kind {
	case device.Activation:
		part.act = st.act.Slice(first, count)
	case device.Weights:
		before := packing(t.Spec())
		before.Out = first
		part.data = st.data[PackedLen(&before):][:d.floats(s)]
		part.forms = st.forms
	case device.Values:
		row := device.Count(s.Shape[1:])
		part.data = st.data[first*row : (first+count)*row]
	case device.Sums:
		part.data = st.data[4*first : 4*(first+count)]
	default:
		panic("device: tensors of this kind have no slices")
	}
	return device.NewTensor(s, part)
}

func (d *cpuDevice) WorkspaceBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.scratch.Bytes()
}

func (d *cpuDevice) Upload(t *device.Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("device: %d values for a tensor of shape %v", len(values), t.Spec().Shape))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := t.Storage.(*cpuStorage)
	switch t.Spec().Kind {
	case device.Activation:
		PackActivations(d.pool, values, st.act)
	case device.Weights:
		c := packing(t.Spec())
		PackWeights(&c, values, st.data)
		st.forms.Clear()
	case device.Input:
		const piece = 1 << 16
		d.pool.Run((len(values)+piece-1)/piece, func(_, tile int) {
			copy(st.data[tile*piece:], values[tile*piece:min(len(values), (tile+1)*piece)])
		})
	case device.Values:
		copy(st.data, values)
	default:
		panic("device: tensors of this kind are not uploaded")
	}
}

func (d *cpuDevice) Download(t *device.Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("device: room for %d values, tensor of shape %v", len(values), t.Spec().Shape))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := t.Storage.(*cpuStorage)
	switch t.Spec().Kind {
	case device.Activation:
		UnpackActivations(d.pool, st.act, values)
	case device.Weights:
		c := packing(t.Spec())
		UnpackWeights(&c, st.data, values)
	case device.Input, device.Values:
		copy(values, st.data)
	default:
		panic("device: tensors of this kind are not downloaded")
	}
}

func act(t *device.Tensor) Act { return t.Storage.(*cpuStorage).act }

// values are a tensor's floats without the padding behind them.
func values(t *device.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.Storage.(*cpuStorage).data[:t.Size()]
}

// packed are the floats of convolution weights.
func packed(t *device.Tensor) []float32 { return t.Storage.(*cpuStorage).data }

// sums views the two sums per channel.
func sums(t *device.Tensor) (sum, sumSq []float64) {
	data, n := t.Storage.(*cpuStorage).data, t.Size()
	all := unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(data))), 2*n)
	return all[:n], all[n:]
}

func winners(t *device.Tensor) []uint8 {
	if t == nil {
		return nil
	}
	data := t.Storage.(*cpuStorage).data
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(data))), 4*len(data))
}

func geometry(c device.Conv, x, y *device.Tensor) Conv {
	return SameConv(x.Dim(1), y.Dim(1), c.Kernel, c.Stride, [3]int(x.Spec().Shape[2:5]))
}

func (d *cpuDevice) ConvForward(c device.Conv, x, w, y *device.Tensor, e device.Epilogue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := geometry(c, x, y)
	ep := &Epilogue{Bias: values(e.Bias), ReLU: e.ReLU}
	if c.Fixed {
		ep.Forms = w.Storage.(*cpuStorage).forms
	}
	if e.Sums != nil {
		ep.Sum, ep.SumSq = sums(e.Sums)
	}
	ConvForward(d.pool, &g, act(x), packed(w), act(y), ep, &d.scratch)
}

func (d *cpuDevice) ConvBackwardData(c device.Conv, dy, w, dx *device.Tensor, accumulate bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := geometry(c, dx, dy)
	ConvBackwardData(d.pool, &g, act(dy), packed(w), act(dx), accumulate, &d.scratch)
}

func (d *cpuDevice) ConvBackwardWeights(c device.Conv, x, dy, dw *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := geometry(c, x, dy)
	ConvBackwardWeights(d.pool, &g, act(x), act(dy), packed(dw), &d.scratch)
}

func (d *cpuDevice) BatchNormStats(s *device.Tensor, count int, b device.BatchNorm) {
	sum, sumSq := sums(s)
	BatchNormStats(sum, sumSq, count, device.BatchNormEps, device.BatchNormMomentum, values(b.Mean), values(b.InvStd), values(b.RunningMean), values(b.RunningVar))
}

func normReLU(b device.BatchNorm) Norm {
	return Norm{Mean: values(b.Mean), InvStd: values(b.InvStd), Gamma: values(b.Gamma), Beta: values(b.Beta), ReLU: true}
}

func (d *cpuDevice) BatchNormReLU(x *device.Tensor, b device.BatchNorm, y *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	BatchNormForward(d.pool, act(x), normReLU(b), act(y))
}

func (d *cpuDevice) BatchNormReLUBackward(x, dy *device.Tensor, b device.BatchNorm, dx, dgamma, dbeta *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	BatchNormBackward(d.pool, act(x), act(dy), normReLU(b), act(dx), values(dgamma), values(dbeta), &d.scratch)
}

func (d *cpuDevice) ReLUBackward(y, dy *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ReLUBackward(d.pool, act(y), act(dy))
}

func (d *cpuDevice) MaxPool(p device.Pooling, x, y, w *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := SamePooling(p.Kernel, p.Stride, [3]int(x.Spec().Shape[2:5]))
	MaxPoolForward(d.pool, &g, act(x), act(y), winners(w), &d.scratch)
}

func (d *cpuDevice) MaxPoolBackward(p device.Pooling, dy, w, dx *device.Tensor, accumulate bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := SamePooling(p.Kernel, p.Stride, [3]int(dx.Spec().Shape[2:5]))
	MaxPoolBackward(d.pool, &g, act(dy), winners(w), act(dx), accumulate, &d.scratch)
}

func (d *cpuDevice) AvgPoolMean(window [3]int, x, features *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	AvgPoolMean(d.pool, window, act(x), values(features))
}

func (d *cpuDevice) AvgPoolMeanBackward(window [3]int, dfeatures, dx *device.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	AvgPoolMeanBackward(d.pool, window, values(dfeatures), act(dx))
}

func (d *cpuDevice) Step(o device.SGD, params, grads, momentum *device.Tensor) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	norm := math.Sqrt(SumSquares(d.pool, values(grads), &d.scratch))
	if !numeric.Finite(norm) {
		return norm
	}
	SGDStep(d.pool, SGD{LR: float32(o.LR), Momentum: float32(o.Momentum), WeightDecay: float32(o.WeightDecay),
		Scale: clipScale(norm, o.ClipNorm), First: o.First}, values(params), values(grads), values(momentum))
	return norm
}

func (d *cpuDevice) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	norm := math.Sqrt(SumSquares(d.pool, values(grads), &d.scratch))
	if !numeric.Finite(norm) {
		return norm
	}
	shrink, rate, root := o.Factors()
	AdamWStep(d.pool, AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Shrink: shrink, Rate: rate, Root: root, Eps: o.Eps,
		Scale: clipScale(norm, o.ClipNorm), Fresh: o.Step == 1}, values(params), values(grads), values(momentum), values(second))
	return norm
}

func (d *cpuDevice) Average(dst, src *device.Tensor, keep float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	Average(d.pool, values(dst), values(src), float32(keep))
}

// clipScale is what torch.nn.utils.clip_grad_norm_ multiplies a gradient of that norm by; a limit of 0 means none.
func clipScale(norm, limit float64) float32 {
	if limit <= 0 {
		return 1
	}
	return float32(min(1, limit/(norm+1e-6)))
}
