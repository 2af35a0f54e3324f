package cli

import (
	"strings"
	"testing"
	"time"
)

// A display that does not write to a terminal tells the start, the end and, every ten seconds, where it stands.
func TestDisplayWithoutTerminal(t *testing.T) {
	var out strings.Builder
	d := newDisplay(&out)
	clock := time.Unix(0, 0)
	d.now = func() time.Time { return clock }

	d.Stage("cropping", 4)
	for _, item := range []string{"a", "b", "c", "d"} {
		clock = clock.Add(6 * time.Second)
		d.Advance(item)
	}
	d.Warn("case %s: odd", "b")
	d.Stage("planning", 0)
	d.Advance("")
	d.Note("all well\n")
	d.Close()

	want := `cropping: 4 to do
cropping: 2/4, 10.0/min, 12s left (b)
warning: case b: odd
cropping: 4 done in 24s
planning
all well
planning: 1 done in 0s
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
