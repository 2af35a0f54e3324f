// Package winograd holds the transformation matrices of Winograd's minimal filtering F(m, r) along one axis.
//
// m neighbouring outputs of a correlation with r taps, y[k] = sum_j d[k+j] g[j], are y = AT [(G g) * (BT d)] with
// alpha = m+r-1 products instead of m*r (Winograd 1980; Lavin & Gray, CVPR 2016). Axes combine as Kronecker products.
package winograd

import "math"

// Scheme is one F(m, r) along one axis.
type Scheme struct {
	Name    string
	M, R    int // outputs per tile, taps
	Alpha   int // products per tile
	Inputs  int // inputs a tile reads, the first at tile*M - pad + Skip
	Skip    int
	BT      [][]float64 // Alpha x Inputs
	G       [][]float64 // Alpha x R
	AT      [][]float64 // M x Alpha
	TapSkip int         // kernel taps in front of the first of the R that count
	// Noise is how much more rounding the factors costs than rounding those of a direct convolution: the root mean square
	// of the error per tap, for independent inputs and weights of unit variance, of the output of a tile that has most.
	// In F(4,3) that is the last, where the points' powers are largest; over all outputs the error is a quarter smaller.
	Noise float64
}

// Schemes returns all schemes. The interpolation points are dyadic, symmetric about zero and chosen for a small
// rounding error: in F(4,3), +-5/8 and +-3/2 (known from oneDNN) lose 4 times less than +-1 and +-2; in F(3,3), +-3/8
// and +-5/4 a fifth less than +-1/2 and +-3/2.
func Schemes() []Scheme {
	return []Scheme{
		unit(),
		edge(),
		toomCook("f23", 2, 3, 0, 1, -1),
		toomCook("f33", 3, 3, 0.375, -0.375, 1.25, -1.25),
		toomCook("f43", 4, 3, 0, 0.625, -0.625, 1.5, -1.5),
		toomCook("f53", 5, 3, 0.25, -0.25, 0.875, -0.875, 1.75, -1.75),
		toomCook("f24", 2, 4, 0.5, -0.5, 1.5, -1.5),
		toomCook("f34", 3, 4, 0, 0.625, -0.625, 1.5, -1.5),
		toomCook("f44", 4, 4, 0.375, -0.375, 0.875, -0.875, 1.5, -1.5),
	}
}

// unit is for an axis of length 1 with three taps and one zero of padding: only the middle tap meets data.
func unit() Scheme {
	one := [][]float64{{1}}
	return Scheme{Name: "unit", M: 1, R: 1, Alpha: 1, Inputs: 1, Skip: 1, BT: one, G: one, AT: one, TapSkip: 1, Noise: 1}
}

// edge is for an axis of length 2 with three taps and one zero of padding on both sides: the two outputs
// k1*x0 + k2*x1 and k0*x0 + k1*x1 are a Toeplitz product that takes three multiplications.
func edge() Scheme {
	s := Scheme{Name: "edge", M: 2, R: 3, Alpha: 3, Inputs: 2, Skip: 1,
		BT: [][]float64{{1, 1}, {0, 1}, {1, 0}},
		G:  [][]float64{{0, 1, 0}, {0, -1, 1}, {1, -1, 0}},
		AT: [][]float64{{1, 1, 0}, {1, 0, 1}},
	}
	s.Noise = s.noise(2)
	return s
}

// toomCook builds F(m, r) from m+r-2 finite points and infinity.
func toomCook(name string, m, r int, points ...float64) Scheme {
	alpha := m + r - 1
	n := alpha - 1
	if len(points) != n {
		panic("winograd: " + name + " needs m+r-2 points")
	}
	s := Scheme{Name: name, M: m, R: r, Alpha: alpha, Inputs: alpha, BT: zeros(alpha, alpha), G: zeros(alpha, r), AT: zeros(m, alpha)}
	for i, p := range points {
		others := make([]float64, 0, n-1)
		norm := 1.0
		for j, q := range points {
			if j != i {
				others = append(others, q)
				norm *= p - q
			}
		}
		copy(s.BT[i], polynomial(others))
		power := 1.0
		for k := range max(m, r) {
			if k < m {
				s.AT[k][i] = power
			}
			if k < r {
				s.G[i][k] = power / norm
			}
			power *= p
		}
	}
	copy(s.BT[n], polynomial(points))
	s.G[n][r-1], s.AT[m-1][n] = 1, 1
	s.Noise = s.noise(r)
	return s
}

// noise computes Noise for outputs that are sums of so many taps.
func (s *Scheme) noise(taps int) float64 {
	norm := func(row []float64) (sum float64) {
		for _, f := range row {
			sum += f * f
		}
		return sum
	}
	most := 0.0
	for _, output := range s.AT {
		total := 0.0
		for i, f := range output {
			total += f * f * norm(s.BT[i]) * norm(s.G[i])
		}
		most = max(most, total)
	}
	return math.Sqrt(most / float64(taps))
}

// polynomial returns the coefficients, lowest first, of the product of (x - root).
func polynomial(roots []float64) []float64 {
	c := []float64{1}
	for _, root := range roots {
		next := make([]float64, len(c)+1)
		for i, v := range c {
			next[i+1] += v
			next[i] -= root * v
		}
		c = next
	}
	return c
}

// Transpose returns the transposed matrix.
func Transpose(m [][]float64) [][]float64 {
	t := zeros(len(m[0]), len(m))
	for i, row := range m {
		for j, v := range row {
			t[j][i] = v
		}
	}
	return t
}

func zeros(rows, cols int) [][]float64 {
	m := make([][]float64, rows)
	for i := range m {
		m[i] = make([]float64, cols)
	}
	return m
}
