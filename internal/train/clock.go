package train

import (
	"fmt"
	"time"
)

// clock measures the iterations of a run.
type clock struct {
	began, firstDone, savedAt, drawnAt time.Time
	iterations                         int // of this run
	told                               bool
}

const timedSteps = 3 // steps after which the first estimate of time is given; the very first is left out of it

// tick counts an iteration.
func (c *clock) tick() {
	if c.iterations++; c.iterations == 1 {
		c.firstDone = time.Now()
	}
}

// tell is true once, when a few steps have been measured.
func (c *clock) tell() bool {
	if c.told || c.iterations < 1+timedSteps {
		return false
	}
	c.told = true
	return true
}

// perIteration is the mean time of the iterations of this run without the first.
func (c *clock) perIteration() time.Duration {
	if c.iterations < 2 {
		return time.Since(c.began)
	}
	return time.Since(c.firstDone) / time.Duration(c.iterations-1)
}

func perStep(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// span is a duration as people say it: "1 h 20 min", "3 min 5 s", "4.2 s".
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}
