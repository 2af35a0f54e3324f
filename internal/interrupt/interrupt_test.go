package interrupt

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// watch runs a job under a Watch and reports after how long since the interruption the process was ended; 0 if it was
// not.
func watch(t *testing.T, job func(ctx context.Context, cancel func())) (after time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var interrupted time.Time
		ended := make(chan time.Duration, 1)
		watched, stop := Watch(ctx, Patience, func() { ended <- time.Since(interrupted) })
		job(watched, func() { interrupted = time.Now(); cancel() })
		stop()
		stop() // harmless
		synctest.Wait()
		select {
		case after = <-ended:
		default:
		}
	})
	return after
}

func TestWatch(t *testing.T) {
	for name, test := range map[string]struct {
		job  func(ctx context.Context, cancel func())
		want time.Duration // 0: the process continues
	}{
		"not interrupted": {func(context.Context, func()) { time.Sleep(time.Hour) }, 0},
		"returns in time": {func(ctx context.Context, cancel func()) { cancel(); time.Sleep(Patience - time.Millisecond) }, 0},
		"stuck":           {func(ctx context.Context, cancel func()) { cancel(); time.Sleep(time.Hour) }, Patience},
		"held to the end": {func(ctx context.Context, cancel func()) {
			defer Hold(ctx)()
			cancel()
			time.Sleep(time.Hour)
		}, 0},
		"stuck after a hold": {func(ctx context.Context, cancel func()) {
			release := Hold(ctx)
			cancel()
			time.Sleep(time.Minute)
			release()
			release() // counts once
			time.Sleep(time.Hour)
		}, time.Minute + Patience},
		"two holds": {func(ctx context.Context, cancel func()) {
			first, second := Hold(ctx), Hold(ctx)
			cancel()
			time.Sleep(time.Minute)
			first()
			time.Sleep(time.Minute)
			second()
			time.Sleep(time.Hour)
		}, 2*time.Minute + Patience},
		"held again in time": {func(ctx context.Context, cancel func()) {
			cancel()
			time.Sleep(Patience / 2)
			release := Hold(ctx)
			time.Sleep(time.Minute)
			release()
			time.Sleep(Patience / 2)
		}, 0},
		"held before": {func(ctx context.Context, cancel func()) {
			Hold(ctx)()
			time.Sleep(time.Hour)
			cancel()
			time.Sleep(time.Hour)
		}, Patience},
	} {
		t.Run(name, func(t *testing.T) {
			if got := watch(t, test.job); got < test.want || got > test.want+Patience || test.want == 0 && got != 0 {
				t.Errorf("the process was ended after %v, want %v", got, test.want)
			}
		})
	}
}

func TestHoldWithoutWatch(t *testing.T) {
	Hold(t.Context())()
}
