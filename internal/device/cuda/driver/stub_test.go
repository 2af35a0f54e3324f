package driver

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// The process that looks at the GPU.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "gpu-probe" {
		var q Question
		if err := json.Unmarshal([]byte(os.Args[2]), &q); err != nil {
			panic(err)
		}
		answer, err := json.Marshal(Probe(q.CUDALibs))
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(append([]byte{'\n'}, answer...))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// stubs compiles stand-ins for NVIDIA's libraries into a folder.
func stubs(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("stand-ins for the libraries exist for Linux")
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to make stand-ins for NVIDIA's libraries")
	}
	dir := t.TempDir()
	for what, file := range map[string]string{"STUB_CUDA": "libcuda.so.1", "STUB_NVRTC": "libnvrtc.so.13", "STUB_CUDNN": "libcudnn.so.9"} {
		out, err := exec.Command(compiler, "-shared", "-fPIC", "-D"+what, "-Wno-pointer-to-int-cast", "-o", filepath.Join(dir, file), "testdata/stub.c").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

// again runs one test of this file in a new process, whose loader finds the stand-ins.
func again(t *testing.T, dir, mode string) bool {
	t.Helper()
	if os.Getenv("UC_STUBS") != "" {
		return false
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "UC_STUBS="+dir, "LD_LIBRARY_PATH="+dir, "UC_STUB="+mode, "XDG_CACHE_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return true
}

func TestReports(t *testing.T) {
	dir := stubs(t)
	t.Setenv("LD_LIBRARY_PATH", dir)
	look := func(mode, libs string, limit time.Duration) *Report {
		t.Setenv("UC_STUB", mode)
		r := &Report{}
		if err := Child("gpu-probe")(Question{CUDALibs: libs}, limit, r); err != nil {
			r.Problem = err.Error()
		}
		return r
	}
	r := look("", "", time.Minute)
	if err := r.Usable(0); err != nil || len(r.Cards) != 1 || r.CUDA != 13020 {
		t.Fatalf("%+v: %v", r, err)
	}
	if c := r.Cards[0]; c.Name != "Stub 7" || c.Memory != 1<<30 || c.Capability != 90 || c.Multiprocessors != 10 {
		t.Errorf("card %+v", c)
	}
	if r.NVRTC.Version != "13.1" || r.NVRTC.Found != loaderPath || r.CuDNN.Version != "9.26.0 for CUDA 13.4" {
		t.Errorf("libraries %+v, %+v", r.NVRTC, r.CuDNN)
	}
	if err := r.Usable(7); err == nil || !strings.Contains(err.Error(), "no card 7: the machine has one card, cuda:0") {
		t.Errorf("card 7: %v", err)
	}
	for mode, want := range map[string]string{
		"crash": "the NVIDIA driver is broken: it ended the process that looked", "no card": "finds no card",
		"old": "is too old: it is for CUDA 11.8, expected 12.0 or later",
	} {
		if r := look(mode, "", time.Minute); !strings.Contains(r.Problem, want) || strings.Contains(r.Problem, "\n") {
			t.Errorf("%s: %q, expected %q", mode, r.Problem, want)
		}
	}
	if r := look("hang", "", 2*time.Second); !strings.Contains(r.Problem, "no answer within 2s") {
		t.Errorf("hang: %q", r.Problem)
	}
	if r := look("cuda 12", "", time.Minute); !strings.Contains(r.NVRTC.Problem, "needs a newer driver: this one is for CUDA 12.4") || !strings.Contains(r.NVRTC.Install, "pip install nvidia-cuda-nvrtc-cu12") || r.Usable(0) == nil {
		t.Errorf("libraries newer than the driver: %+v", r.NVRTC)
	}
	if r := look("old cudnn", "", time.Minute); !strings.Contains(r.CuDNN.Problem, "expected 9.x") || !strings.Contains(r.CuDNN.Install, "nvidia-cudnn-cu13") || r.Usable(0) != nil {
		t.Errorf("cuDNN 8: %+v", r.CuDNN)
	}

	// Found in the folder named, in wheels of an environment, and not at all.
	alone := t.TempDir()
	if err := os.Rename(filepath.Join(dir, "libcudnn.so.9"), filepath.Join(alone, "libcudnn.so.9")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	if r := look("", alone, time.Minute); r.CuDNN.Path != filepath.Join(alone, "libcudnn.so.9") || r.CuDNN.Found != Given {
		t.Errorf("folder named: %+v", r.CuDNN)
	}
	env := t.TempDir()
	lib := filepath.Join(env, "lib", "python3.12", "site-packages", "nvidia", "cudnn", "lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		t.Fatal(err)
	}
	if r := look("", "", time.Minute); r.CuDNN.Problem != "cuDNN is not found" || len(r.Looked) == 0 {
		t.Errorf("no cuDNN: %+v", r.CuDNN)
	}
	if err := os.Rename(filepath.Join(alone, "libcudnn.so.9"), filepath.Join(lib, "libcudnn.so.9")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VIRTUAL_ENV", env)
	if r := look("", "", time.Minute); r.CuDNN.Found != "VIRTUAL_ENV" || r.CuDNN.Problem != "" {
		t.Errorf("wheels of an environment: %+v", r.CuDNN)
	}
}

func openStub(t *testing.T) *Card {
	t.Helper()
	c, err := Open(0, Probe(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Load("source", func(arch int) []string { return []string{"-arch", string(rune('0' + arch/10))} }, func(int) []string { return []string{"fill", "other"} }); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCalls goes through everything a card does, from goroutines that move between threads.
func TestCalls(t *testing.T) {
	if again(t, stubs(t), "") {
		return
	}
	c := openStub(t)
	n := 5*ringChunk/2 + 12345
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	p, err := c.Alloc(int64(n))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	if err := c.Download(got, p); err != nil || slices.ContainsFunc(got, func(b byte) bool { return b != 0 }) {
		t.Errorf("new memory is not zeros (%v)", err)
	}
	var wait sync.WaitGroup
	for range 4 { // calls come from anywhere; the context must be there
		wait.Go(func() {
			q, err := c.Alloc(100)
			if err != nil {
				t.Error(err)
			}
			runtime.Gosched()
			c.Free(q)
		})
	}
	wait.Wait()
	if err := c.Upload(p, data); err != nil {
		t.Fatal(err)
	}
	if err := c.Download(got, p); err != nil || !slices.Equal(got, data) {
		t.Errorf("what was sent does not come back (%v)", err)
	}
	q, err := c.Alloc(int64(n))
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	if err := errors.Join(c.Copy(q, p, int64(n)), c.Download(got, q)); err != nil || !slices.Equal(got, data) {
		t.Errorf("a copy on the card differs (%v)", err)
	}
	if err := errors.Join(c.Zero(q, int64(n)), c.Prefetch(1, q, data[:1000]), c.TakePrefetched(1, p+1000, q, 1000), c.Download(got[:2000], p)); err != nil || !slices.Equal(got[1000:2000], data[:1000]) {
		t.Errorf("prefetched input differs (%v)", err)
	}
	free, total, err := c.Memory()
	if err != nil || total != 1<<30 || free > total-2*int64(n) {
		t.Errorf("memory %d of %d (%v)", free, total, err)
	}
	if _, err := c.Alloc(1 << 40); !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "1.00 TiB") && !strings.Contains(err.Error(), "1024") {
		t.Errorf("1 TiB: %v", err)
	}

	// A kernel with a pointer, a number and a float.
	dst, count, value := p, int32(300), float32(2.5)
	params := []unsafe.Pointer{unsafe.Pointer(&dst), unsafe.Pointer(&count), unsafe.Pointer(&value)}
	launch := func(shared uint32) error {
		return c.Launch("fill", [3]uint32{2, 1, 1}, [3]uint32{256, 1, 1}, shared, params)
	}
	took, err := c.Time(func() error { return launch(100 << 10) })
	if err != nil || took != 1500*time.Microsecond {
		t.Errorf("took %v (%v)", took, err)
	}
	if err := c.Download(got[:4*300], p); err != nil {
		t.Fatal(err)
	}
	for i, v := range unsafe.Slice((*float32)(unsafe.Pointer(&got[0])), 300) {
		if v != 2.5 {
			t.Fatalf("value %d is %g", i, v)
		}
	}
	if err := c.Launch("absent", [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, nil); err == nil {
		t.Error("a kernel that is not there was launched")
	}

	// A graph of two launches, which run when it is launched and not before.
	if err := c.BeginCapture(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		dst, count, value = p+uint64(4*i), int32(300-i), float32(3+i)
		if err := launch(0); err != nil {
			t.Fatal(err)
		}
	}
	graph, err := c.EndCapture()
	if err != nil {
		t.Fatal(err)
	}
	firstTwo := func() [2]float32 {
		if err := c.Download(got[:8], p); err != nil {
			t.Fatal(err)
		}
		return *(*[2]float32)(unsafe.Pointer(&got[0]))
	}
	if v := firstTwo(); v != [2]float32{2.5, 2.5} {
		t.Errorf("%v after a capture", v)
	}
	if err := graph.Launch(); err != nil {
		t.Error(err)
	}
	if v := firstTwo(); v != [2]float32{3, 4} {
		t.Errorf("%v after a graph", v)
	}
	graph.Close()

	// Plans: of three candidates the first cannot be built and the last rounds.
	problem := problems()[0]
	all, err := c.Plans(problem)
	if err != nil {
		t.Fatal(err)
	}
	if all.Len() != 2 {
		t.Errorf("%d candidates", all.Len())
	}
	if _, err := all.Build(0); err == nil || !strings.Contains(err.Error(), "NOT_SUPPORTED (no engine)") {
		t.Errorf("the first candidate: %v", err)
	}
	plan, err := all.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	all.Close()
	for range 2 {
		if err := plan.Run(q, q+100, p, 0, q+200); err != nil || plan.Workspace() != 1000 {
			t.Errorf("plan: %v", err)
		}
	}
	if err := c.Download(got[:4], p); err != nil || *(*float32)(unsafe.Pointer(&got[0])) != 42 {
		t.Errorf("the plan did not run on its result (%v)", err)
	}
	plan.Close()

	// A kernel that fails loses the card.
	err = c.Launch("other", [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, nil)
	if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "unspecified launch failure (CUDA_ERROR_LAUNCH_FAILED)") {
		t.Errorf("a failing kernel: %v", err)
	}
}

// TestFailingCapture checks that a capture that fails costs the capture and not the card.
func TestFailingCapture(t *testing.T) {
	if again(t, stubs(t), "no capture") {
		return
	}
	c := openStub(t)
	p, err := c.Alloc(4)
	if err != nil {
		t.Fatal(err)
	}
	count, value := int32(1), float32(2.5)
	launch := func() error {
		return c.Launch("fill", [3]uint32{1, 1, 1}, [3]uint32{32, 1, 1}, 0, []unsafe.Pointer{unsafe.Pointer(&p), unsafe.Pointer(&count), unsafe.Pointer(&value)})
	}
	if err := c.BeginCapture(); err != nil {
		t.Fatal(err)
	}
	if err := launch(); err == nil || errors.Is(err, ErrLost) {
		t.Errorf("a launch that cannot be captured: %v", err)
	}
	if g, err := c.EndCapture(); g != nil || err == nil || errors.Is(err, ErrLost) {
		t.Errorf("the end of the capture: %v, %v", g, err)
	}
	if err := launch(); err != nil {
		t.Errorf("a launch afterwards: %v", err)
	}
}

// TestCompilerCache checks that kernels are compiled once, and that what the compiler says comes out.
func TestCompilerCache(t *testing.T) {
	if again(t, stubs(t), "") {
		return
	}
	openStub(t)
	kept, err := filepath.Glob(filepath.Join(CacheDir(), "kernels-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v (%v)", kept, err)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || string(b) != "CUBIN -arch 9\x00" {
		t.Errorf("kept %q (%v)", b, err)
	}
	c := openStub(t)
	if again, _ := filepath.Glob(filepath.Join(CacheDir(), "kernels-*")); len(again) != 1 {
		t.Errorf("kept %v", again)
	}
	if err := os.WriteFile(kept[0], []byte("torn\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	openStub(t)
	if b, err := os.ReadFile(kept[0]); err != nil || string(b) != "CUBIN -arch 9\x00" {
		t.Errorf("a file that is no code was not replaced: %q (%v)", b, err)
	}
	if err := c.Load("#error", func(int) []string { return nil }, func(int) []string { return nil }); err == nil || !strings.Contains(err.Error(), "uc.cu(1): wrong") {
		t.Errorf("a source with a mistake: %v", err)
	}
}
