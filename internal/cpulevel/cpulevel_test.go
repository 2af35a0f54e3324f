package cpulevel

import (
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/env"
)

func TestNames(t *testing.T) {
	for l := range Level(Count) {
		if got, ok := Parse(l.String()); !ok || got != l || l.String() == "" || l.String() != Names()[l] {
			t.Errorf("%v comes back as %v, %v", l, got, ok)
		}
	}
	for _, name := range []string{"", "AVX2", "sse4"} {
		if got, ok := Parse(name); ok {
			t.Errorf("%q is %v", name, got)
		}
	}
}

func TestNamed(t *testing.T) {
	amd64, arm64, none := []Level{Generic, AVX2, AVX512, AMX}, []Level{Generic, NEON}, []Level{Generic}
	for _, c := range []struct {
		architecture []Level
		best         Level
		name         string
		want         Level
	}{
		{amd64, AVX512, "", AVX512}, {amd64, AVX512, "avx512", AVX512}, {amd64, AVX512, "avx2", AVX2}, {amd64, AVX512, "generic", Generic},
		{amd64, AMX, "", AMX}, {amd64, AMX, "amx", AMX}, {amd64, AMX, "avx512", AVX512}, {amd64, AVX512, "amx", AVX512}, {arm64, NEON, "amx", NEON},
		{amd64, AVX2, "avx512", AVX2}, {amd64, Generic, "avx2", Generic}, {amd64, AVX2, "nonsense", AVX2},
		{amd64, AVX2, "neon", AVX2}, {amd64, Generic, "neon", Generic},
		{arm64, NEON, "", NEON}, {arm64, NEON, "neon", NEON}, {arm64, NEON, "generic", Generic}, {arm64, NEON, "avx2", NEON},
		{arm64, NEON, "avx512", NEON}, {none, Generic, "neon", Generic}, {none, Generic, "avx512", Generic},
	} {
		if got := named(c.architecture, c.best, c.name); got != c.want {
			t.Errorf("of %v, %v with %s=%s: %v, want %v", c.architecture, c.best, env.CPU, c.name, got, c.want)
		}
	}
}

func TestAvailable(t *testing.T) {
	levels := Available()
	if levels[0] != Generic || !slices.Equal(levels, architecture[:len(levels)]) || levels[len(levels)-1] != detected() {
		t.Errorf("%v on a processor with %v", levels, detected())
	}
	for l := range Level(Count) {
		if got := Lowered(l); !slices.Contains(levels, got) || slices.Contains(levels, l) && got != l {
			t.Errorf("%v lowered to %v on a processor with %v", l, got, levels)
		}
	}
}

// TestEnvironment reads every level from the environment, as a new process does.
func TestEnvironment(t *testing.T) {
	defer Use(Default())()
	for l := range Level(Count) {
		t.Setenv(env.CPU, l.String())
		current.Store(0)
		if got := Default(); got != Lowered(l) {
			t.Errorf("%v forced: %v on a processor with %v", l, got, detected())
		}
		t.Setenv(env.CPU, Generic.String())
		if got := Default(); got != Lowered(l) {
			t.Errorf("%v forced: %v once the environment has changed", l, got)
		}
	}
}

func TestUse(t *testing.T) {
	before := Default()
	for l := range Level(Count) {
		restore := Use(l)
		if got := Default(); got != Lowered(l) {
			t.Errorf("%v in use: %v on a processor with %v", l, got, detected())
		}
		if BF16() != BF16At(Lowered(l)) || BF16() && Default() == Generic {
			t.Errorf("bfloat16 %v at %v", BF16(), Default())
		}
		restore()
		if got := Default(); got != before {
			t.Fatalf("%v after %v was in use, before it was %v", got, l, before)
		}
	}
}
