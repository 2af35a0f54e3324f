package driver

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/universal-classifier/uc/internal/memory"
)

// Card is an open card: its primary context, a stream on which everything runs in order, a second one for uploads ahead
// of time, and the compiled kernels. Its methods may be called from any goroutine; callers keep calls other than
// Prefetch apart themselves.
type Card struct {
	cuda    *cudaAPI
	nvrtc   *nvrtcAPI
	cudnn   *cudnnAPI // nil without cuDNN
	handle  uintptr   // cuDNN's
	info    CardInfo
	device  int32
	context uintptr
	version int // of the driver

	stream, copies uintptr
	start, stop    uintptr // events around measurements
	module         uintptr
	functions      map[string]*function
	up             ring // of the stream
	ahead          ring // of the stream of copies
	aheadDone      [Slots]uintptr
	aheadUsed      [Slots]uintptr

	lost     error      // the first failure after which the context is of no use
	lostLock sync.Mutex // of lost
}

// Slots is the number of uploads that may be on the card ahead of time.
const Slots = 2

type function struct {
	address uintptr
	shared  uint32 // dynamic shared memory that it has been allowed
}

// Flags of streams and events (cuda.h).
const (
	streamNonBlocking  = 1
	eventDefault       = 0
	eventDisableTiming = 2
)

// Open makes a card ready. libraries is what Look found.
func Open(index int, libraries *Report) (*Card, error) {
	if err := libraries.Usable(index); err != nil {
		return nil, err
	}
	c := &Card{}
	var err error
	if c.cuda, err = openCUDA(); err != nil {
		return nil, err
	}
	if c.version, err = c.cuda.version(); err != nil {
		return nil, err
	}
	if c.info, c.device, err = c.cuda.card(index); err != nil {
		return nil, err
	}
	if c.nvrtc, err = openNVRTC(libraries.NVRTC.Path); err != nil {
		return nil, err
	}
	if err := c.cuda.check("cuDevicePrimaryCtxRetain", call(c.cuda.primaryRetain, uintptr(unsafe.Pointer(&c.context)), uintptr(c.device))); err != nil {
		return nil, fmt.Errorf("card %d (%s): %w", index, c.info.Name, err)
	}
	if err := c.prepare(libraries.CuDNN.Path); err != nil {
		c.Close()
		return nil, fmt.Errorf("card %d (%s): %w", index, c.info.Name, err)
	}
	return c, nil
}

// prepare makes what lives in the context.
func (c *Card) prepare(cudnn string) error {
	defer c.enter()()
	for _, s := range []*uintptr{&c.stream, &c.copies} {
		if err := c.cuda.check("cuStreamCreate", call(c.cuda.streamCreate, uintptr(unsafe.Pointer(s)), streamNonBlocking)); err != nil {
			return err
		}
	}
	for _, e := range []*uintptr{&c.start, &c.stop} {
		if err := c.event(e, eventDefault); err != nil {
			return err
		}
	}
	for i := range Slots {
		for _, e := range []*uintptr{&c.aheadDone[i], &c.aheadUsed[i]} {
			if err := c.event(e, eventDisableTiming); err != nil {
				return err
			}
		}
	}
	if cudnn == "" {
		return nil
	}
	api, err := openCuDNN(cudnn)
	if err != nil {
		return err
	}
	if err := api.check("cudnnCreate", call(api.create, uintptr(unsafe.Pointer(&c.handle)))); err != nil {
		return fmt.Errorf("cuDNN (%s) does not start: %w", cudnn, err)
	}
	c.cudnn = api
	return api.check("cudnnSetStream", call(api.setStream, c.handle, c.stream))
}

func (c *Card) event(at *uintptr, flags uintptr) error {
	return c.cuda.check("cuEventCreate", call(c.cuda.eventCreate, uintptr(unsafe.Pointer(at)), flags))
}

// enter makes the card's context that of this thread until the returned function is called.
func (c *Card) enter() (leave func()) {
	runtime.LockOSThread()
	call(c.cuda.setCurrent, c.context)
	return runtime.UnlockOSThread
}

// Info describes the card.
func (c *Card) Info() CardInfo { return c.info }

// HasCuDNN reports whether there are plans for convolutions.
func (c *Card) HasCuDNN() bool { return c.cudnn != nil }

