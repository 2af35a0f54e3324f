package cuda

import (
	"errors"
	"fmt"
	"sync"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
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
