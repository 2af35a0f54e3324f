package i3d

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/ops"
)

// workspace is the memory of the runs of all graphs of one owner, which never overlap; it grows to the largest need.
type workspace struct {
	dev   device.Device
	block device.Block
	users []*device.Arena // settled in block
}

// settle makes sure that the arena lies in the block, which may have to grow for it.
func (w *workspace) settle(a *device.Arena) error {
	if w.block == nil || w.block.Bytes() < a.Bytes() {
		w.free() // before asking for more
		b, err := w.dev.NewBlock(a.Bytes())
		if err != nil {
			return err
		}
		w.block = b
	}
	if !slices.Contains(w.users, a) {
		a.Settle(w.block)
		w.users = append(w.users, a)
	}
	return nil
}

// free gives the block back; the arenas have to be settled again.
func (w *workspace) free() {
	for _, u := range w.users {
		u.Unsettle()
	}
	if w.block != nil {
		w.block.Free()
	}
	w.users, w.block = nil, nil
}

// drop forgets an arena that will not run again.
func (w *workspace) drop(a *device.Arena) {
	w.users = slices.DeleteFunc(w.users, func(u *device.Arena) bool { return u == a })
}

func (w *workspace) bytes() int64 {
	if w.block == nil {
		return 0
	}
	return w.block.Bytes()
}

// graph is one compiled Gorgonia graph with its memory.
type graph struct {
	g       *gorgonia.ExprGraph
	rt      *ops.Runtime
	machine gorgonia.VM
	inputs  device.Block
	input   *device.Tensor // (N, C, D, H, W)
	targets *device.Tensor // (N, labels), training only
	logits  *gorgonia.Node
	head    *ops.Classifier // inference only
	trace   ops.Trace
	bound   []*gorgonia.Node
	values  []*device.Tensor
	tape    recording
}

// recording is what a device has recorded of a graph, so that Gorgonia need not walk it again.
type recording struct {
	device.Recording
	in     device.Block // the workspace that the arena lay in
	runs   int          // that Gorgonia has made in it
	failed int          // attempts
}

// Devices choose algorithms and allocate in their first runs. If recording fails after that, it is unlikely ever to
// succeed.
const (
	runsToRecord   = 2
	recordAttempts = 2
)

func (r *recording) close() {
	if r.Recording != nil {
		r.Close()
		r.Recording = nil
	}
}

// free gives the graph's own memory back, and its part in the workspace; it does not run again.
func (g *graph) free(w *workspace) {
	g.tape.close()
	w.drop(g.rt.Arena)
	if g.inputs != nil {
		g.inputs.Free()
		g.inputs = nil
	}
}

func newGraph(dev device.Device) *graph {
	return &graph{g: gorgonia.NewGraph(), rt: &ops.Runtime{Device: dev, Arena: device.NewArena(dev)}}
}

// node adds an input node that stands for a tensor.
func (g *graph) node(name string, t *device.Tensor) *gorgonia.Node {
	n := gorgonia.NewTensor(g.g, tensor.Float32, t.Shape().Dims(), gorgonia.WithShape(t.Shape()...), gorgonia.WithName(name))
	g.bound, g.values = append(g.bound, n), append(g.values, t)
	return n
}

// addInputs allocates the network's input and, if labels > 0, the targets.
func (g *graph) addInputs(cfg Config, batch int, shape [3]int, labels int) error {
	dev := g.rt.Device
	in := device.Spec{Kind: device.Input, Shape: []int{batch, cfg.InChannels, shape[0], shape[1], shape[2]}}
	t := device.Spec{Kind: device.Values, Shape: []int{batch, labels}}
	b, err := dev.NewBlock(dev.Bytes(in) + dev.Bytes(t))
	if err != nil {
		return err
	}
	g.inputs = b
	g.input = dev.Place(in, b, 0)
	if labels > 0 {
		g.targets = dev.Place(t, b, dev.Bytes(in))
	}
	return nil
}

