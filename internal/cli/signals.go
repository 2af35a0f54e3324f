package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// notifyEnd returns a context that ends with the first Ctrl-C, SIGTERM or SIGHUP; the next one ends the process at
// once. A SIGHUP that is ignored already, as under nohup, stays ignored. From here on a write to a broken pipe is an
// error rather than the end of the process.
func notifyEnd() (ctx context.Context, stop func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop = signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
