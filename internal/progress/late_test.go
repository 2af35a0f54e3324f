package progress

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

type heard struct {
	Reporter
	lines []string
}

func (h *heard) Stage(name string, total int) {
	h.lines = append(h.lines, fmt.Sprint(name, " ", total))
}
func (h *heard) Advance(item string) { h.lines = append(h.lines, item) }

// A stage is reported if it takes long, and then what is left of it.
func TestLate(t *testing.T) {
	for after, want := range map[time.Duration][]string{0: {"opening 2", "a", "b"}, time.Hour: nil} {
		h := &heard{Reporter: Discard}
		advance := late(h, after, "opening", 2)
		advance("a")
		advance("b")
		if !slices.Equal(h.lines, want) {
			t.Errorf("after %v: got %q, want %q", after, h.lines, want)
		}
	}
	h := &heard{Reporter: Discard}
	advance := late(h, 20*time.Millisecond, "opening", 3)
	advance("a")
	time.Sleep(30 * time.Millisecond)
	advance("b")
	advance("c")
	if want := []string{"opening 2", "b", "c"}; !slices.Equal(h.lines, want) {
		t.Errorf("got %q, want %q", h.lines, want)
	}
}
