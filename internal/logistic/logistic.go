// Package logistic is logistic regression with a ridge penalty, for two classes or more.
package logistic

import (
	"errors"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/numeric"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// penalty is the weight of half the squared norm of the coefficients relative to the summed cross-entropy: 1,
// scikit-learn's default (LogisticRegression with C=1). Intercepts are not penalised.
const penalty = 1

// atMinimum is the largest component of the gradient, per case, at which a fit has converged.
const atMinimum = 1e-12

// maxSteps of Newton's method: a dozen are usual.
const maxSteps = 100

// damping of the second derivatives, per case, makes them invertible where the intercepts of three classes or more may
// all move together. The gradient has no part in that direction, so it changes no result.
const damping = 1e-9

// Model is a fitted regression. Features are standardised by the mean and standard deviation of the cases it was fitted
// on.
type Model struct {
	classes      int
	present      []int // classes among the fitted cases; the others have probability 0
	mean, scale  []float64
	coefficients []float64 // (scores, features + 1), the intercept last; two classes have one score, more have one each
	prior        []float64
}

// Fit fits probabilities of the classes 0 to classes-1 to cases with features x (cases, features) and classes y: the
// minimum of cross-entropy and penalty, as scikit-learn's LogisticRegression finds it on standardised features. A
// feature that is the same in all cases has no influence. Without features the probabilities are the shares of the
// classes.
func Fit(x [][]float64, y []int, classes int) (*Model, error) {
	if len(x) == 0 || len(x) != len(y) {
		return nil, fmt.Errorf("%d cases and %d classes of cases", len(x), len(y))
	}
	m := &Model{classes: classes, prior: make([]float64, classes)}
	for i, class := range y {
		if class < 0 || class >= classes {
			return nil, fmt.Errorf("case %d: class %d, expected 0 to %d", i, class, classes-1)
		}
		if len(x[i]) != len(x[0]) {
			return nil, fmt.Errorf("case %d: %d features, but case 0 has %d", i, len(x[i]), len(x[0]))
		}
		for k, v := range x[i] {
			if !numeric.Finite(v) {
				return nil, fmt.Errorf("case %d: feature %d is %v", i, k, v)
			}
		}
		m.prior[class] += 1 / float64(len(y))
	}
	index := make([]int, classes) // of a class among those present
	for class, share := range m.prior {
		if share > 0 {
			index[class] = len(m.present)
			m.present = append(m.present, class)
		}
	}
	m.standardise(x)
	rows, targets := make([][]float64, len(x)), make([]int, len(x))
	for i := range x {
		rows[i], targets[i] = m.row(x[i]), index[y[i]]
	}
	return m, m.minimise(rows, targets)
}

// Prior is the share of every class among the cases of the fit.
func (m *Model) Prior() []float64 { return m.prior }

// standardise takes mean and standard deviation (population) of every feature.
func (m *Model) standardise(x [][]float64) {
	n := float64(len(x))
	m.mean, m.scale = make([]float64, len(x[0])), make([]float64, len(x[0]))
	for k := range m.mean {
		var largest float64
		for _, row := range x {
			m.mean[k] += row[k] / n
			largest = max(largest, math.Abs(row[k]))
		}
		var squares float64
		for _, row := range x {
			squares += (row[k] - m.mean[k]) * (row[k] - m.mean[k]) / n
		}
		if sd := math.Sqrt(squares); sd > 1e-12*largest { // below it is rounding
			m.scale[k] = 1 / sd
		}
	}
}

// row is a case's standardised features and a 1 for the intercept.
func (m *Model) row(x []float64) []float64 {
	row := make([]float64, len(x)+1)
	for k, v := range x {
		row[k] = (v - m.mean[k]) * m.scale[k]
	}
	row[len(x)] = 1
	return row
}

// scores is how many linear scores tell the classes apart.
func (m *Model) scores() int {
	if len(m.present) == 2 {
		return 1
	}
	return len(m.present)
}

// minimise finds the coefficients by Newton's method (iteratively reweighted least squares) with steps that are halved
// until the loss, which is convex, does not rise. It starts from the shares of the classes, the minimum where no
// feature matters.
func (m *Model) minimise(rows [][]float64, targets []int) error {
	width, scores := len(rows[0]), m.scores()
	size := scores * width
	m.coefficients = make([]float64, size)
	if len(m.present) == 1 {
		return nil
	}
	for s := range scores {
		m.coefficients[s*width+width-1] = math.Log(m.prior[m.present[m.classOf(s)]])
	}
	if scores == 1 {
		m.coefficients[width-1] -= math.Log(m.prior[m.present[0]])
	}
	gradient, next := make([]float64, size), make([]float64, size)
	hessian := mat.NewSymDense(size, nil)
	var factors mat.Cholesky
	step := mat.NewVecDense(size, nil)
	loss := m.loss(m.coefficients, rows, targets)
	for range maxSteps {
		m.derivatives(rows, targets, gradient, hessian)
		if floats.Norm(gradient, math.Inf(1)) <= atMinimum*float64(len(rows)) {
			return nil
		}
		if !factors.Factorize(hessian) {
			return errors.New("the logistic regression has no unique minimum")
		}
		if err := factors.SolveVecTo(step, mat.NewVecDense(size, gradient)); err != nil && !errors.As(err, new(mat.Condition)) {
			return err
		}
		for length := 1.0; ; length /= 2 {
			floats.AddScaledTo(next, m.coefficients, -length, step.RawVector().Data)
			if l := m.loss(next, rows, targets); l < loss {
				loss = l
				break
			}
			if length < 1e-6 { // only rounding is left
				return nil
			}
		}
		copy(m.coefficients, next)
	}
	return fmt.Errorf("the logistic regression did not converge in %d steps", maxSteps)
}

// loss is the summed cross-entropy and the penalty.
func (m *Model) loss(coefficients []float64, rows [][]float64, targets []int) float64 {
	p := make([]float64, len(m.present))
	var total float64
	for i, row := range rows {
		total -= m.logProbabilities(p, coefficients, row)[targets[i]]
	}
	for i, v := range coefficients {
		if !isIntercept(i, len(rows[0])) {
			total += penalty * v * v / 2
		}
	}
	return total
}

func isIntercept(coefficient, width int) bool { return coefficient%width == width-1 }

// derivatives are the first and second ones of the loss.
func (m *Model) derivatives(rows [][]float64, targets []int, gradient []float64, hessian *mat.SymDense) {
	width, scores := len(rows[0]), m.scores()
	for i := range gradient {
		gradient[i] = 0
	}
	hessian.Zero()
	p := make([]float64, len(m.present))
	for i, row := range rows {
		m.logProbabilities(p, m.coefficients, row)
		for class := range p {
			p[class] = math.Exp(p[class])
		}
		for a := range scores {
			pa := p[m.classOf(a)]
			d := pa
			if m.classOf(a) == targets[i] {
				d--
			}
			floats.AddScaled(gradient[a*width:][:width], d, row)
			for b := a; b < scores; b++ {
				w := -pa * p[m.classOf(b)]
				if a == b {
					w += pa
				}
				for j, u := range row {
					for k := range row {
						if b > a || k >= j {
							at, to := a*width+j, b*width+k
							hessian.SetSym(at, to, hessian.At(at, to)+w*u*row[k])
						}
					}
				}
			}
		}
	}
	for i, v := range m.coefficients {
		extra := damping * float64(len(rows))
		if !isIntercept(i, width) {
			gradient[i] += penalty * v
			extra += penalty
		}
		hessian.SetSym(i, i, hessian.At(i, i)+extra)
	}
}

// classOf is the present class that a score speaks for.
func (m *Model) classOf(score int) int {
	if len(m.present) == 2 {
		return 1
	}
	return score
}

// logProbabilities sets p to the logarithms of the probabilities of the present classes.
func (m *Model) logProbabilities(p, coefficients, row []float64) []float64 {
	width := len(row)
	for i := range p {
		p[i] = 0
	}
	for s := range m.scores() {
		p[m.classOf(s)] = floats.Dot(coefficients[s*width:][:width], row)
	}
	highest := floats.Max(p)
	var sum float64
	for _, v := range p {
		sum += math.Exp(v - highest)
	}
	floats.AddConst(-highest-math.Log(sum), p)
	return p
}

// LogProbabilities are the logarithms of the probabilities of all classes for a case with features x; minus infinity
// for classes that no case of the fit had.
func (m *Model) LogProbabilities(x []float64) []float64 {
	p := m.logProbabilities(make([]float64, len(m.present)), m.coefficients, m.row(x))
	all := make([]float64, m.classes)
	for class := range all {
		all[class] = math.Inf(-1)
	}
	for i, class := range m.present {
		all[class] = p[i]
	}
	return all
}
