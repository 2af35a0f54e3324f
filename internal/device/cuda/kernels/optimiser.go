package kernels

import (
	"bytes"
	"encoding/binary"
)

// Control are the numbers of an optimiser step as they lie on the card (struct Control in element.cu, ControlBytes
// long). The first nine are the host's to set, the others the card's; Good and LossScale change with every step when
// Growth is not 0.
type Control struct {
	LR, Momentum, WeightDecay float32
	ClipNorm                  float32 // largest gradient norm; 0 switches clipping off
	Keep                      float32 // Momentum, or 0 as long as there is none: it becomes the gradient
	LossScale                 float32 // the gradients are this times too large; 1 unless T is FP16
	Growth                    int32   // good steps until the loss scale doubles; 0: it is fixed, and no step is skipped
	Good                      int32   // good steps since it changed
	SkippedTotal              int32
	Skipped                   int32   // 1: this step's gradients overflowed
	Scale                     float32 // what the gradients were multiplied by
	_                         int32
	Norm                      float64 // of the gradients, before clipping
}

// ControlBytes is the size of Control on the card.
const ControlBytes = 56

// Encode returns c as it lies on the card.
func (c *Control) Encode() []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, c); err != nil {
		panic(err) // a struct of fixed size
	}
	return b.Bytes()
}

// Decode reads what lies on the card.
func (c *Control) Decode(data []byte) error {
	return binary.Read(bytes.NewReader(data), binary.LittleEndian, c)
}

// Gradients are squared in pieces, one block each.
const (
	stepPiece     = 1 << 14
	stepPiecesMax = 1024
	stepGridMax   = 2048
)

func stepPieces(n int) (pieces, piece int) {
	pieces = min(stepPiecesMax, max(1, ceil(n, stepPiece)))
	piece = max(1, ceil(n, pieces))
	return max(1, ceil(n, piece)), piece
}

// StepScratch is the memory in bytes that Step needs for n parameters.
func (t Type) StepScratch(n int) int64 {
	pieces, _ := stepPieces(n)
	return 8 * int64(pieces)
}

// Step is device.Device's, over n floats each of params, grads and momentum. It reads the Control at control and writes
// its results there. working, unless 0, gets the new parameters as T.
func (t Type) Step(params, grads, momentum, working Ptr, n int, control, scratch Ptr) []Launch {
	grid, block := stepGrid(n)
	return append(decide(grads, n, control, scratch), launch("sgd_step", grid, block, params, grads, momentum, working, n, control))
}

// decide computes the norm of the gradients and what the step makes of it.
func decide(grads Ptr, n int, control, scratch Ptr) []Launch {
	pieces, piece := stepPieces(n)
	_, block := stepGrid(n)
	return []Launch{
		launch("gradient_squares", [3]int{pieces, 1, 1}, block, grads, n, piece, scratch),
		launch("step_control", [3]int{1, 1, 1}, block, scratch, pieces, control),
	}
}

func stepGrid(n int) (grid, block [3]int) {
	grid, block = flat(n)
	grid[0] = min(grid[0], stepGridMax)
	return grid, block
}

// AdamW are the numbers of adamw_step: p = Shrink*p - Rate*m/(sqrt(v)*Root + Eps) with the moments m and v.
type AdamW struct {
	Beta1, Beta2, Shrink, Rate, Root, Eps float64
	Fresh                                 bool // the moments count as 0
}

// StepAdamW is device.Device's; of the Control it needs ClipNorm and the loss scale.
func (t Type) StepAdamW(o AdamW, params, grads, first, second, working Ptr, n int, control, scratch Ptr) []Launch {
	grid, block := stepGrid(n)
	return append(decide(grads, n, control, scratch), launch("adamw_step", grid, block, params, grads, first, second, working, n, control,
		float(o.Beta1), float(1-o.Beta1), float(o.Beta2), float(1-o.Beta2), float(o.Shrink), float(o.Rate), float(o.Root), float(o.Eps), o.Fresh))
}

// Average is device.Device's, over n floats.
func (t Type) Average(dst, src Ptr, n int, keep float64) []Launch {
	grid, block := stepGrid(n)
	return []Launch{launch("running_average", grid, block, dst, src, n, float(keep))}
}