// Versions name the libraries in use; caches of measurements depend on them.
func (c *Card) Versions() (nvrtc, cudnn string) {
	nvrtc = fmt.Sprintf("%d.%d", c.nvrtc.major, c.nvrtc.minor)
	if c.cudnn != nil {
		v, cudart := c.cudnn.number()
		cudnn = fmt.Sprintf("%d-%d", v, cudart)
	}
	return nvrtc, cudnn
}

// ErrLost is wrapped by errors after which nothing more can be had from the card.
var ErrLost = errors.New("the card is lost")

// ErrMemory is wrapped when the card has too little memory.
var ErrMemory = errors.New("too little memory on the card")

// check words a result. Failures of the context stick: a card that is lost once stays lost.
func (c *Card) check(function string, r uintptr) error {
	if uint32(r) == 0 {
		return nil
	}
	err := c.cuda.failure(function, r)
	if uint32(r) == cudaOutOfMemory {
		return fmt.Errorf("%w: %w", ErrMemory, err)
	}
	if code := uint32(r); code >= cudaCaptureFirst && code <= cudaCaptureLast {
		return err
	}
	c.lostLock.Lock()
	defer c.lostLock.Unlock()
	if c.lost == nil {
		c.lost = fmt.Errorf("%w: card %d (%s): %w", ErrLost, c.info.Index, c.info.Name, err)
	}
	return c.lost
}

// Memory is what is free and what there is, in bytes.
func (c *Card) Memory() (free, total int64, err error) {
	defer c.enter()()
	var f, t uint64
	err = c.check("cuMemGetInfo", call(c.cuda.memInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t))))
	return int64(f), int64(t), err
}

// Alloc takes memory, holding zeros.
func (c *Card) Alloc(bytes int64) (uint64, error) {
	defer c.enter()()
	var p uint64
	if err := c.check("cuMemAlloc", call(c.cuda.memAlloc, uintptr(unsafe.Pointer(&p)), uintptr(max(bytes, 1)))); err != nil {
		if errors.Is(err, ErrMemory) {
			if free, total, e := c.Memory(); e == nil {
				err = fmt.Errorf("%w: a block of %s is needed, %s of %s are free", ErrMemory, memory.Format(bytes), memory.Format(free), memory.Format(total))
			}
		}
		return 0, err
	}
	return p, c.check("cuMemsetD8Async", call(c.cuda.memset, uintptr(p), 0, uintptr(max(bytes, 1)), c.stream))
}

// Free gives memory back, once what runs has ended.
func (c *Card) Free(p uint64) {
	defer c.enter()()
	call(c.cuda.memFree, uintptr(p))
}

// Zero clears memory.
func (c *Card) Zero(p uint64, bytes int64) error {
	defer c.enter()()
	return c.check("cuMemsetD8Async", call(c.cuda.memset, uintptr(p), 0, uintptr(bytes), c.stream))
}

// Copy copies on the card.
func (c *Card) Copy(dst, src uint64, bytes int64) error {
	defer c.enter()()
	return c.check("cuMemcpyDtoDAsync", call(c.cuda.copyDtoD, uintptr(dst), uintptr(src), uintptr(bytes), c.stream))
}

// Upload sends src, which may be reused when it returns; what is launched later sees it.
func (c *Card) Upload(dst uint64, src []byte) error {
	defer c.enter()()
	return c.up.send(c, dst, src, c.stream)
}

// Prefetch sends src on a separate stream, alongside the computation, and returns when src may be reused. It waits
// until TakePrefetched has copied away what the slot held before. It may run concurrently with any other method.
func (c *Card) Prefetch(slot int, dst uint64, src []byte) error {
	defer c.enter()()
	if err := c.check("cuStreamWaitEvent", call(c.cuda.streamWait, c.copies, c.aheadUsed[slot], 0)); err != nil {
		return err
	}
	if err := c.ahead.send(c, dst, src, c.copies); err != nil {
		return err
	}
	return c.check("cuEventRecord", call(c.cuda.eventRecord, c.aheadDone[slot], c.copies))
}

