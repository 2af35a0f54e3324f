package cuda

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/remedy"
)

// gpuDevice computes on a CUDA card. Activations lie channels last in the number format of the device. Parameters of
// convolutions lie as (Out, KD, KH, KW, In) in float32, with a copy in the device's format next to them that follows
// every change. The network's input is kept as uploaded and reordered by the convolution that reads it.
type gpuDevice struct {
	mu       sync.Mutex
	card     Card
	t        kernels.Type
	exact    bool // the same bits every time
	scratch  *Scratch
	tuner    *Tuner // nil without cuDNN
	control  kernels.Ptr
	numbers  kernels.Control // as they lie on the card
	copies   int64           // bytes of copies of parameters
	failed   *device.Error
	prefetch gpuPrefetch
	blocks   map[*gpuBlock]bool // that have not been freed

	recording sync.RWMutex // held for writing while a pass is recorded, for reading by what must not come in between
	capture   *gpuCapture  // of the pass that is being recorded
	graphs    map[Graph]bool
}

// gpuPrefetch is input on its way to the card, ahead of its Upload: the next one may come before the one before it is
// taken.
type gpuPrefetch struct {
	sending sync.Mutex // held over a whole Prefetch

	sync.Mutex // of what follows
	slots      [driver.Slots]gpuSlot
	next       int
	inflight   *float32 // the first value of what is being sent
}

type gpuSlot struct {
	key   *float32 // the first value of what was sent; nil: nothing is held
	bytes int64
	p     uint64
	room  int64
}

// Loss scaling as in PyTorch's GradScaler.
const (
	firstLossScale = 1 << 16
	lossGrowth     = 2000 // good steps until the scale doubles
)

// Workspace that a convolution may take: more of it allows faster algorithms.
const (
	workspaceLarge = 1 << 30
	workspaceSmall = 256 << 20
	roomyCard      = 30 << 30 // bytes of memory from which on the large one is allowed
)

// New returns a device on an open card, which it takes over. exact asks for the same bits every time; cacheDir keeps
// measurements between runs unless it is empty.
func New(card Card, t kernels.Type, exact bool, cacheDir string) (device.Device, error) {
	d := &gpuDevice{card: card, t: t, exact: exact, scratch: NewScratch(card), blocks: map[*gpuBlock]bool{}, graphs: map[Graph]bool{}}
	if card.HasCuDNN() {
		limit := int64(workspaceSmall)
		if card.Info().Memory >= roomyCard {
			limit = workspaceLarge
		}
		d.tuner = NewTuner(card, d.scratch, limit, cacheDir)
	}
	p, err := card.Alloc(kernels.ControlBytes)
	if err != nil {
		return nil, err
	}
	d.control = kernels.Ptr(p)
	d.numbers.LossScale = 1
	if t != kernels.FP16 {
		return d, nil
	}
	d.numbers.LossScale, d.numbers.Growth = firstLossScale, lossGrowth
	return gpuScaled{d}, card.Upload(p, d.numbers.Encode())
}

// Name describes the card.
func (d *gpuDevice) Name() string {
	i := d.card.Info()
	without := ""
	if d.tuner == nil {
		without = ", without cuDNN"
	}
	return fmt.Sprintf("cuda:%d (%s, %v%s)", i.Index, i.Name, d.t, without)
}

// Precision implements Device.
func (d *gpuDevice) Precision() string { return d.t.String() }

// Memory is what is free on the card and what it has, in bytes.
func (d *gpuDevice) Memory() (free, total int64) {
	free, total, err := d.card.Memory()
	if err != nil {
		return 0, d.card.Info().Memory
	}
	return free, total
}

// Close implements Device.
func (d *gpuDevice) Close() {
	d.prefetch.sending.Lock()
	defer d.prefetch.sending.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tuner != nil {
		d.tuner.Close()
	}
	for g := range d.graphs {
		d.closeGraph(g)
	}
	d.scratch.Close()
	d.card.Free(uint64(d.control))
	for _, s := range d.prefetch.slots {
		if s.p != 0 {
			d.card.Free(s.p)
		}
	}
	for b := range d.blocks {
		d.free(b)
	}
	d.card.Close()
}

