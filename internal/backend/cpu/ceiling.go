package cpu

import "time"

// MeasureFMA returns the fused-multiply-add ceiling of the pool's kernel set in GFLOP/s: all workers run independent
// multiply-adds on registers (portable code: on local variables) for about the given time; the best of the rounds counts.
func MeasureFMA(p *Pool, d time.Duration) float64 {
	const rounds = 5
	iterations := 1 << 14
	best := 0.0
	for spent, r := time.Duration(0), 0; r < rounds; {
		start := time.Now()
		sinks := make([]float32, p.Threads()*Block)
		p.Run(p.Threads(), func(_, t int) { sinks[t*Block] = fmaLoop(iterations) })
		took := time.Since(start)
		if took < d/(2*rounds) {
			iterations *= 2
			continue
		}
		best = max(best, float64(p.Threads())*float64(iterations)*fmaFlops/took.Seconds()/1e9)
		spent += took
		r++
	}
	return best
}

// fmaFlops is the number of floating-point operations of one round of fmaLoop.
const fmaFlops = 16

func fmaLoop(n int) float32 {
	var a, b, c, d, e, f, g, h float32 = 1, 2, 3, 4, 5, 6, 7, 8
	const x, y = 0.999, 0.001
	for range n {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
	}
	return a + b + c + d + e + f + g + h
}
