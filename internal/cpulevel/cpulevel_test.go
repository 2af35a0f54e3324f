package cpulevel

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/env"
)

func TestNames(t *testing.T) {
	for _, l := range []Level{Generic, AVX2, AVX512} {
		if got, ok := Parse(l.String()); !ok || got != l {
			t.Errorf("%v comes back as %v, %v", l, got, ok)
		}
	}
	for _, name := range []string{"", "AVX2", "sse4"} {
		if got, ok := Parse(name); ok {
			t.Errorf("%q is %v", name, got)
		}
	}
}

func TestLowered(t *testing.T) {
	for _, c := range []struct {
		best Level
		name string
		want Level
	}{
		{AVX512, "", AVX512}, {AVX512, "avx512", AVX512}, {AVX512, "avx2", AVX2}, {AVX512, "generic", Generic},
		{AVX2, "avx512", AVX2}, {Generic, "avx2", Generic}, {AVX2, "nonsense", AVX2},
	} {
		if got := lowered(c.best, c.name); got != c.want {
			t.Errorf("%v with %s=%s: %v, want %v", c.best, env.CPU, c.name, got, c.want)
		}
	}
}

func TestAvailable(t *testing.T) {
	levels := Available()
	if levels[0] != Generic || !slices.IsSorted(levels) || levels[len(levels)-1] != detected() {
		t.Errorf("%v on a processor with %v", levels, detected())
	}
}

// TestEnvironment runs itself with every level forced: the default follows, and bfloat16 needs AVX512.
func TestEnvironment(t *testing.T) {
	if os.Getenv("UC_TEST_CHILD") != "" {
		os.Stdout.WriteString("default " + Default().String())
		if BF16() && Default() != AVX512 {
			t.Error("bfloat16 below AVX512")
		}
		if BF16() != (bf16() && Default() == AVX512) {
			t.Errorf("bfloat16 %v at %v on a processor that says %v", BF16(), Default(), bf16())
		}
		return
	}
	for _, l := range Available() {
		child := exec.Command(os.Args[0], "-test.run", "^TestEnvironment$")
		child.Env = append(os.Environ(), env.CPU+"="+l.String(), "UC_TEST_CHILD=1")
		if out, err := child.Output(); err != nil || !strings.HasPrefix(string(out), "default "+l.String()) {
			t.Errorf("%v forced: %q, %v", l, out, err)
		}
	}
}
