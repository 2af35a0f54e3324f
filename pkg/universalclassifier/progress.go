package universalclassifier

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/universal-classifier/uc/internal/progress"
)

// Progress is told in numbers how far a long job has come; words go to a Logger. Implementations
// must be safe for concurrent use, and their methods return soon: work waits for them.
type Progress interface {
	// Stage begins a stage of total items; total 0 means the number is not known.
	Stage(name string, total int)
	// Advance says that one item of the current stage is done.
	Advance(item string)
}

// report is a Progress and a Logger, either of which may be nil, for the packages that work.
type report struct {
	progress Progress
	logger   *slog.Logger
}

// reporter tells p and l, whose records get the attributes.
func reporter(p Progress, l *slog.Logger, attributes ...any) progress.Reporter {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return report{p, l.With(attributes...)}
}

func (r report) Stage(name string, total int) {
	if r.progress != nil {
		r.progress.Stage(name, total)
	}
}

func (r report) Advance(item string) {
	if r.progress != nil {
		r.progress.Advance(item)
	}
}

func (r report) Note(format string, args ...any) { r.log(slog.LevelInfo, format, args) }
func (r report) Warn(format string, args ...any) { r.log(slog.LevelWarn, format, args) }

func (r report) log(level slog.Level, format string, args []any) {
	if ctx := context.Background(); r.logger.Enabled(ctx, level) {
		r.logger.Log(ctx, level, fmt.Sprintf(format, args...))
	}
}
