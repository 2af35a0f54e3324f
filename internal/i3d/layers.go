// Package i3d is the I3D network (Inception-v1 inflated to 3D, Carreira & Zisserman 2017) as a Gorgonia graph: training
// and inference.
package i3d

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/device"
)

// Config is what varies between networks: input channels (modalities and the mask) and the number of classes of every
// label.
type Config struct {
	InChannels int
	Outputs    []int
}

func (c Config) check() error {
	if c.InChannels < 1 {
		return fmt.Errorf("i3d: %d input channels", c.InChannels)
	}
	if len(c.Outputs) == 0 {
		return fmt.Errorf("i3d: no classification label")
	}
	for _, n := range c.Outputs {
		if n < 2 {
			return fmt.Errorf("i3d: a classification label with %d classes; expected at least 2", n)
		}
	}
	return nil
}

// stage is one step of the network, exactly one of its members set: a convolution with outputs, a pooling or an
// Inception block with the six widths of its convolutions (branch 0; 1: 1x1x1, 3x3x3; 2: 1x1x1, 3x3x3; 3: 1x1x1 after
// the pooling).
type stage struct {
	name    string
	outputs int
	conv    device.Conv
	pool    *device.Pooling
	mixed   []int
}

func cube(n int) [3]int { return [3]int{n, n, n} }

func unit(name string, outputs, kernel, stride int) stage {
	return stage{name: name, outputs: outputs, conv: device.Conv{Kernel: cube(kernel), Stride: cube(stride)}}
}

func pool(name string, kernel, stride [3]int) stage {
	return stage{name: name, pool: &device.Pooling{Kernel: kernel, Stride: stride}}
}

func mixed(name string, widths ...int) stage { return stage{name: name, mixed: widths} }

// stages is the network from input to features, named as in the reference's state_dict.
var stages = []stage{
	unit("conv3d_1a_7x7", 64, 7, 2),
	pool("maxPool3d_2a_3x3", [3]int{1, 3, 3}, [3]int{1, 2, 2}),
	unit("conv3d_2b_1x1", 64, 1, 1),
	unit("conv3d_2c_3x3", 192, 3, 1),
	pool("maxPool3d_3a_3x3", [3]int{1, 3, 3}, [3]int{1, 2, 2}),
	mixed("mixed_3b", 64, 96, 128, 16, 32, 32),
	mixed("mixed_3c", 128, 128, 192, 32, 96, 64),
	pool("maxPool3d_4a_3x3", cube(3), cube(2)),
	mixed("mixed_4b", 192, 96, 208, 16, 48, 64),
	mixed("mixed_4c", 160, 112, 224, 24, 64, 64),
	mixed("mixed_4d", 128, 128, 256, 24, 64, 64),
	mixed("mixed_4e", 112, 144, 288, 32, 64, 64),
	mixed("mixed_4f", 256, 160, 320, 32, 128, 128),
	pool("maxPool3d_5a_2x2", cube(2), cube(2)),
	mixed("mixed_5b", 256, 160, 320, 32, 128, 128),
	mixed("mixed_5c", 384, 192, 384, 48, 128, 128),
}

// features is the number of channels the linear layers see.
const features = 1024

// layer is a convolution with batch norm as the device holds it: the convolutions of an Inception block that read its
// input are one layer, whose parts are one below the other.
type layer struct {
	conv  device.Conv
	in    int
	parts []part
}

// part is one convolution of the reference.
type part struct {
	name    string // state_dict prefix, "mixed_3b.branch_1.0"
	outputs int
}

func (l layer) outputs() (n int) {
	for _, p := range l.parts {
		n += p.outputs
	}
	return n
}

func (l layer) weightShape() []int {
	k := l.conv.Kernel
	return []int{l.outputs(), l.in, k[0], k[1], k[2]}
}

var (
	pointwise = device.Conv{Kernel: cube(1), Stride: cube(1)}
	cubic     = device.Conv{Kernel: cube(3), Stride: cube(1)}
)

// layersOf lists a stage's layers (one, none or an Inception block's four) and its output channels.
func layersOf(s stage, in int) (layers []layer, out int) {
	switch {
	case s.pool != nil:
		return nil, in
	case s.mixed == nil:
		return []layer{{s.conv, in, []part{{s.name, s.outputs}}}}, s.outputs
	}
	w := s.mixed
	return []layer{
		{pointwise, in, []part{{s.name + ".branch_0", w[0]}, {s.name + ".branch_1.0", w[1]}, {s.name + ".branch_2.0", w[3]}}},
		{cubic, w[1], []part{{s.name + ".branch_1.1", w[2]}}},
		{cubic, w[3], []part{{s.name + ".branch_2.1", w[4]}}},
		{pointwise, in, []part{{s.name + ".branch_3.1", w[5]}}},
	}, w[0] + w[2] + w[4] + w[5]
}

// allLayers lists the layers of every stage for the network's input channels.
func allLayers(in int) [][]layer {
	all := make([][]layer, len(stages))
	for i, s := range stages {
		all[i], in = layersOf(s, in)
	}
	return all
}