// do runs an operation on its own. An error ends the device.
func (d *gpuDevice) do(f func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		var err error
		if d.capture != nil {
			err = d.recorded(f)
		} else if err = d.scratch.Begin(); err == nil {
			err = f()
		}
		if err == nil {
			return
		}
		d.failed = d.failure(err)
	}
	panic(d.failed)
}

// failure is the error of a device that cannot continue.
func (d *gpuDevice) failure(err error) *device.Error {
	e := &device.Error{Device: d.Name(), Err: err}
	switch {
	case errors.Is(err, driver.ErrLost):
		e.Remedy = "the last checkpoint is whole: resume from it once nvidia-smi answers"
		e.For = []remedy.Remedy{remedy.Set{Option: remedy.ContinueTraining}}
	case errors.Is(err, driver.ErrMemory):
		e.Remedy = "a smaller batch or smaller images need less"
	}
	return e
}

// run launches kernels.
func (d *gpuDevice) run(launches ...kernels.Launch) error {
	for _, l := range launches {
		if err := d.card.Run(l); err != nil {
			return err
		}
	}
	return nil
}

// take returns scratch memory for this operation.
func (d *gpuDevice) take(bytes int64) (kernels.Ptr, error) {
	p, err := d.scratch.Take(bytes)
	return kernels.Ptr(p), err
}

// gpuBlock is a piece of the card's memory. If it holds parameters of convolutions, copy is the same array in the
// device's format.
type gpuBlock struct {
	dev   *gpuDevice
	p     uint64
	bytes int64
	copy  uint64
	stale bool // the copy is older than the parameters
}

// Bytes implements device.Block.
func (b *gpuBlock) Bytes() int64 { return b.bytes }

// Free implements device.Block.
func (b *gpuBlock) Free() {
	b.dev.mu.Lock()
	defer b.dev.mu.Unlock()
	b.dev.free(b)
}

// copyBytes is the size of the copy.
func (b *gpuBlock) copyBytes(t kernels.Type) int64 { return b.bytes / 4 * int64(t.Bytes()) }

// gpuStorage is where a tensor lies; view is that of activations.
type gpuStorage struct {
	block  *gpuBlock
	offset int64
	view   kernels.View
}

func (s *gpuStorage) ptr() kernels.Ptr { return kernels.Ptr(s.block.p) + kernels.Ptr(s.offset) }

// gpuAlign is the alignment of tensors in bytes; half of it is left in the copies of parameters.
const gpuAlign = 256

// Bytes implements Device.
func (d *gpuDevice) Bytes(s device.Spec) int64 {
	n := int64(device.Count(s.Shape))
	switch s.Kind {
	case device.Activation:
		n *= int64(d.t.Bytes())
	case device.Sums:
		n *= 16
	case device.Winners:
		n = kernels.WinnersBytes(d.dense(s.Shape, 0))
	default:
		n *= 4
	}
	return (n + gpuAlign - 1) / gpuAlign * gpuAlign
}

// dense is an activation whose voxels follow one another.
func (d *gpuDevice) dense(shape []int, p kernels.Ptr) kernels.View {
	return kernels.View{Data: p, N: shape[0], C: shape[1], D: shape[2], H: shape[3], W: shape[4], Pitch: shape[1]}
}

// NewBlock implements Device.
func (d *gpuDevice) NewBlock(bytes int64) (device.Block, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.card.Alloc(bytes)
	if errors.Is(err, driver.ErrMemory) {
		free, total := d.Memory()
		less := "a smaller batch or smaller images need less"
		if d.t == kernels.Float32 {
			less += ", and so does mixed precision"
		}
		return nil, fmt.Errorf("%s: the network needs a block of %s of its memory, %s of %s are free; %s", d.Name(), memory.Format(bytes), memory.Format(free), memory.Format(total), less)
	}
	if err != nil {
		return nil, d.failure(err)
	}
	b := &gpuBlock{dev: d, p: p, bytes: bytes, stale: true}
	d.blocks[b] = true
	return b, nil
}

