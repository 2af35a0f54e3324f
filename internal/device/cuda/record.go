package cuda

import (
	"errors"
	"slices"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// A network of small images is hundreds of launches that each run for microseconds: made one by one, from a graph that
// is walked again every time, they leave the card idle in between. So a pass that has run before is recorded as a CUDA
// graph, and launched as a whole from then on.

// gpuCapture is what is known of a pass while it is recorded.
type gpuCapture struct {
	blocks  []*gpuBlock // whose copies it reads
	problem error       // why it cannot be recorded
}

// gpuRecording implements Recording.
type gpuRecording struct {
	dev        *gpuDevice
	graph      Graph
	blocks     []*gpuBlock
	generation int // of the scratch memory
}

// recorded makes one call of an operation part of the pass that is being recorded; what cannot be part of one ends the
// recording, not the device.
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

// doAlone is like do, for operations that synchronise or move memory: they abort a recording rather than join it.
func (d *gpuDevice) doAlone(f func() error) {
	d.do(func() error {
		if d.capture != nil {
			return ErrFrozen
		}
		return f()
	})
}

// Record implements Recorder.
func (d *gpuDevice) Record(pass func() error) (device.Recording, error) {
	d.recording.Lock()
	defer d.recording.Unlock()
	begun := false
	d.do(func() error {
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
	var graph Graph
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
	return r, nil
}

// endCapture returns what was recorded; nil where that is not possible.
func (d *gpuDevice) endCapture() Graph {
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
func (d *gpuDevice) closeGraph(g Graph) {
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
		return ErrFrozen
	}
	if !slices.Contains(c.blocks, b) {
		c.blocks = append(c.blocks, b)
	}
	return nil
}
