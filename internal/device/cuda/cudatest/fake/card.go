// Package fake is a card for tests without one: it notes what it is asked to do, rejects what a real card would stumble
// over, and, given an emulator, computes.
package fake

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// Event is one thing that the card did.
type Event struct {
	Kind    string // alloc, free, upload, download, copy, prefetch, take, launch, plan, graph
	Name    string // the kernel's, or a plan's direction
	Bytes   int64
	Problem driver.Problem // of a plan
	Args    string         // of a launch or plan: grid, block, parameters
}

// Computer computes what the card is asked to: an emulator. Its memory begins with no numbers.
type Computer interface {
	Alloc(bytes int64) kernels.Ptr
	Write(p kernels.Ptr, data []byte)
	Read(p kernels.Ptr, data []byte)
	Launch(l kernels.Launch)
}

// Card implements cuda.Card.
type Card struct {
	Type     kernels.Type
	Computer Computer // nil: nothing is computed, and downloads are zeros
	CuDNN    bool
	Refuse   func(p driver.Problem) bool // whether cuDNN has no plan
	Total    int64                       // memory
	Slow     func(e []Event) bool        // whether what was done takes twice as long as other things
	LostAt   int                         // the launch, counted from 1, at which the card is lost; 0: never
	// NoCapture fails captures: at their "begin", at a "launch" or at the "end".
	NoCapture string

	mu       sync.Mutex
	events   []Event
	blocks   []block // by address
	next     uint64
	used     int64
	launches int
	problem  error
	capture  *graph
	graphs   int
}

type block struct {
	p     uint64
	bytes int64
}

// New returns a card with cuDNN and much memory.
func New(t kernels.Type) *Card {
	return &Card{Type: t, CuDNN: true, Total: 64 << 30, next: 1 << 32}
}

// Events returns what happened since the last call.
func (c *Card) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.events
	c.events = nil
	return e
}

// Problem is the first thing that a real card would have stumbled over.
func (c *Card) Problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem
}

func (c *Card) note(e Event) { c.events = append(c.events, e) }

func (c *Card) wrong(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if c.problem == nil {
		c.problem = err
	}
	return err
}

// inside checks that memory is allocated.
func (c *Card) inside(what string, p uint64, bytes int64) error {
	i, exact := slices.BinarySearchFunc(c.blocks, p, func(b block, p uint64) int {
		switch {
		case b.p < p:
			return -1
		case b.p > p:
			return 1
		}
		return 0
	})
	if !exact {
		i--
	}
	if i < 0 || p+uint64(bytes) > c.blocks[i].p+uint64(c.blocks[i].bytes) {
		return c.wrong("%s: %d bytes at %#x are not in any block", what, bytes, p)
	}
	return nil
}

// Info describes a card of compute capability 9.0, 8.0 or 7.5.
func (c *Card) Info() driver.CardInfo {
	return driver.CardInfo{Name: "fake card", Memory: c.Total, Capability: [...]int{90, 80, 75}[c.Type], Multiprocessors: 100}
}

// Versions implements cuda.Card.
func (c *Card) Versions() (nvrtc, cudnn string) { return "13.0", "90000-13000" }

// HasCuDNN implements cuda.Card.
func (c *Card) HasCuDNN() bool { return c.CuDNN }

// Memory implements cuda.Card.
func (c *Card) Memory() (free, total int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Total - c.used, c.Total, nil
}

// Alloc implements cuda.Card.
func (c *Card) Alloc(bytes int64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.outside("alloc"); err != nil { // its zeros are written by the stream
		return 0, err
	}
	bytes = max(bytes, 1)
	if c.used+bytes > c.Total {
		return 0, fmt.Errorf("%w: a block of %d is needed, %d of %d are free", driver.ErrMemory, bytes, c.Total-c.used, c.Total)
	}
	p := c.next
	if c.Computer != nil {
		p = uint64(c.Computer.Alloc(bytes))
		c.Computer.Write(kernels.Ptr(p), make([]byte, bytes))
	}
	c.next += uint64(bytes+1023) / 512 * 512
	c.used += bytes
	i, _ := slices.BinarySearchFunc(c.blocks, p, func(b block, p uint64) int {
		if b.p < p {
			return -1
		}
		return 1
	})
	c.blocks = slices.Insert(c.blocks, i, block{p, bytes})
	c.note(Event{Kind: "alloc", Bytes: bytes})
	return p, nil
}