// free releases what has not been released of a block.
func (d *gpuDevice) free(b *gpuBlock) {
	if !d.blocks[b] {
		return
	}
	delete(d.blocks, b)
	d.card.Free(b.p)
	if b.copy != 0 {
		d.card.Free(b.copy)
		d.copies -= b.copyBytes(d.t)
	}
}

// Place implements Device.
func (d *gpuDevice) Place(s device.Spec, b device.Block, offset int64) *device.Tensor {
	st := &gpuStorage{block: b.(*gpuBlock), offset: offset}
	if s.Kind == device.Activation {
		st.view = d.dense(s.Shape, st.ptr())
	}
	return device.NewTensor(s, st)
}

// Slice implements Device.
func (d *gpuDevice) Slice(t *device.Tensor, first, count int) *device.Tensor {
	s, st := device.SliceSpec(t.Spec(), first, count), t.Storage.(*gpuStorage)
	part := &gpuStorage{block: st.block, offset: st.offset}
	switch s.Kind {
	case device.Activation:
		part.view = st.view.Slice(d.t, first, count)
		part.offset += int64(first * d.t.Bytes())
	case device.Weights, device.Values:
		part.offset += 4 * int64(first*device.Count(s.Shape[1:]))
	case device.Sums:
		part.offset += 16 * int64(first)
	default:
		panic("device: tensors of this kind have no slices")
	}
	return device.NewTensor(s, part)
}

// WorkspaceBytes implements Device.
func (d *gpuDevice) WorkspaceBytes() int64 {
	d.prefetch.Lock()
	defer d.prefetch.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.scratch.Bytes() + d.copies
	for _, s := range d.prefetch.slots {
		n += s.room
	}
	return n
}

// floatBytes views floats as the card's memory.
func floatBytes(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
}

// Upload implements Device.
func (d *gpuDevice) Upload(t *device.Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("device: %d values for a tensor of shape %v", len(values), t.Spec().Shape))
	}
	if t.Spec().Kind == device.Input && d.takePrefetched(t, values) {
		return
	}
	d.doAlone(func() error {
		st := t.Storage.(*gpuStorage)
		switch t.Spec().Kind {
		case device.Activation:
			p, err := d.take(4 * int64(len(values)))
			if err != nil {
				return err
			}
			if err := d.card.Upload(uint64(p), floatBytes(values)); err != nil {
				return err
			}
			return d.run(d.t.PackActivations(p, st.view, st.view.C))
		case device.Weights:
			st.block.stale = true
			return d.card.Upload(uint64(st.ptr()), floatBytes(tapsFirst(t.Spec().Shape, values)))
		case device.Values:
			st.block.stale = true
		case device.Input:
		default:
			panic("device: tensors of this kind are not uploaded")
		}
		return d.card.Upload(uint64(st.ptr()), floatBytes(values))
	})
}

// Download implements Device.
func (d *gpuDevice) Download(t *device.Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("device: room for %d values, tensor of shape %v", len(values), t.Spec().Shape))
	}
	d.doAlone(func() error {
		st := t.Storage.(*gpuStorage)
		switch t.Spec().Kind {
		case device.Activation:
			p, err := d.take(4 * int64(len(values)))
			if err != nil {
				return err
			}
			if err := d.run(d.t.UnpackActivations(st.view, p)); err != nil {
				return err
			}
			return d.card.Download(floatBytes(values), uint64(p))
		case device.Weights:
			packed := make([]float32, len(values))
			if err := d.card.Download(floatBytes(packed), uint64(st.ptr())); err != nil {
				return err
			}
			channelsFirst(t.Spec().Shape, packed, values)
			return nil
		case device.Input, device.Values:
			return d.card.Download(floatBytes(values), uint64(st.ptr()))
		}
		panic("device: tensors of this kind are not downloaded")
	})
}

// tapsFirst reorders weights (Out, In, taps) to (Out, taps, In), as they lie on the card.
func tapsFirst(shape []int, values []float32) []float32 {
	in, taps := shape[1], device.Count(shape[2:])
	if taps == 1 {
		return values
	}
	packed := make([]float32, len(values))
	for row := 0; row < len(values); row += in * taps {
		for c := range in {
			for k := range taps {
				packed[row+k*in+c] = values[row+c*taps+k]
			}
		}
	}
	return packed
}