// TakePrefetched copies what Prefetch has sent to its place on the card.
func (c *Card) TakePrefetched(slot int, dst, src uint64, bytes int64) error {
	defer c.enter()()
	if err := c.check("cuStreamWaitEvent", call(c.cuda.streamWait, c.stream, c.aheadDone[slot], 0)); err != nil {
		return err
	}
	if err := c.check("cuMemcpyDtoDAsync", call(c.cuda.copyDtoD, uintptr(dst), uintptr(src), uintptr(bytes), c.stream)); err != nil {
		return err
	}
	return c.check("cuEventRecord", call(c.cuda.eventRecord, c.aheadUsed[slot], c.stream))
}

// Download waits for all that was launched and reads memory.
func (c *Card) Download(dst []byte, src uint64) error {
	defer c.enter()()
	return c.up.receive(c, dst, src, c.stream)
}

// Sync waits for all that was launched.
func (c *Card) Sync() error {
	defer c.enter()()
	return c.check("cuStreamSynchronize", call(c.cuda.streamSynchronize, c.stream))
}

// Time measures what f launches, on the card's own clock.
func (c *Card) Time(f func() error) (time.Duration, error) {
	defer c.enter()()
	if err := c.check("cuEventRecord", call(c.cuda.eventRecord, c.start, c.stream)); err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	if err := c.check("cuEventRecord", call(c.cuda.eventRecord, c.stop, c.stream)); err != nil {
		return 0, err
	}
	if err := c.check("cuEventSynchronize", call(c.cuda.eventSynchronize, c.stop)); err != nil {
		return 0, err
	}
	var ms float32
	err := c.check("cuEventElapsedTime", call(c.cuda.eventElapsed, uintptr(unsafe.Pointer(&ms)), c.start, c.stop))
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}

// Launch runs a kernel of the loaded module. params point to the values of its parameters.
func (c *Card) Launch(kernel string, grid, block [3]uint32, shared uint32, params []unsafe.Pointer) error {
	f, ok := c.functions[kernel]
	if !ok {
		return fmt.Errorf("there is no kernel %s", kernel)
	}
	defer c.enter()()
	if shared > max(f.shared, ordinaryShared) {
		const maxDynamicShared = 8 // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
		if err := c.cuda.check("cuFuncSetAttribute", call(c.cuda.functionAttribute, f.address, maxDynamicShared, uintptr(shared))); err != nil {
			return fmt.Errorf("kernel %s: %w", kernel, err)
		}
		f.shared = shared
	}
	if len(params) == 0 {
		params = make([]unsafe.Pointer, 1)
	}
	if err := c.check("cuLaunchKernel", call(c.cuda.launch, f.address, uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]),
		uintptr(block[0]), uintptr(block[1]), uintptr(block[2]), uintptr(shared), c.stream, uintptr(unsafe.Pointer(&params[0])), 0)); err != nil {
		return fmt.Errorf("kernel %s: %w", kernel, err)
	}
	return nil
}

// ordinaryShared is the dynamic shared memory that every kernel may have.
const ordinaryShared = 48 << 10

// Plans asks cuDNN for the ways to compute a convolution.
func (c *Card) Plans(p Problem) (*Candidates, error) {
	if c.cudnn == nil {
		return nil, errors.New("there is no cuDNN")
	}
	defer c.enter()()
	return c.plansFor(p)
}

// Close gives the card back.
func (c *Card) Close() {
	if c.context == 0 {
		return
	}
	func() {
		defer c.enter()()
		if c.stream != 0 {
			call(c.cuda.streamSynchronize, c.stream)
		}
		if c.handle != 0 {
			call(c.cudnn.destroy, c.handle)
		}
		if c.module != 0 {
			call(c.cuda.moduleUnload, c.module)
		}
		c.up.close(c)
		c.ahead.close(c)
		for _, e := range []uintptr{c.start, c.stop, c.aheadDone[0], c.aheadUsed[0], c.aheadDone[1], c.aheadUsed[1]} {
			if e != 0 {
				call(c.cuda.eventDestroy, e)
			}
		}
		for _, s := range []uintptr{c.stream, c.copies} {
			if s != 0 {
				call(c.cuda.streamDestroy, s)
			}
		}
		call(c.cuda.setCurrent, 0)
	}()
	call(c.cuda.primaryRelease, uintptr(c.device))
	c.context = 0
}
