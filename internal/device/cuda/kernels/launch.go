// Package kernels holds the CUDA C sources of the GPU's own kernels, with the parameters and the launch geometry of
// each as Go functions of the shapes.
//
// Activations lie channels last, (N, D, H, W, C) of an element type T with a pitch between voxels, so that a view may
// be some of the channels of a wider tensor. Arithmetic is float, sums over many values end in double. Reductions have
// two stages and a shape that depends on nothing but the tensors' sizes: results do not depend on how blocks are
// scheduled.
package kernels

import (
	"embed"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unsafe"
)

//go:embed *.cu
var sources embed.FS

// files are the sources in the order in which they make one translation unit; the last one is for tensor cores.
var files = []string{"element.cu", "layout.cu", "batchnorm.cu", "pooling.cu", "head.cu", "optimiser.cu", "conv.cu", "stem.cu", "stem_tensor.cu"}

// Source is the one translation unit of all kernels.
func Source() string { return source(files) }

func source(files []string) string {
	var b strings.Builder
	for _, f := range files {
		text, err := sources.ReadFile(f)
		if err != nil {
			panic(err) // embedded
		}
		fmt.Fprintf(&b, "#line 1 %q\n%s", f, text)
	}
	return b.String()
}

// Type is the element type T of activations and of the convolutions' weights.
type Type uint8

// The element types.
const (
	Float32 Type = iota
	BFloat16
	FP16
)

// Types are all element types.
var Types = []Type{Float32, BFloat16, FP16}

// Bytes is the size of an element.
func (t Type) Bytes() int {
	if t == Float32 {
		return 4
	}
	return 2
}

func (t Type) String() string { return [...]string{"fp32", "bf16", "fp16"}[t] }

// lanes is the number of channels that one thread handles: 16 bytes.
func (t Type) lanes() int { return 16 / t.Bytes() }

// Options are NVRTC's for a compute capability (75, 80, 86, 89, 90, ...). Nothing is included, so there is no search
// path.
func Options(t Type, arch int) []string {
	o := []string{fmt.Sprintf("--gpu-architecture=sm_%d", arch), fmt.Sprintf("--define-macro=UC_TYPE=%d", t), "--std=c++17", "--device-as-default-execution-space"}
	if TensorCores(t, arch) {
		o = append(o, "--define-macro=UC_TENSOR")
	}
	return o
}

var kernelHead = regexp.MustCompile(`(?s)extern "C" __global__ void(?: __launch_bounds__\([^)]*\))? (\w+)\((.*?)\)\s*\{`)

// Names are the names of the kernels that a module for a compute capability has; those of the last file need
// TensorCores.
func Names(t Type, arch int) (names []string) {
	files := files
	if !TensorCores(t, arch) {
		files = files[:len(files)-1]
	}
	for _, m := range kernelHead.FindAllStringSubmatch(source(files), -1) {
		names = append(names, m[1])
	}
	return names
}

// Ptr is an address in the card's memory; 0 stands for an optional array that is not there.
type Ptr uint64

// ArgKind is the type of a kernel's parameter.
type ArgKind uint8

// The types of parameters.
const (
	Pointer ArgKind = iota
	Int32
	Float
	Double
	Struct // of 32-bit integers, by value
)

// Arg is one parameter of a kernel: Bits hold the value in their low bytes (machines with a driver are little-endian),
// Words a struct's.
type Arg struct {
	Kind  ArgKind
	Bits  uint64
	Words []int32
}

// Pointer is where the value lies, as kernelParams of cuLaunchKernel wants it.
func (a *Arg) Pointer() unsafe.Pointer {
	if a.Kind == Struct {
		return unsafe.Pointer(unsafe.SliceData(a.Words))
	}
	return unsafe.Pointer(&a.Bits)
}

func (p Ptr) arg() Arg { return Arg{Kind: Pointer, Bits: uint64(p)} }