// channelsFirst is the way back.
func channelsFirst(shape []int, packed, values []float32) {
	in, taps := shape[1], device.Count(shape[2:])
	for row := 0; row < len(values); row += in * taps {
		for c := range in {
			for k := range taps {
				values[row+c*taps+k] = packed[row+k*in+c]
			}
		}
	}
}

// Prefetch implements Prefetcher. What cannot be sent ahead is sent by Upload.
func (d *gpuDevice) Prefetch(values []float32) {
	if len(values) == 0 {
		return
	}
	f := &d.prefetch
	f.sending.Lock()
	defer f.sending.Unlock()
	f.Lock()
	i := f.next
	f.next = (i + 1) % len(f.slots)
	for k := range f.slots {
		if k == i || f.slots[k].key == &values[0] { // what was sent of a slice before is out of date
			f.slots[k].key = nil
		}
	}
	slot := f.slots[i]
	f.inflight = &values[0]
	f.Unlock()
	err := d.sendAhead(i, &slot, values)
	f.Lock()
	defer f.Unlock()
	f.inflight = nil
	if err == nil {
		slot.key = &values[0]
	}
	f.slots[i] = slot
}

// sendAhead fills a slot, which nobody else uses.
func (d *gpuDevice) sendAhead(i int, slot *gpuSlot, values []float32) error {
	slot.bytes = 4 * int64(len(values))
	if slot.room < slot.bytes {
		d.recording.RLock()
		defer d.recording.RUnlock()
		if slot.p != 0 {
			d.card.Free(slot.p)
		}
		slot.p, slot.room = 0, 0
		p, err := d.card.Alloc(slot.bytes)
		if err != nil {
			return err
		}
		slot.p, slot.room = p, slot.bytes
		// Its zeros are written by the stream that computes, and must not come after what is sent by the other.
		if err := d.card.Sync(); err != nil {
			return err
		}
	}
	return d.card.Prefetch(i, slot.p, floatBytes(values))
}

// takePrefetched copies an input that has been sent ahead, if it has.
func (d *gpuDevice) takePrefetched(t *device.Tensor, values []float32) (taken bool) {
	if len(values) == 0 {
		return false
	}
	f := &d.prefetch
	taken, coming := d.takeSlot(t, values)
	if !coming {
		return taken
	}
	f.sending.Lock() // until it has been sent
	defer f.sending.Unlock()
	taken, _ = d.takeSlot(t, values)
	return taken
}

// takeSlot copies an input from the slot that holds it, or reports whether it is still being sent.
func (d *gpuDevice) takeSlot(t *device.Tensor, values []float32) (taken, coming bool) {
	f := &d.prefetch
	f.Lock()
	defer f.Unlock()
	for i := range f.slots {
		s := &f.slots[i]
		if s.key == nil || s.key != &values[0] || s.bytes != 4*int64(len(values)) {
			continue
		}
		s.key = nil
		d.doAlone(func() error {
			return d.card.TakePrefetched(i, uint64(t.Storage.(*gpuStorage).ptr()), s.p, s.bytes)
		})
		return true, false
	}
	return false, f.inflight == &values[0]
}

// gpuScaled is a device in a format of few exponents, which scales the loss.
type gpuScaled struct{ *gpuDevice }

// LossScale implements LossScaler.
func (d gpuScaled) LossScale() (scale float64, good int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return float64(d.numbers.LossScale), int(d.numbers.Good)
}

// SetLossScale implements LossScaler. Invalid scales are ignored.
func (d gpuScaled) SetLossScale(scale float64, good int) {
	d.doAlone(func() error {
		if !(scale > 0) || math.IsInf(scale, 0) {
			return nil
		}
		d.numbers.LossScale, d.numbers.Good = float32(scale), int32(good)
		return d.card.Upload(uint64(d.control), d.numbers.Encode())
	})
}

