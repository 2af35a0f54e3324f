package backend

import (
	"errors"
	"os"
	"runtime"
	"slices"

	"github.com/universal-classifier/uc/internal/backend/cuda"
	"github.com/universal-classifier/uc/internal/backend/cuda/driver"
	"github.com/universal-classifier/uc/internal/backend/cuda/kernels"
)

// A network of small images is hundreds of launches that each run for microseconds: made one by one, from a graph that is walked anew every time,
// they leave the card idle in between. So a pass that has run before is recorded as a CUDA graph, and launched as a whole from then on.

// GraphVariable names the variable of the environment that, set to 0, has every operation launched on its own.
const GraphVariable = "UC_CUDA_GRAPH"

// Recorder is what a device also is if it can record a pass.
type Recorder interface {
	// Record runs pass, which may call operations and nothing else of the device, and from nowhere else may anything but Prefetch be called meanwhile.
	// It returns what repeats it, or nil where that is not possible; pass has to be run again then, since the device may have skipped
	// any of it. The error is that of pass, or the device's.
	Record(pass func() error) (Recording, error)
}

// RecorderOf returns what records the passes of a device, or nil where there is no such thing or the environment wants none.
func RecorderOf(d Device) Recorder {
	if r, ok := d.(Recorder); ok && os.Getenv(GraphVariable) != "0" {
		return r
	}
	return nil
}

// Recording repeats a pass on the tensors that it was recorded with.
type Recording interface {
	// Run repeats the pass on what the tensors hold now, and reports whether it could: once the device has moved memory of its own, it
	// does nothing any more, and has to be recorded anew.
	Run() bool
	// Close gives back what the device keeps for it.
	Close()
}

// gpuCapture is what is known of a pass while it is recorded.
type gpuCapture struct {
	blocks  []*gpuBlock // whose copies it reads
	problem error       // why it cannot be recorded
}

// gpuRecording implements Recording.
type gpuRecording struct {
	dev        *gpuDevice
	graph      cuda.Graph
	blocks     []*gpuBlock
	generation int // of the scratch memory
}

// recorded makes one call of an operation part of the pass that is being recorded; what cannot be part of one ends the recording,
// not the device.
func (d *gpuDevice) recorded(f func() error) error {
	c := d.capture
	if c.problem != nil {
		return nil
	}
	err := d.scratch.Begin()
	if err == nil {
		err = f()
	}
	if errors.Is(err, driver.ErrLost) {
		return err
	}
	c.problem = err
	return nil
}

// doAlone is do for what waits for the card or moves memory, which ends a recording instead of becoming part of it.
func (d *gpuDevice) doAlone(f func() error) {
	d.do(func() error {
		if d.capture != nil {
			return cuda.ErrFrozen
		}
		return f()
	})
}

// Record implements Recorder.
func (d *gpuDevice) Record(pass func() error) (Recording, error) {
	d.recording.Lock()
	defer d.recording.Unlock()
	begun := false
	d.do(func() error {
		d.sweep()
		if err := d.card.BeginCapture(); err == nil {
			d.capture, begun = &gpuCapture{}, true
			d.scratch.Freeze(true)
		}
		return nil
	})
	if !begun {
		return nil, nil
	}
	capture := d.capture
	var graph cuda.Graph
	err := func() error {
		defer func() { graph = d.endCapture() }() // also where the device panics
		return pass()
	}()
	if graph == nil || err != nil {
		if graph != nil {
			graph.Close()
		}
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &gpuRecording{dev: d, graph: graph, blocks: capture.blocks, generation: d.scratch.Generation()}
	d.graphs[graph] = true
	runtime.AddCleanup(r, d.discardGraph, graph)
	return r, nil
}

// endCapture returns what was recorded; nil where that is not possible.
func (d *gpuDevice) endCapture() cuda.Graph {
	d.mu.Lock()
	defer d.mu.Unlock()
	problem := d.capture.problem
	d.capture = nil
	d.scratch.Freeze(false)
	graph, err := d.card.EndCapture()
	if err != nil {
		return nil
	}
	if problem != nil {
		graph.Close()
		return nil
	}
	return graph
}

// discardGraph marks a recording's graph as free to be given back.
func (d *gpuDevice) discardGraph(g cuda.Graph) {
	d.garbageLock.Lock()
	defer d.garbageLock.Unlock()
	d.garbageGraphs = append(d.garbageGraphs, g)
}

// Run implements Recording.
func (r *gpuRecording) Run() (done bool) {
	d := r.dev
	d.doAlone(func() error {
		if !d.graphs[r.graph] || r.generation != d.scratch.Generation() {
			return nil
		}
		for _, b := range r.blocks {
			if err := d.refresh(b); err != nil {
				return err
			}
		}
		done = true
		return r.graph.Launch()
	})
	return done
}

// Close implements Recording.
func (r *gpuRecording) Close() {
	r.dev.mu.Lock()
	defer r.dev.mu.Unlock()
	r.dev.closeGraph(r.graph)
}

// closeGraph gives a graph back, unless that has been done.
func (d *gpuDevice) closeGraph(g cuda.Graph) {
	if d.graphs[g] {
		g.Close()
		delete(d.graphs, g)
	}
}

// refresh makes the copy of a block's parameters follow them.
func (d *gpuDevice) refresh(b *gpuBlock) error {
	if !b.stale {
		return nil
	}
	if err := d.run(d.t.Convert(kernels.Ptr(b.p), kernels.Ptr(b.copy), int(b.bytes/4))); err != nil {
		return err
	}
	b.stale = false
	return nil
}

// reads notes that a pass that is being recorded reads the copy of a block, which has to be up to date by then.
func (c *gpuCapture) reads(b *gpuBlock) error {
	if b.copy == 0 || b.stale {
		return cuda.ErrFrozen
	}
	if !slices.Contains(c.blocks, b) {
		c.blocks = append(c.blocks, b)
	}
	return nil
}
