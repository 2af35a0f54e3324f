package i3d

import (
	"slices"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/weights"
)

// Names of a convolution's parameters after its prefix.
const (
	convWeight  = ".conv3d.weight"
	normWeight  = ".batch3d.weight"
	normBias    = ".batch3d.bias"
	runningMean = ".batch3d.running_mean"
	runningVar  = ".batch3d.running_var"
)

// layout lists the tensors of a block in device memory, one behind the other. A tensor is the parts of one layer one
// below the other; names are those of the parts' state_dict entries.
type layout struct {
	dev   device.Device
	items []item
	bytes int64
}

type item struct {
	spec   device.Spec
	names  []string
	rows   []int
	offset int64
}

func (l *layout) add(kind device.Kind, shape []int, names []string, rows []int) int {
	s := device.Spec{Kind: kind, Shape: shape}
	l.items = append(l.items, item{spec: s, names: names, rows: rows, offset: l.bytes})
	l.bytes += l.dev.Bytes(s)
	return len(l.items) - 1
}

// addParts adds a tensor of a layer; shape is that of all parts together.
func (l *layout) addParts(kind device.Kind, shape []int, parts []part, suffix string) int {
	var names []string
	var rows []int
	for _, p := range parts {
		names, rows = append(names, p.name+suffix), append(rows, p.outputs)
	}
	return l.add(kind, shape, names, rows)
}

// addLinear adds the linear layers of all labels.
func (l *layout) addLinear(cfg Config) (weight, bias int) {
	var wNames, bNames []string
	total := 0
	for label, n := range cfg.Outputs {
		wNames, bNames = append(wNames, linearName(label)+"weight"), append(bNames, linearName(label)+"bias")
		total += n
	}
	weight = l.add(device.Values, []int{total, features}, wNames, cfg.Outputs)
	bias = l.add(device.Values, []int{total}, bNames, cfg.Outputs)
	return weight, bias
}

// memory is a layout in a block.
type memory struct {
	*layout
	block   device.Block
	tensors []*device.Tensor
	flat    *device.Tensor // all of the block as one array
}

func (l *layout) allocate(dev device.Device) (*memory, error) {
	b, err := dev.NewBlock(l.bytes)
	if err != nil {
		return nil, err
	}
	m := &memory{layout: l, block: b}
	for _, it := range l.items {
		m.tensors = append(m.tensors, dev.Place(it.spec, b, it.offset))
	}
	m.flat = dev.Place(device.Spec{Kind: device.Values, Shape: []int{int(l.bytes / 4)}}, b, 0)
	return m, nil
}

// free gives the memory back; m may be nil.
func (m *memory) free() {
	if m != nil {
		m.block.Free()
	}
}

// load uploads the tensors of sd, which has been checked.
func (m *memory) load(dev device.Device, sd *weights.StateDict) {
	m.fill(dev, func(to []float32, name string) []float32 { return append(to, sd.Get(name).F32...) })
}

// fill uploads what add appends for every name, by way of one array for all.
func (m *memory) fill(dev device.Device, add func(to []float32, name string) []float32) {
	var values []float32
	for i, it := range m.items {
		values = slices.Grow(values[:0], device.Count(it.spec.Shape))
		for _, name := range it.names {
			values = add(values, name)
		}
		dev.Upload(m.tensors[i], values)
	}
}

// store overwrites the tensors of sd that lie in this memory.
func (m *memory) store(dev device.Device, sd *weights.StateDict) {
	var all []float32
	for i, it := range m.items {
		n := device.Count(it.spec.Shape)
		all = slices.Grow(all[:0], n)
		values := all[:n]
		dev.Download(m.tensors[i], values)
		row := device.Count(it.spec.Shape[1:])
		for p, name := range it.names {
			n := copy(sd.Get(name).F32, values[:it.rows[p]*row])
			values = values[n:]
		}
	}
}

// names lists all state_dict entries of the layout.
func (l *layout) names() (all []string) {
	for _, it := range l.items {
		all = append(all, it.names...)
	}
	return all
}
