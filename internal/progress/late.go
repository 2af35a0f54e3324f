package progress

import (
	"sync"
	"time"
)

// Late returns a function to call with each item that is done of a stage that usually takes no time: r hears of the
// stage only if it is still going on after that long. The function is safe for concurrent use.
func Late(r Reporter, after time.Duration, stage string, total int) func(item string) {
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
