package progress

import (
	"sync"
	"time"
)

// atOnce is how long a stage may take before it is reported.
const atOnce = 2 * time.Second

// Late returns a function to call with each item that is done of a stage that usually takes no time: r is told of the
// stage only if it is still running after two seconds. The function is safe for concurrent use.
func Late(r Reporter, stage string, total int) func(item string) {
	return late(r, atOnce, stage, total)
}

func late(r Reporter, after time.Duration, stage string, total int) func(item string) {
	var mu sync.Mutex
	began, done, told := time.Now(), 0, false
	return func(item string) {
		mu.Lock()
		defer mu.Unlock()
		if !told && done < total && time.Since(began) >= after {
			told = true
			r.Stage(stage, total-done)
		}
		if done++; told {
			r.Advance(item)
		}
	}
}