// Free implements cuda.Card.
func (c *Card) Free(p uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.blocks, func(b block) bool { return b.p == p })
	if i < 0 {
		_ = c.wrong("%#x is freed, which is not a block", p)
		return
	}
	c.used -= c.blocks[i].bytes
	c.note(Event{Kind: "free", Bytes: c.blocks[i].bytes})
	c.blocks = slices.Delete(c.blocks, i, i+1)
}

// perform does something that can be captured, now or whenever the graph is launched.
func (c *Card) perform(do func() error) error {
	if c.capture == nil {
		return do()
	}
	if c.NoCapture == "launch" {
		return errCapture
	}
	c.capture.do = append(c.capture.do, do)
	return nil
}

// outside checks that nothing is being captured.
func (c *Card) outside(what string) error {
	if c.capture != nil {
		return c.wrong("%s while launches are captured", what)
	}
	return nil
}

var errCapture = errors.New("operation not permitted when stream is capturing (fake card)")

// graph is what was captured.
type graph struct {
	card   *Card
	do     []func() error
	closed bool
}

// BeginCapture implements cuda.Card.
func (c *Card) BeginCapture() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.NoCapture == "begin" {
		return errCapture
	}
	if err := c.outside("a second capture"); err != nil {
		return err
	}
	c.capture = &graph{card: c}
	return nil
}

// EndCapture implements cuda.Card.
func (c *Card) EndCapture() (cuda.Graph, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.capture
	c.capture = nil
	if g == nil {
		return nil, c.wrong("a capture ends that never began")
	}
	if c.NoCapture == "launch" || c.NoCapture == "end" {
		return nil, errCapture
	}
	c.graphs++
	return g, nil
}

// Launch implements cuda.Graph.
func (g *graph) Launch() error {
	c := g.card
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.closed {
		return c.wrong("a graph is launched that was released")
	}
	if err := c.outside("a graph"); err != nil {
		return err
	}
	c.note(Event{Kind: "graph"})
	for _, do := range g.do {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// Close implements cuda.Graph.
func (g *graph) Close() {
	g.card.mu.Lock()
	defer g.card.mu.Unlock()
	if g.closed {
		_ = g.card.wrong("a graph is released twice")
	}
	g.closed = true
	g.card.graphs--
}

// Used is the memory that has not been freed, in bytes.
func (c *Card) Used() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// Graphs is the number of graphs that have not been released.
func (c *Card) Graphs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.graphs
}

// Zero implements cuda.Card.
func (c *Card) Zero(p uint64, bytes int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.perform(func() error {
		if c.Computer != nil {
			c.Computer.Write(kernels.Ptr(p), make([]byte, bytes))
		}
		return c.inside("zero", p, bytes)
	})
}

func (c *Card) copyBytes(dst, src uint64, bytes int64) {
	if c.Computer != nil {
		b := make([]byte, bytes)
		c.Computer.Read(kernels.Ptr(src), b)
		c.Computer.Write(kernels.Ptr(dst), b)
	}
}

// Copy implements cuda.Card.
func (c *Card) Copy(dst, src uint64, bytes int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.perform(func() error {
		c.note(Event{Kind: "copy", Bytes: bytes})
		c.copyBytes(dst, src, bytes)
		return errors.Join(c.inside("copy", dst, bytes), c.inside("copy", src, bytes))
	})
}

func (c *Card) send(kind string, dst uint64, src []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == "upload" { // ahead of time they have a stream of their own
		if err := c.outside(kind); err != nil {
			return err
		}
	}
	c.note(Event{Kind: kind, Bytes: int64(len(src))})
	if err := c.inside(kind, dst, int64(len(src))); err != nil {
		return err
	}
	if c.Computer != nil {
		c.Computer.Write(kernels.Ptr(dst), src)
	}
	return nil
}

// Upload implements cuda.Card.
func (c *Card) Upload(dst uint64, src []byte) error { return c.send("upload", dst, src) }

// Prefetch implements cuda.Card.
func (c *Card) Prefetch(_ int, dst uint64, src []byte) error { return c.send("prefetch", dst, src) }

// TakePrefetched implements cuda.Card.
func (c *Card) TakePrefetched(_ int, dst, src uint64, bytes int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.outside("take"); err != nil {
		return err
	}
	c.note(Event{Kind: "take", Bytes: bytes})
	c.copyBytes(dst, src, bytes)
	return errors.Join(c.inside("take", dst, bytes), c.inside("take", src, bytes))
}

// Download implements cuda.Card.
func (c *Card) Download(dst []byte, src uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.outside("download"); err != nil {
		return err
	}
	c.note(Event{Kind: "download", Bytes: int64(len(dst))})
	if err := c.inside("download", src, int64(len(dst))); err != nil {
		return err
	}
	clear(dst)
	if c.Computer != nil {
		c.Computer.Read(kernels.Ptr(src), dst)
	}
	return nil
}

// Sync implements cuda.Card.
func (c *Card) Sync() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outside("sync")
}

