package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/remedy"
)

// quietGap is the least time between two lines of progress where there is no terminal.
const quietGap = 10 * time.Second

// display shows progress: a bar with rate and remaining time on a terminal, now and then a line elsewhere.
// It implements progress.Reporter.
type display struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	now      func() time.Time
	hints    hints

	bar         *progressbar.ProgressBar
	stage       string
	total, done int
	began, told time.Time
}

// newDisplay shows progress on w.
func newDisplay(w io.Writer) *display {
	f, isFile := w.(interface{ Fd() uintptr })
	return &display{w: w, now: time.Now, terminal: isFile && !env.PlainTerminal() && term.IsTerminal(int(f.Fd()))}
}

// displayOf shows progress of a command on its standard error, with what there is to type about a warning.
func displayOf(cmd *cobra.Command) *display {
	d := newDisplay(cmd.ErrOrStderr())
	d.hints = hints{cmd}
	return d
}

// Stage begins a stage of total items; total 0 means the number is not known.
func (d *display) Stage(name string, total int) {
	name = printable(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finish()
	d.stage, d.total, d.done = name, total, 0
	d.began = d.now()
	d.told = d.began
	if !d.terminal {
		if total > 0 {
			fmt.Fprintf(d.w, "%s: %d to do\n", name, total)
		} else {
			fmt.Fprintf(d.w, "%s\n", name)
		}
		return
	}
	length := total
	if total == 0 {
		length = -1
	}
	d.bar = progressbar.NewOptions(length,
		progressbar.OptionSetWriter(d.w),
		progressbar.OptionSetDescription(name),
		progressbar.OptionSetWidth(24),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(total > 0),
	)
	_ = d.bar.RenderBlank() // a terminal that takes no bar still takes the lines
}

// Advance says that one item of the current stage is done; item is shown next to the bar.
func (d *display) Advance(item string) {
	item = printable(item)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done++
	if d.bar != nil {
		if item != "" {
			d.bar.Describe(d.stage + " " + item)
		}
		_ = d.bar.Add(1)
		return
	}
	now := d.now()
	if now.Sub(d.told) < quietGap || d.done == d.total {
		return
	}
	d.told = now
	fmt.Fprintf(d.w, "%s: %s%s\n", d.stage, d.state(now), suffix(item))
}

// state is "12/40, 1.5/s, 19s left".
func (d *display) state(now time.Time) string {
	s := fmt.Sprint(d.done)
	if d.total > 0 {
		s += fmt.Sprintf("/%d", d.total)
	}
	elapsed := now.Sub(d.began)
	if d.done == 0 || elapsed <= 0 {
		return s
	}
	rate := float64(d.done) / elapsed.Seconds()
	s += fmt.Sprintf(", %s", formatRate(rate))
	if left := d.total - d.done; left > 0 {
		s += fmt.Sprintf(", %s left", roundDuration(time.Duration(float64(left)/rate*float64(time.Second))))
	}
	return s
}

// Note prints a line for people.
func (d *display) Note(format string, args ...any) { d.line("", format, args...) }

// Warn prints a warning that needs no answer now.
func (d *display) Warn(format string, args ...any) { d.line("warning: ", format, args...) }

func (d *display) line(prefix, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		_ = d.bar.Clear()
	}
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	var remedies []remedy.Remedy
	for _, a := range args {
		remedies = append(remedies, remedy.Of(a)...)
	}
	fmt.Fprintf(d.w, "%s%s\n", prefix, printable(d.hints.add(text, remedies)))
	if d.bar != nil {
		_ = d.bar.RenderBlank()
	}
}

// Close ends the last stage; the display must not be used afterwards.
func (d *display) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finish()
}

// finish takes the bar away and leaves one line that says what the stage took.
func (d *display) finish() {
	if d.bar != nil {
		_ = d.bar.Clear()
		d.bar = nil
	}
	if d.stage != "" && d.done > 0 {
		of := ""
		if d.done < d.total {
			of = fmt.Sprintf(" of %d", d.total)
		}
		fmt.Fprintf(d.w, "%s: %d%s done in %s\n", d.stage, d.done, of, roundDuration(d.now().Sub(d.began)))
	}
	d.stage = ""
}

func suffix(item string) string {
	if item == "" {
		return ""
	}
	return " (" + item + ")"
}

// formatRate writes items per second, or per minute where that reads better.
func formatRate(perSecond float64) string {
	if perSecond >= 1 {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.1f/min", 60*perSecond)
}

// roundDuration keeps about three digits, so that 1m32s does not end in nanoseconds.
func roundDuration(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
