// Package cpu is the processor as a device: the layers' algorithms on blocked float32 and bfloat16 arrays, on a pool of
// workers.
//
// Activations are channels-blocked, [N][Cb][D][H][W][16] with Cb = ceil(C/16); channels that only fill the last
// block are zero. Every kernel exists in portable Go, which specifies it, and in AVX2 and AVX-512 versions that
// are tested against it. Work is cut into the same tiles whatever the number of threads, so results are
// bit-equal for any thread count.
package cpu

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// Blocks returns ceil(channels/Block).
func Blocks(channels int) int { return (channels + kernel.Block - 1) / kernel.Block }

// Act is a view of an activation (or of its gradient).
//
// Blocked (the default): sample n, channel c, voxel (d,h,w) lies at
// n*NStride + ((c/16*D+d)*H+h)*W+w)*16 + c%16. NStride may be larger than Blocks(C)*D*H*W*16, so that a view can be
// a slice of the channels of a wider array (see Slice). Channels C..Blocks(C)*16-1 must be zero and stay zero.
//
// BF16: the same order with values in bfloat16, two to a float of Data: a voxel of a block takes 8 floats of memory
// instead of 16, and NStride counts floats of memory.
//
// Planar: sample n, channel c, voxel (d,h,w) lies at n*NStride + ((c*D+d)*H+h)*W+w, as PyTorch has it. Only the
// input x of ConvForward and ConvBackwardWeights may be planar; it suits few input channels.
type Act struct {
	Data          []float32
	N, C, D, H, W int
	NStride       int
	Planar        bool
	BF16          bool
}

// vec returns the floats of memory that the 16 channels of a voxel take.
func (a Act) vec() int {
	if a.BF16 {
		return kernel.Block / 2
	}
	return kernel.Block
}

// NewAct allocates a blocked activation of zeros.
func NewAct(n, c, d, h, w int) Act {
	return ActOn(kernel.AlignedFloats(ActLen(n, c, d, h, w)), n, c, d, h, w)
}

// ActLen returns the number of floats of a dense blocked activation.
func ActLen(n, c, d, h, w int) int { return n * Blocks(c) * d * h * w * kernel.Block }

// ActOn views the beginning of data as a dense blocked activation.
func ActOn(data []float32, n, c, d, h, w int) Act {
	stride := Blocks(c) * d * h * w * kernel.Block
	return Act{Data: data[:n*stride], N: n, C: c, D: d, H: h, W: w, NStride: stride}
}

// BF16On views the beginning of data as a dense blocked activation in bfloat16.
func BF16On(data []float32, n, c, d, h, w int) Act {
	stride := Blocks(c) * d * h * w * kernel.Block / 2
	return Act{Data: data[:n*stride], N: n, C: c, D: d, H: h, W: w, NStride: stride, BF16: true}
}

// like views the beginning of data as a dense activation in a's format.
func (a Act) like(data []float32, n, c, d, h, w int) Act {
	if a.BF16 {
		return BF16On(data, n, c, d, h, w)
	}
	return ActOn(data, n, c, d, h, w)
}

// PlanarOn views the beginning of data as a dense [N][C][D][H][W] activation.
func PlanarOn(data []float32, n, c, d, h, w int) Act {
	stride := c * d * h * w
	return Act{Data: data[:n*stride], N: n, C: c, D: d, H: h, W: w, NStride: stride, Planar: true}
}

// Slice views channels [first, first+count); first must be a multiple of Block.
func (a Act) Slice(first, count int) Act {
	if first%kernel.Block != 0 || first < 0 || first+count > Blocks(a.C)*kernel.Block || a.Planar {
		panic(fmt.Sprintf("cpu: channels [%d, %d) are not a blocked slice of %d channels", first, first+count, a.C))
	}
	a.Data = a.Data[first/kernel.Block*a.D*a.H*a.W*a.vec():]
	a.C = count
	return a
}

// Voxels returns D*H*W.
func (a Act) Voxels() int { return a.D * a.H * a.W }

// Size returns (D, H, W).
func (a Act) Size() [3]int { return [3]int{a.D, a.H, a.W} }

// block returns the memory of sample n, channel block cb.
func (a Act) block(n, cb int) []float32 {
	size := a.D * a.H * a.W * a.vec()
	start := n*a.NStride + cb*size
	return a.Data[start : start+size : start+size]
}

// checkSame panics unless both have the same samples, channels and size.
func checkSame(what string, a, b Act) {
	if a.N != b.N || a.C != b.C || a.Size() != b.Size() || a.BF16 != b.BF16 {
		panic(fmt.Sprintf("cpu: %s: shapes differ: (%d,%d,%v) and (%d,%d,%v)", what, a.N, a.C, a.Size(), b.N, b.C, b.Size()))
	}
}

// PackActivations rearranges a dense [N][C][D][H][W] array into the blocked y.
func PackActivations(p *Workers, ncdhw []float32, y Act) {
	vox := y.Voxels()
	cb := Blocks(y.C)
	p.Run(y.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		dst := y.block(n, b)
		clear(dst)
		set := func(at int, f float32) { dst[at] = f }
		if y.BF16 {
			values := halves(dst)
			set = func(at int, f float32) { values[at] = kernel.ToBF16(f) }
		}
		for c := range min(kernel.Block, y.C-b*kernel.Block) {
			for v, f := range ncdhw[(n*y.C+b*kernel.Block+c)*vox:][:vox] {
				set(v*kernel.Block+c, f)
			}
		}
	})
}

// UnpackActivations rearranges the blocked x into a dense [N][C][D][H][W] array.
func UnpackActivations(p *Workers, x Act, ncdhw []float32) {
	vox := x.Voxels()
	cb := Blocks(x.C)
	p.Run(x.N*cb, func(_, tile int) {
		n, b := tile/cb, tile%cb
		src := x.block(n, b)
		get := func(at int) float32 { return src[at] }
		if x.BF16 {
			values := halves(src)
			get = func(at int) float32 { return kernel.FromBF16(values[at]) }
		}
		for c := range min(kernel.Block, x.C-b*kernel.Block) {
			dst := ncdhw[(n*x.C+b*kernel.Block+c)*vox:][:vox]
			for v := range dst {
				dst[v] = get(v*kernel.Block + c)
			}
		}
	})
}