// lost ends the card when its time has come.
func (c *Card) lost() error {
	c.launches++
	if c.LostAt > 0 && c.launches >= c.LostAt {
		return fmt.Errorf("%w: card 0 (fake card): unspecified launch failure", driver.ErrLost)
	}
	return nil
}

// Run implements cuda.Card.
func (c *Card) Run(l kernels.Launch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(kernels.Names(c.Type, c.Info().Capability), l.Kernel) {
		return c.wrong("there is no kernel %s", l.Kernel)
	}
	l.Args = slices.Clone(l.Args)
	return c.perform(func() error {
		if err := c.lost(); err != nil {
			return err
		}
		c.note(Event{Kind: "launch", Name: l.Kernel, Args: fmt.Sprint(l.Grid, l.Block, l.Shared, l.Args)})
		for i, a := range l.Args {
			if a.Kind == kernels.Pointer && a.Bits != 0 {
				if err := c.inside(fmt.Sprintf("kernel %s, parameter %d", l.Kernel, i), a.Bits, 1); err != nil {
					return err
				}
			}
		}
		if c.Computer != nil {
			c.Computer.Launch(l)
		}
		return nil
	})
}

// Time implements cuda.Card; everything takes equally long but for what Slow names.
func (c *Card) Time(f func() error) (time.Duration, error) {
	c.mu.Lock()
	before := len(c.events)
	err := c.outside("measuring")
	c.mu.Unlock()
	if err == nil {
		err = f()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Slow != nil && before <= len(c.events) && c.Slow(c.events[before:]) {
		return 2 * time.Millisecond, err
	}
	return time.Millisecond, err
}

// Close implements cuda.Card. Whatever is still allocated was forgotten.
func (c *Card) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		_ = c.wrong("a block of %d bytes was never freed", b.bytes)
	}
	if c.graphs > 0 {
		_ = c.wrong("%d graphs were never released", c.graphs)
	}
}

// Plans implements cuda.Card: two candidates, of which the first cannot be built.
func (c *Card) Plans(p driver.Problem) (cuda.Candidates, error) {
	if !c.CuDNN {
		return nil, c.wrong("there is no cuDNN to ask")
	}
	if err := c.outside("a search for plans"); err != nil {
		return nil, err
	}
	if c.Refuse != nil && c.Refuse(p) {
		return nil, errors.New("not supported")
	}
	return candidates{c, p}, nil
}

type candidates struct {
	card    *Card
	problem driver.Problem
}

func (c candidates) Len() int { return 2 }

func (c candidates) Build(i int) (cuda.Plan, error) {
	if i == 0 {
		return nil, errors.New("not supported")
	}
	return plan(c), nil
}

func (c candidates) Close() {}