// Step implements Device.
func (d *gpuDevice) Step(o device.SGD, params, grads, momentum *device.Tensor) (norm float64) {
	c := &d.numbers
	return d.step(params, func() {
		c.LR, c.Momentum, c.WeightDecay, c.ClipNorm = float32(o.LR), float32(o.Momentum), float32(o.WeightDecay), float32(o.ClipNorm)
		c.Keep = c.Momentum
		if o.First {
			c.Keep = 0
		}
	}, func(working, scratch kernels.Ptr) []kernels.Launch {
		return d.t.Step(ptrOf(params), ptrOf(grads), ptrOf(momentum), working, params.Size(), d.control, scratch)
	})
}

// StepAdamW implements Device.
func (d *gpuDevice) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) (norm float64) {
	return d.step(params, func() { d.numbers.ClipNorm = float32(o.ClipNorm) }, func(working, scratch kernels.Ptr) []kernels.Launch {
		shrink, rate, root := o.Factors()
		return d.t.StepAdamW(kernels.AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Shrink: shrink, Rate: rate, Root: root, Eps: o.Eps, Fresh: o.Step == 1},
			ptrOf(params), ptrOf(grads), ptrOf(momentum), ptrOf(second), working, params.Size(), d.control, scratch)
	})
}

// Average implements Device.
func (d *gpuDevice) Average(dst, src *device.Tensor, keep float64) {
	d.doAlone(func() error {
		return d.run(d.t.Average(ptrOf(dst), ptrOf(src), dst.Size(), keep)...)
	})
}

// step uploads the numbers that set changes, runs what launches makes of the step and returns the norm of the
// gradients, -1 where the step was skipped.
func (d *gpuDevice) step(params *device.Tensor, set func(), launches func(working, scratch kernels.Ptr) []kernels.Launch) (norm float64) {
	d.doAlone(func() error {
		n := params.Size()
		block := params.Storage.(*gpuStorage).block
		c := &d.numbers
		set()
		if err := d.card.Upload(uint64(d.control), c.Encode()); err != nil {
			return err
		}
		scratch, err := d.take(d.t.StepScratch(n))
		if err != nil {
			return err
		}
		// The copy follows in the same pass, unless it is to be made again anyway.
		working := kernels.Ptr(0)
		if block.copy != 0 && !block.stale {
			working = d.copyOf(params.Storage.(*gpuStorage))
		}
		if err := d.run(launches(working, scratch)...); err != nil {
			return err
		}
		now := make([]byte, kernels.ControlBytes)
		if err := d.card.Download(now, uint64(d.control)); err != nil {
			return err
		}
		if err := c.Decode(now); err != nil {
			return err
		}
		norm = c.Norm
		if c.Skipped != 0 {
			norm = -1
		}
		return nil
	})
	return norm
}

func ptrOf(t *device.Tensor) kernels.Ptr {
	if t == nil {
		return 0
	}
	return t.Storage.(*gpuStorage).ptr()
}

func viewOf(t *device.Tensor) kernels.View { return t.Storage.(*gpuStorage).view }

// copyOf is where a tensor of parameters lies in the copy of its block.
func (d *gpuDevice) copyOf(s *gpuStorage) kernels.Ptr {
	return kernels.Ptr(s.block.copy) + kernels.Ptr(s.offset/4*int64(d.t.Bytes()))
}

// working returns the weights in the device's number format, up to date.
func (d *gpuDevice) working(w *device.Tensor) (kernels.Ptr, error) {
	s := w.Storage.(*gpuStorage)
	if d.t == kernels.Float32 {
		return s.ptr(), nil
	}
	b := s.block
	if d.capture != nil {
		return d.copyOf(s), d.capture.reads(b)
	}
	if b.copy == 0 {
		p, err := d.card.Alloc(b.copyBytes(d.t))
		if err != nil {
			return 0, err
		}
		b.copy, b.stale = p, true
		d.copies += b.copyBytes(d.t)
	}
	return d.copyOf(s), d.refresh(b)
}

