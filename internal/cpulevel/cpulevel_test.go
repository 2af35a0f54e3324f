package cpulevel

import (
	"slices"
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

// TestEnvironment reads every level from the environment, as a new process does.
func TestEnvironment(t *testing.T) {
	defer Use(Default())()
	for _, l := range []Level{Generic, AVX2, AVX512} {
		t.Setenv(env.CPU, l.String())
		current.Store(0)
		if got := Default(); got != min(l, detected()) {
			t.Errorf("%v forced: %v on a processor with %v", l, got, detected())
		}
		t.Setenv(env.CPU, Generic.String())
		if got := Default(); got != min(l, detected()) {
			t.Errorf("%v forced: %v once the environment has changed", l, got)
		}
	}
}

func TestUse(t *testing.T) {
	before := Default()
	for _, l := range []Level{Generic, AVX2, AVX512} {
		restore := Use(l)
		if got := Default(); got != min(l, detected()) {
			t.Errorf("%v in use: %v on a processor with %v", l, got, detected())
		}
		if BF16() != (bf16() && Default() == AVX512) {
			t.Errorf("bfloat16 %v at %v on a processor that says %v", BF16(), Default(), bf16())
		}
		restore()
		if got := Default(); got != before {
			t.Fatalf("%v after %v was in use, before it was %v", got, l, before)
		}
	}
}
