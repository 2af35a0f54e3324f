package rows

import "slices"

// statsBlock is how many values are summed in float32 before they go into the float64 sums.
const statsBlock = 256

func describePortable(x []float32, about float32, s *sums) {
	for len(x) > 0 {
		block := x[:min(statsBlock, len(x))]
		x = x[len(block):]
		var sum, squares float32
		for _, v := range block {
			s.min = min(s.min, v)
			s.max = max(s.max, v)
			v -= about
			sum += v
			squares += v * v
		}
		s.sum += float64(sum)
		s.squares += float64(squares)
	}
}

func affinePortable(x []float32, scale, shift, low, high float32) {
	for i, v := range x {
		x[i] = min(max(v*scale+shift, low), high)
	}
}

func scalePortable(x []float32, factor float32) {
	for i := range x {
		x[i] *= factor
	}
}

func powerPortable(x []float32, shift, scale float32, p *powers, about float32, s *sums) {
	for len(x) > 0 {
		block := x[:min(statsBlock, len(x))]
		x = x[len(block):]
		var sum, squares float32
		for i, v := range block {
			v = p.of((v - shift) * scale)
			block[i] = v
			s.min = min(s.min, v)
			s.max = max(s.max, v)
			v -= about
			sum += v
			squares += v * v
		}
		s.sum += float64(sum)
		s.squares += float64(squares)
	}
}

func reversePortable(x []float32) { slices.Reverse(x) }

func swapReversedPortable(a, b []float32) {
	n := len(a)
	for i := range a {
		a[i], b[n-1-i] = b[n-1-i], a[i]
	}
}

func swapPortable(a, b []float32) {
	for i, v := range a {
		a[i], b[i] = b[i], v
	}
}