// compile binds the tensors, builds the tape machine and finds the memory that a run needs with a run on a planning
// device.
func (g *graph) compile() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("i3d: compiling the graph: %v", r)
		}
	}()
	for i, n := range g.bound {
		if err := gorgonia.Let(n, g.values[i]); err != nil {
			return fmt.Errorf("i3d: %s: %w", n.Name(), err)
		}
	}
	g.machine = gorgonia.NewTapeMachine(g.g)
	dev := g.rt.Device
	g.rt.Device = device.DryRun(dev)
	err = g.execute()
	g.rt.Device = dev
	g.rt.Arena.Plan()
	return err
}

func (g *graph) execute() error {
	g.rt.Arena.Begin()
	g.rt.Failed = nil
	g.machine.Reset()
	err := g.machine.RunAll()
	if g.rt.Failed != nil { // Gorgonia's account of it is long
		return g.rt.Failed
	}
	if err != nil {
		return fmt.Errorf("i3d: %w", err)
	}
	return nil
}

// run executes the graph in the workspace.
func (g *graph) run(w *workspace) error {
	if err := w.settle(g.rt.Arena); err != nil {
		return err
	}
	if g.trace != nil {
		g.rt.Trace = g.trace
		defer func() { g.rt.Trace = nil }()
		return g.execute()
	}
	if _, can := g.rt.Device.(device.Recorder); !can {
		return g.replay(taped{g}, w.block)
	}
	if recorder := device.RecorderOf(g.rt.Device); recorder != nil {
		return g.replay(recorder, w.block)
	}
	return g.execute()
}

// taped records the passes of a graph on a device that cannot: Gorgonia starts a goroutine and looks up values in maps
// for every pass, which takes a tenth of one on a small image.
type taped struct{ g *graph }

// Record implements device.Recorder.
func (t taped) Record(pass func() error) (device.Recording, error) {
	dev := t.g.rt.Device
	tape := device.NewTape(dev)
	t.g.rt.Device = tape
	defer func() { t.g.rt.Device = dev }()
	if err := pass(); err != nil || !tape.Whole() {
		return nil, err
	}
	return tape, nil
}

// replay runs the graph as the device has recorded it, or by Gorgonia until it has.
func (g *graph) replay(recorder device.Recorder, in device.Block) (err error) {
	t := &g.tape
	if t.Recording != nil {
		if t.in == in && t.Run() {
			return nil
		}
		t.close()
	}
	if t.in != in {
		t.in, t.runs = in, 0
	}
	t.runs++
	if t.runs <= runsToRecord || t.failed == recordAttempts {
		return g.execute()
	}
	if t.Recording, err = recorder.Record(g.execute); err != nil {
		return err
	}
	if t.Recording != nil && t.Run() {
		return nil
	}
	t.failed++
	return g.execute()
}

// value reads a node's tensor after a run.
func (g *graph) value(n *gorgonia.Node) []float32 {
	t := n.Value().(*device.Tensor)
	v := make([]float32, t.Size())
	g.rt.Device.Download(t, v)
	return v
}

// splitLogits cuts (N, sum of classes) into one (N, classes) array per label.
func splitLogits(all []float32, outputs []int) [][]float32 {
	total := 0
	for _, n := range outputs {
		total += n
	}
	split := make([][]float32, len(outputs))
	for first := 0; first < len(all); first += total {
		from := first
		for label, n := range outputs {
			split[label] = append(split[label], all[from:from+n]...)
			from += n
		}
	}
	return split
}

func checkInput(cfg Config, x []float32, batch int, shape [3]int) error {
	if want := batch * cfg.InChannels * shape[0] * shape[1] * shape[2]; len(x) != want {
		return fmt.Errorf("i3d: input of %d values, expected %d (%d x %d x %dx%dx%d)", len(x), want, batch, cfg.InChannels, shape[0], shape[1], shape[2])
	}
	return nil
}
