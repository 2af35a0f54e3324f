package i3d

import (
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/onnx"
	"github.com/universal-classifier/uc/internal/ops"
	"github.com/universal-classifier/uc/internal/weights"
)

// AddONNX adds the network in evaluation mode to an ONNX graph: from input, the name of a tensor (N, C, D, H, W) with
// any N, D, H and W, to the probabilities (N, classes) of every label, whose names it returns. All names that it adds
// begin with prefix. Batch norms are folded. sd must pass CheckStateDict; it is read again when the graph is written.
func AddONNX(g *onnx.Graph, prefix, input string, cfg Config, sd *weights.StateDict) (probabilities []string) {
	n := onnxNetwork{g, prefix, sd}
	x := input
	for i, layers := range allLayers(cfg.InChannels) {
		switch s := stages[i]; {
		case s.pool != nil:
			x = n.maxPool(s.name, x, *s.pool)
		case s.mixed != nil:
			x = n.mixed(s.name, x, layers)
		default:
			x = n.unit(x, layers[0], 0)
		}
	}
	x = n.averagePool(x)
	for label, classes := range cfg.Outputs {
		name := linearName(label)
		w, b := sd.Get(name+"weight"), sd.Get(name+"bias")
		logits := g.Node("Gemm", prefix+name+"logits", []string{x,
			g.Floats(prefix+name+"weight", []int{classes, features}, func() []float32 { return w.F32 }),
			g.Floats(prefix+name+"bias", []int{classes}, func() []float32 { return b.F32 }),
		}, onnx.Int("transB", 1))
		probabilities = append(probabilities, g.Node("Softmax", prefix+name+"probabilities", []string{logits}, onnx.Int("axis", 1)))
	}
	return probabilities
}

// onnxNetwork adds a network's parts to a graph. Its methods take and return names of tensors.
type onnxNetwork struct {
	*onnx.Graph
	prefix string
	sd     *weights.StateDict
}

// unit adds the i-th part of a layer: convolution with the batch norm folded in, and ReLU.
func (n onnxNetwork) unit(x string, l layer, i int) string {
	p := l.parts[i]
	name := n.prefix + p.name
	shape := l.weightShape()
	shape[0] = p.outputs
	lo, hi := l.conv.Padding()
	y := n.Node("Conv", name+".conv", []string{x,
		n.Floats(name+convWeight, shape, func() []float32 {
			w, _ := foldConvolution(n.sd, p.name)
			return w.F32
		}),
		n.Floats(name+foldedBias, []int{p.outputs}, func() []float32 {
			_, b := foldConvolution(n.sd, p.name)
			return b.F32
		}),
	}, onnx.Ints("kernel_shape", l.conv.Kernel[:]...), onnx.Ints("strides", l.conv.Stride[:]...), onnx.Ints("pads", slices.Concat(lo[:], hi[:])...))
	return n.Node("Relu", name, []string{y})
}

// maxPool adds a pooling. The network's is zero-padded and rounds its size up. Its inputs come from ReLUs and no window
// lies in the padding alone, so ONNX's padding, which never wins, gives the same maxima as zeros do; and with stride -
// 1 more of it at the upper side, rounding down gives the size that rounding up gives. Not all runtimes agree on
// ceil_mode.
func (n onnxNetwork) maxPool(name, x string, p device.Pooling) string {
	lo, hi := p.Padding()
	for a := range hi {
		hi[a] += p.Stride[a] - 1
	}
	return n.Node("MaxPool", n.prefix+name, []string{x},
		onnx.Ints("kernel_shape", p.Kernel[:]...), onnx.Ints("strides", p.Stride[:]...), onnx.Ints("pads", slices.Concat(lo[:], hi[:])...))
}

// mixed adds an Inception block.
func (n onnxNetwork) mixed(name, x string, l []layer) string {
	branches := []string{
		n.unit(x, l[0], 0),
		n.unit(n.unit(x, l[0], 1), l[1], 0),
		n.unit(n.unit(x, l[0], 2), l[2], 0),
		n.unit(n.maxPool(name+".branch_3.0", x, ops.MixedPool), l[3], 0),
	}
	return n.Node("Concat", n.prefix+name, branches, onnx.Int("axis", 1))
}

// averagePool adds the average pooling of window min(size, ops.HeadWindow), stride 1, and the mean over what it leaves:
// a weighted mean of all positions. The weight of a position is the product of one factor an axis: the number of
// windows that cover it, over the number of all windows times their length. Sizes are those of the run.
func (n onnxNetwork) averagePool(x string) string {
	at := func(name string) string { return n.prefix + "head." + name }
	one := n.Integers(at("one"), nil, 1)
	shape := n.Node("Shape", at("shape"), []string{x})
	var factors []string
	for a, window := range ops.HeadWindow {
		axis := func(name string) string { return at(fmt.Sprintf("axis_%d.%s", a, name)) }
		size := n.Node("Gather", axis("size"), []string{shape, n.Integers(axis("index"), nil, int64(2+a))})
		length := n.Node("Min", axis("length"), []string{size, n.Integers(axis("window"), nil, int64(window))})
		windows := n.Node("Add", axis("windows"), []string{n.Node("Sub", axis("steps"), []string{size, length}), one})
		position := n.Node("Range", axis("position"), []string{n.Integers(axis("zero"), nil, 0), size, one})
		left := n.Node("Add", axis("left"), []string{position, one})
		right := n.Node("Sub", axis("right"), []string{size, position})
		cover := n.Node("Min", axis("cover"), []string{left, right, length, windows})
		factor := n.Node("Div", axis("factor"), []string{
			n.toFloat(axis("cover_float"), cover),
			n.toFloat(axis("total_float"), n.Node("Mul", axis("total"), []string{windows, length})),
		})
		if a < 2 { // (size) to (size, 1, 1) and (size, 1)
			axes := []int64{1, 2}[:2-a]
			factor = n.Node("Unsqueeze", axis("factor_axes"), []string{factor, n.Integers(axis("axes"), []int{len(axes)}, axes...)})
		}
		factors = append(factors, factor)
	}
	weight := n.Node("Mul", at("weight"), []string{n.Node("Mul", at("weight_zy"), factors[:2]), factors[2]})
	weighted := n.Node("Mul", at("weighted"), []string{x, weight})
	return n.Node("ReduceSum", at("features"), []string{weighted, n.Integers(at("axes"), []int{3}, 2, 3, 4)}, onnx.Int("keepdims", 0))
}

func (n onnxNetwork) toFloat(output, x string) string {
	return n.Node("Cast", output, []string{x}, onnx.Int("to", onnx.Float))
}
