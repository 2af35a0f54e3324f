package cpu

import "time"

// MeasureFMA returns the fused-multiply-add ceiling of the pool's kernel set in GFLOP/s: all workers run independent
// multiply-adds on registers for about the given time; the best of the rounds counts.
func MeasureFMA(p *Workers, d time.Duration) float64 {
	const rounds = 5
	k := p.kernels()
	iterations := 1 << 14
	best := 0.0
	for r := 0; r < rounds; {
		start := time.Now()
		p.Run(p.Threads(), func(int, int) { k.Ceiling(iterations) })
		took := time.Since(start)
		if took < d/(2*rounds) {
			iterations *= 2
			continue
		}
		best = max(best, float64(p.Threads())*float64(iterations)*k.CeilingFlops/took.Seconds()/1e9)
		r++
	}
	return best
}