// BatchNormStats implements Device.
func (d *gpuDevice) BatchNormStats(sums *device.Tensor, count int, b device.BatchNorm) {
	d.do(func() error {
		return d.run(d.t.BatchNormStats(ptrOf(sums), sums.Size(), count, device.BatchNormEps, device.BatchNormMomentum,
			ptrOf(b.Mean), ptrOf(b.InvStd), ptrOf(b.RunningMean), ptrOf(b.RunningVar)))
	})
}

// BatchNormReLU implements Device.
func (d *gpuDevice) BatchNormReLU(x *device.Tensor, b device.BatchNorm, y *device.Tensor) {
	d.do(func() error {
		return d.run(d.t.BatchNormReLU(viewOf(x), ptrOf(b.Mean), ptrOf(b.InvStd), ptrOf(b.Gamma), ptrOf(b.Beta), viewOf(y)))
	})
}

// BatchNormReLUBackward implements Device.
func (d *gpuDevice) BatchNormReLUBackward(x, dy *device.Tensor, b device.BatchNorm, dx, dgamma, dbeta *device.Tensor) {
	d.do(func() error {
		scratch, err := d.take(d.t.BatchNormScratch(viewOf(x)))
		if err != nil {
			return err
		}
		return d.run(d.t.BatchNormReLUBackward(viewOf(x), viewOf(dy), ptrOf(b.Mean), ptrOf(b.InvStd), ptrOf(b.Gamma), ptrOf(b.Beta),
			viewOf(dx), ptrOf(dgamma), ptrOf(dbeta), scratch)...)
	})
}

// ReLUBackward implements Device.
func (d *gpuDevice) ReLUBackward(y, dy *device.Tensor) {
	d.do(func() error { return d.run(d.t.ReLUBackward(viewOf(y), viewOf(dy))) })
}

// MaxPool implements Device.
func (d *gpuDevice) MaxPool(p device.Pooling, x, y, w *device.Tensor) {
	d.do(func() error { return d.run(d.t.MaxPool(kernels.Pooling(p), viewOf(x), viewOf(y), ptrOf(w))) })
}

// MaxPoolBackward implements Device.
func (d *gpuDevice) MaxPoolBackward(p device.Pooling, dy, w, dx *device.Tensor, accumulate bool) {
	d.do(func() error {
		return d.run(d.t.MaxPoolBackward(kernels.Pooling(p), viewOf(dy), ptrOf(w), viewOf(dx), accumulate))
	})
}

// AvgPoolMean implements Device.
func (d *gpuDevice) AvgPoolMean(window [3]int, x, features *device.Tensor) {
	d.do(func() error { return d.run(d.t.AvgPoolMean(window, viewOf(x), ptrOf(features))) })
}

// AvgPoolMeanBackward implements Device.
func (d *gpuDevice) AvgPoolMeanBackward(window [3]int, dfeatures, dx *device.Tensor) {
	d.do(func() error { return d.run(d.t.AvgPoolMeanBackward(window, ptrOf(dfeatures), viewOf(dx))) })
}

// Linear implements Device.
func (d *gpuDevice) Linear(x, w, b, y *device.Tensor) {
	d.do(func() error {
		return d.run(d.t.Linear(ptrOf(x), ptrOf(w), ptrOf(b), ptrOf(y), x.Dim(0), x.Dim(1), w.Dim(0)))
	})
}

// LinearBackward implements Device.
func (d *gpuDevice) LinearBackward(x, dy, w, dx, dw, db *device.Tensor) {
	d.do(func() error {
		return d.run(d.t.LinearBackward(ptrOf(x), ptrOf(dy), ptrOf(w), ptrOf(dx), ptrOf(dw), ptrOf(db), x.Dim(0), x.Dim(1), w.Dim(0))...)
	})
}

// CrossEntropy implements Device; the gradient carries the loss scale.
func (d *gpuDevice) CrossEntropy(classes []int, logits, targets, loss, dlogits *device.Tensor) {
	d.do(func() error {
		control := kernels.Ptr(0)
		if d.t == kernels.FP16 {
			control = d.control
		}
		return d.run(d.t.CrossEntropy(classes, logits.Dim(0), ptrOf(logits), ptrOf(targets), ptrOf(loss), ptrOf(dlogits), control)...)
	})
}
