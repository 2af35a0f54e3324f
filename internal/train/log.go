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
