// Package cuda is an NVIDIA card as a device; it chooses how the card computes the network's convolutions.
package cuda

import (
	"time"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// Card is what a device needs of a card. Everything but Prefetch runs in order on one stream; launches return before
// they have run.
type Card interface {
	Info() driver.CardInfo
	Versions() (nvrtc, cudnn string)
	HasCuDNN() bool
	Memory() (free, total int64, err error)

	Alloc(bytes int64) (uint64, error) // holding zeros
	Free(p uint64)
	Zero(p uint64, bytes int64) error
	Copy(dst, src uint64, bytes int64) error
	Upload(dst uint64, src []byte) error
	Download(dst []byte, src uint64) error
	Prefetch(slot int, dst uint64, src []byte) error
	TakePrefetched(slot int, dst, src uint64, bytes int64) error
	Sync() error

	Run(l kernels.Launch) error
	Time(f func() error) (time.Duration, error)
	Plans(p driver.Problem) (Candidates, error)

	// BeginCapture has what follows taken down instead of run, until EndCapture makes a graph of it. Only Run, Zero, Copy
	// and plans that have run before may come between the two. After EndCapture everything runs as ever, whether it
	// returns an error or not.
	BeginCapture() error
	EndCapture() (Graph, error)
	Close()
}

// Graph is a sequence of launches that is launched as a whole.
type Graph interface {
	Launch() error
	Close()
}

// Candidates are the ways in which a convolution may be computed, best guess first.
type Candidates interface {
	Len() int
	Build(i int) (Plan, error)
	Close()
}

// Plan computes a convolution: the pointers are to x, w and y whatever the direction, and to the bias or 0.
type Plan interface {
	Workspace() int64
	Run(x, w, y, bias, workspace uint64) error
	Close()
}

// Open opens a real card with the kernels for a number format.
func Open(index int, libraries *driver.Report, t kernels.Type) (Card, error) {
	c, err := driver.Open(index, libraries)
	if err != nil {
		return nil, err
	}
	if err := c.Load(kernels.Source(), func(arch int) []string { return kernels.Options(t, arch) }, func(arch int) []string { return kernels.Names(t, arch) }); err != nil {
		c.Close()
		return nil, err
	}
	return card{c}, nil
}

// card makes the driver's card a Card.
type card struct{ *driver.Card }

func (c card) Run(l kernels.Launch) error {
	return c.Launch(l.Kernel, l.Grid, l.Block, l.Shared, l.Params())
}

func (c card) Plans(p driver.Problem) (Candidates, error) {
	found, err := c.Card.Plans(p)
	if err != nil {
		return nil, err
	}
	return candidates{found}, nil
}

func (c card) EndCapture() (Graph, error) {
	g, err := c.Card.EndCapture()
	if err != nil {
		return nil, err
	}
	return g, nil
}

type candidates struct{ *driver.Candidates }

func (c candidates) Build(i int) (Plan, error) {
	p, err := c.Candidates.Build(i)
	if err != nil {
		return nil, err
	}
	return p, nil
}
