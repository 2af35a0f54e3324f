package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/progress"
)

// trainingLog is training_log_<date>.txt in the folder of a fold: every line that goes to the person at the keyboard,
// with its time. A log that cannot be written (full disk) does not end a training.
type trainingLog struct {
	progress.Reporter
	mu   sync.Mutex
	file *os.File
}

// openLog starts a new log in dir; what it is told also goes to r.
func openLog(dir string, now time.Time, r progress.Reporter) (*trainingLog, error) {
	path := filepath.Join(dir, now.Format("training_log_2006_01_02_15_04_05.txt"))
	if err := fault.At(fault.Create, path); err != nil {
		return nil, fmt.Errorf("cannot write the training log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write the training log: %w", err)
	}
	return &trainingLog{Reporter: r, file: f}, nil
}

// note tells people and the file.
func (l *trainingLog) note(format string, args ...any) {
	l.quiet(format, args...)
	l.Note(format, args...)
}

// warn tells people and the file what may be wrong.
func (l *trainingLog) warn(format string, args ...any) {
	l.quiet("warning: "+format, args...)
	l.Warn(format, args...)
}

// quiet tells the file alone.
func (l *trainingLog) quiet(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fault.At(fault.Write, l.file.Name()) != nil {
		return
	}
	stamp := time.Now().Format("2006-01-02 15:04:05")
	for _, line := range strings.Split(strings.TrimRight(fmt.Sprintf(format, args...), "\n"), "\n") {
		fmt.Fprintf(l.file, "%s  %s\n", stamp, line)
	}
}

func (l *trainingLog) close() { l.file.Close() }

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