func integer(v int) Arg {
	if int(int32(v)) != v {
		panic(fmt.Sprintf("kernels: %d does not fit a kernel's 32-bit parameter", v))
	}
	return Arg{Kind: Int32, Bits: uint64(uint32(int32(v)))}
}

func boolean(v bool) Arg {
	if v {
		return integer(1)
	}
	return integer(0)
}

func float(v float64) Arg {
	return Arg{Kind: Float, Bits: uint64(math.Float32bits(float32(v)))}
}

func double(v float64) Arg { return Arg{Kind: Double, Bits: math.Float64bits(v)} }

// triples is a struct of arrays of three, one per axis (D, H, W).
func triples(values ...[3]int) Arg {
	a := Arg{Kind: Struct}
	for _, v := range values {
		for _, n := range v {
			a.Words = append(a.Words, int32(n))
		}
	}
	return a
}

// Launch is one kernel with all that cuLaunchKernel wants.
type Launch struct {
	Kernel      string
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	Args        []Arg
}

// Params are the addresses of all parameters; they live as long as l.Args.
func (l *Launch) Params() []unsafe.Pointer {
	p := make([]unsafe.Pointer, len(l.Args))
	for i := range l.Args {
		p[i] = l.Args[i].Pointer()
	}
	return p
}

// launch builds a Launch; args are Ptr, int, bool or Arg.
func launch(kernel string, grid, block [3]int, args ...any) Launch {
	l := Launch{Kernel: kernel}
	for a, limit := range [3]int{math.MaxInt32, 65535, 65535} {
		if grid[a] < 1 || grid[a] > limit || block[a] < 1 {
			panic(fmt.Sprintf("kernels: %s over a grid of %v blocks of %v", kernel, grid, block))
		}
		l.Grid[a], l.Block[a] = uint32(grid[a]), uint32(block[a])
	}
	for _, v := range args {
		switch v := v.(type) {
		case Ptr:
			l.Args = append(l.Args, v.arg())
		case int:
			l.Args = append(l.Args, integer(v))
		case bool:
			l.Args = append(l.Args, boolean(v))
		case Arg:
			l.Args = append(l.Args, v)
		default:
			panic(fmt.Sprintf("kernels: %s given a %T", kernel, v))
		}
	}
	return l
}

// View is an activation, or some channels of one: element c of voxel v lies at Data + (v*Pitch + c) elements.
type View struct {
	Data          Ptr
	N, D, H, W, C int
	Pitch         int
}

// Voxels is the number of voxels of the whole batch.
func (v View) Voxels() int { return v.N * v.D * v.H * v.W }

func (v View) size() [3]int { return [3]int{v.D, v.H, v.W} }

// Slice views count channels from first on.
func (v View) Slice(t Type, first, count int) View {
	v.Data += Ptr(first * t.Bytes())
	v.C = count
	return v
}

// wide reports whether groups of 16 bytes of all views are aligned.
func (t Type) wide(views ...View) bool {
	for _, v := range views {
		if v.Data%16 != 0 || v.Pitch%t.lanes() != 0 {
			return false
		}
	}
	return true
}

func ceil(a, b int) int { return (a + b - 1) / b }

// threads is the size of most blocks.
const threads = 256

// flat is the geometry of one thread per element.
func flat(n int) (grid, block [3]int) {
	return [3]int{max(1, ceil(n, threads)), 1, 1}, [3]int{threads, 1, 1}
}

// perVoxel is the geometry of kernels whose threads own a group of channels: x counts groups, y voxels; the grid's x
// are pieces of at most run voxels per thread, its y the groups beyond one block.
func (t Type) perVoxel(voxels, channels, run int) (grid, block [3]int) {
	groups := ceil(channels, t.lanes())
	parts := ceil(groups, 32)
	bx := ceil(groups, parts)
	by := threads / bx
	return [3]int{max(1, ceil(voxels, by*run)), ceil(groups, bx), 1}, [3]int{bx, by, 1}
}
