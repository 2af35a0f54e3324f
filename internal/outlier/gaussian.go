// Package outlier tells how unusual a case is among others, by plain numbers of it or by the features of a network.
package outlier

import (
	"errors"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/numeric"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// MaxReference is how many cases a Gaussian is fitted to at most: more tell little about it and cost their square.
const MaxReference = 500

// minReference is the least number of cases.
const minReference = 3

// leastShrinkage keeps the covariance invertible where there are fewer cases than features.
const leastShrinkage = 1e-6

// ErrConstant is the error of cases that do not differ.
var ErrConstant = errors.New("the features of all cases are the same")

// Gaussian is a normal distribution of features whose covariance is shrunk towards a multiple of the identity by as
// much as Ledoit and Wolf find best (Journal of Multivariate Analysis 88, 2004). It is kept by its cases: for n of them
// all it takes are matrices of n x n, however many features there are.
type Gaussian struct {
	origin []float64   // subtracted from all features before anything else
	x      [][]float64 // (cases, features), less origin
	gram   *mat.SymDense
	fit    *dual
}

// dual is a fit in terms of inner products of cases.
type dual struct {
	members   []int     // rows of the cases that it is fitted to
	rowMean   []float64 // inner product of each with their mean
	total     float64   // of the mean with itself
	scale     float64   // variance that the shrunk covariance has where no case varies
	shrinkage float64
	factors   mat.Cholesky
}

// NewGaussian fits features (cases, features), which it does not change.
func NewGaussian(features [][]float64) (*Gaussian, error) {
	n := len(features)
	if n < minReference {
		return nil, fmt.Errorf("features of %d cases, expected at least %d", n, minReference)
	}
	g := &Gaussian{origin: make([]float64, len(features[0])), x: make([][]float64, n), gram: mat.NewSymDense(n, nil)}
	for i, row := range features {
		if len(row) != len(g.origin) || len(row) == 0 {
			return nil, fmt.Errorf("case %d: %d features, expected %d", i, len(row), len(g.origin))
		}
		for k, v := range row {
			if !numeric.Finite(v) {
				return nil, fmt.Errorf("case %d: feature %d is %v", i, k, v)
			}
			g.origin[k] += v / float64(n)
		}
	}
	for i, row := range features { // centred here for accuracy; the fits centre by the mean of their own cases
		g.x[i] = make([]float64, len(row))
		floats.SubTo(g.x[i], row, g.origin)
		for j := range i + 1 {
			g.gram.SetSym(i, j, floats.Dot(g.x[i], g.x[j]))
		}
	}
	members := make([]int, n)
	for i := range members {
		members[i] = i
	}
	var err error
	g.fit, err = g.fitTo(members)
	return g, err
}

// Shrinkage is the weight of the identity in the covariance, 0 to 1.
func (g *Gaussian) Shrinkage() float64 { return g.fit.shrinkage }

func (g *Gaussian) fitTo(members []int) (*dual, error) {
	n, p := len(members), float64(len(g.origin))
	if n < minReference {
		return nil, fmt.Errorf("features of %d cases, expected at least %d", n, minReference)
	}
	d := &dual{members: members, rowMean: make([]float64, n)}
	for i, a := range members {
		for _, b := range members {
			d.rowMean[i] += g.gram.At(a, b) / float64(n)
		}
		d.total += d.rowMean[i] / float64(n)
	}
	centred := mat.NewSymDense(n, nil)
	var trace, squares, fourth float64
	for i, a := range members {
		for j := i; j < n; j++ {
			v := g.gram.At(a, members[j]) - d.rowMean[i] - d.rowMean[j] + d.total
			centred.SetSym(i, j, v)
			if i == j {
				trace, fourth, squares = trace+v, fourth+v*v, squares+v*v
			} else {
				squares += 2 * v * v
			}
		}
	}
	cases := float64(n)
	mu := trace / cases / p // mean variance of a feature
	if !(mu > 0) {
		return nil, ErrConstant
	}
	delta := (squares/(cases*cases) - p*mu*mu) / p
	beta := math.Min((fourth/cases-squares/(cases*cases))/(p*cases), delta)
	if d.shrinkage = beta / delta; !(beta > 0) {
		d.shrinkage = 0
	}
	d.shrinkage = math.Min(1, math.Max(leastShrinkage, d.shrinkage))
	d.scale = d.shrinkage * mu
	if d.shrinkage == 1 {
		return d, nil
	}
	// Woodbury: (scale I + (1 - shrinkage)/n X'X)^-1 = (I - X' (XX' + ridge I)^-1 X) / scale.
	for i := range n {
		centred.SetSym(i, i, centred.At(i, i)+cases*d.scale/(1-d.shrinkage))
	}
	if !d.factors.Factorize(centred) {
		return nil, errors.New("the covariance of the features is not positive definite")
	}
	return d, nil
}

// distance is the Mahalanobis distance of a case with the given inner products: with each member, and with itself.
func (d *dual) distance(products []float64, self float64) float64 {
	var mean float64
	for _, v := range products {
		mean += v / float64(len(products))
	}
	square := self - 2*mean + d.total
	if d.shrinkage < 1 {
		centred := mat.NewVecDense(len(products), nil)
		for i, v := range products {
			centred.SetVec(i, v-mean-d.rowMean[i]+d.total)
		}
		solved := mat.NewVecDense(len(products), nil)
		if err := d.factors.SolveVecTo(solved, centred); err != nil && !errors.As(err, new(mat.Condition)) {
			return math.NaN()
		}
		square -= mat.Dot(centred, solved)
	}
	return math.Sqrt(math.Max(0, square/d.scale))
}

// Distance is the Mahalanobis distance of features from the mean of the cases; NaN for features that are not finite or
// not as many.
func (g *Gaussian) Distance(features []float64) float64 {
	if len(features) != len(g.origin) {
		return math.NaN()
	}
	x := make([]float64, len(features))
	floats.SubTo(x, features, g.origin)
	products := make([]float64, len(g.fit.members))
	for i, m := range g.fit.members {
		products[i] = floats.Dot(x, g.x[m])
	}
	d := g.fit.distance(products, floats.Dot(x, x))
	if math.IsInf(d, 0) {
		return math.NaN()
	}
	return d
}

// parts is how many times HeldOut fits.
const parts = 10

// HeldOut are the distances of the cases, each from a fit to cases of other groups, such as patients: those of new
// cases are like these, while the distance of a case that the fit has seen is too small.
func (g *Gaussian) HeldOut(groups []string) ([]float64, error) {
	part, number := make([]int, len(g.x)), map[string]int{}
	for i := range g.x {
		k, known := number[groups[i]]
		if !known || groups[i] == "" {
			k = len(number) % parts
			if groups[i] == "" {
				k = i % parts
			}
			number[groups[i]] = k
		}
		part[i] = k
	}
	out := make([]float64, len(g.x))
	for k := range parts {
		var members, others []int
		for i, of := range part {
			if of == k {
				others = append(others, i)
			} else {
				members = append(members, i)
			}
		}
		if len(others) == 0 {
			continue
		}
		d, err := g.fitTo(members)
		if err != nil {
			return nil, err
		}
		products := make([]float64, len(members))
		for _, i := range others {
			for j, m := range members {
				products[j] = g.gram.At(i, m)
			}
			out[i] = d.distance(products, g.gram.At(i, i))
		}
	}
	return out, nil
}
