// Package emulator runs the GPU's kernels on the processor, for tests without a card: the same sources, compiled by the
// C++ compiler that is there, threads as coroutines. It refuses a launch whose parameters are not the kernel's, ends at
// the first access beyond a block of memory, misaligned vector or overflowing index, and hands out memory that holds no
// numbers.
package emulator

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

//go:embed native/cuda.h
var header []byte

//go:embed native/main.cpp
var program []byte

// Emulator is a process with memory and kernels of one element type. Its methods end the test when something is wrong.
type Emulator struct {
	tb   testing.TB
	cmd  *exec.Cmd
	to   *bufio.Writer
	from *bufio.Reader
	err  bytes.Buffer
	last string // the kernel launched last
}

var flags = []string{"-std=c++17", "-O2", "-fno-strict-aliasing", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-Wno-unknown-pragmas", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"}

var (
	building sync.Mutex
	compiler = sync.OnceValue(func() string {
		for _, name := range []string{os.Getenv("CXX"), "c++", "g++", "clang++"} {
			if path, err := exec.LookPath(name); name != "" && err == nil {
				return path
			}
		}
		return ""
	})
)

// build returns the program for an element type, from the user's cache if it is there.
func build(t kernels.Type) (string, error) {
	building.Lock()
	defer building.Unlock()
	var table bytes.Buffer
	const arch = 90 // any with tensor cores
	define := []string{fmt.Sprintf("-DUC_TYPE=%d", t)}
	if kernels.TensorCores(t, arch) {
		define = append(define, "-DUC_TENSOR")
	}
	for _, name := range kernels.Names(t, arch) {
		fmt.Fprintf(&table, "Caller<%s>::entry(%q),\n", name, name)
	}
	sum := sha256.New()
	fmt.Fprint(sum, t, compiler(), flags, kernels.Source())
	sum.Write(header)
	sum.Write(program)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "uc", "emulator")
	path := filepath.Join(cache, fmt.Sprintf("%s-%x", t, sum.Sum(nil)[:12]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string][]byte{"cuda.h": header, "main.cpp": program, "kernels.inc": []byte(kernels.Source()), "table.inc": table.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	out := filepath.Join(dir, "emulator")
	cmd := exec.Command(compiler(), append(append(define, flags...), "-o", out, filepath.Join(dir, "main.cpp"))...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", compiler(), err, text)
	}
	return path, os.Rename(out, path)
}

// Start returns an emulator that lives as long as the test; it skips the test where there is no C++ compiler.
func Start(tb testing.TB, t kernels.Type) *Emulator {
	tb.Helper()
	if runtime.GOOS == "windows" || compiler() == "" {
		tb.Skip("no C++ compiler (c++, g++, clang++ or $CXX) to run the CUDA kernels' sources on this machine")
	}
	path, err := build(t)
	if err != nil {
		tb.Fatal(err)
	}
	e := &Emulator{tb: tb, cmd: exec.Command(path)}
	e.cmd.Stderr = &e.err
	in, err := e.cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	e.to, e.from = bufio.NewWriter(in), bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		_ = e.cmd.Wait() // how it ended was seen by the call that failed
	})
	return e
}

func (e *Emulator) send(values ...any) {
	for _, v := range values {
		if err := binary.Write(e.to, binary.LittleEndian, v); err != nil {
			e.fail(err)
		}
	}
}

func (e *Emulator) receive(v any) {
	e.tb.Helper()
	err := e.to.Flush()
	if err == nil {
		err = binary.Read(e.from, binary.LittleEndian, v)
	}
	if err != nil {
		e.fail(err)
	}
}

// fail says how the process ended: SIGSEGV after an access beyond a block of memory, SIGILL or SIGTRAP after undefined
// behaviour.
func (e *Emulator) fail(err error) {
	e.tb.Helper()
	if e.cmd.ProcessState == nil {
		if wait := e.cmd.Wait(); wait != nil {
			err = wait
		}
	}
	e.tb.Fatalf("kernel %s: %v %s", e.last, err, e.err.String())
}

// answer reads a message of the process: empty when all is well.
func (e *Emulator) answer() string {
	e.tb.Helper()
	var n uint32
	e.receive(&n)
	message := make([]byte, n)
	if _, err := io.ReadFull(e.from, message); err != nil {
		e.fail(err)
	}
	return string(message)
}

// Alloc returns memory, aligned to 16 bytes and filled with ones: no numbers.
func (e *Emulator) Alloc(bytes int64) kernels.Ptr {
	e.tb.Helper()
	e.send([]byte{'a'}, uint64(bytes))
	var p uint64
	e.receive(&p)
	return kernels.Ptr(p)
}

// Write copies bytes into memory.
func (e *Emulator) Write(p kernels.Ptr, data []byte) {
	e.send([]byte{'w'}, uint64(p), uint64(len(data)), data)
}

// Read copies memory into bytes.
func (e *Emulator) Read(p kernels.Ptr, data []byte) {
	e.tb.Helper()
	e.send([]byte{'r'}, uint64(p), uint64(len(data)))
	e.receive(data)
}

// Launch runs a kernel.
func (e *Emulator) Launch(l kernels.Launch) {
	e.tb.Helper()
	e.last = fmt.Sprintf("%s %v %v", l.Kernel, l.Grid, l.Block)
	e.send([]byte{'l'}, uint32(len(l.Kernel)), []byte(l.Kernel), l.Grid, l.Block, uint32(len(l.Args)))
	for _, a := range l.Args {
		switch a.Kind {
		case kernels.Struct:
			e.send(uint32(a.Kind), uint32(4*len(a.Words)), a.Words)
		case kernels.Int32, kernels.Float:
			e.send(uint32(a.Kind), uint32(4), uint32(a.Bits))
		default:
			e.send(uint32(a.Kind), uint32(8), a.Bits)
		}
	}
	if message := e.answer(); message != "" {
		e.tb.Fatalf("emulator: %s", message)
	}
}

// Reset frees all memory, after a look at the bytes around every block.
func (e *Emulator) Reset() {
	e.tb.Helper()
	e.send([]byte{'c'})
	if message := e.answer(); message != "" {
		e.tb.Errorf("emulator: %s", message)
	}
	e.send([]byte{'f'})
}
