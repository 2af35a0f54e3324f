package calibrate

import "math"

// steps of Newton's method: few are usual, and many mean that there is no maximum.
const steps = 50

// atRest is a step, relative to where it starts, behind which Newton's method has nothing left to find: it squares it.
const atRest = 1e-9

// steepest slope that is believed: beyond it the classes are told apart without an error.
const steepest = 1e4

// Slope is that of the logistic regression (not penalised) of the k-th class on the logit of its probability: 1 where
// probabilities are neither too extreme nor too moderate, below 1 where they are too extreme (Cox, Biometrika 45,
// 1958). It is NaN where the regression has no maximum: one class alone, equal probabilities, or classes told apart
// without an error.
func (s *Sample) Slope(k int, weights []float64) float64 {
	c := &s.of[k]
	slope, intercept := 1.0, 0.0
	loss := c.loss(weights, slope, intercept)
	for range steps {
		var g0, g1, h00, h01, h11 float64
		for i, w := range weights {
			if w == 0 {
				continue
			}
			p := logistic(slope*c.logit[i] + intercept)
			d, v := w*(p-c.truth[i]), w*p*(1-p)
			g0, g1 = g0+d, g1+d*c.logit[i]
			h00, h01, h11 = h00+v, h01+v*c.logit[i], h11+v*c.logit[i]*c.logit[i]
		}
		determinant := h00*h11 - h01*h01
		if !(determinant > 1e-12*h00*h11) {
			return math.NaN()
		}
		ds, di := (h00*g1-h01*g0)/determinant, (h11*g0-h01*g1)/determinant
		if math.Abs(ds) <= atRest*(1+math.Abs(slope)) && math.Abs(di) <= atRest*(1+math.Abs(intercept)) {
			return slope - ds
		}
		length := 1.0
		for ; length > 1e-6; length /= 2 {
			if l := c.loss(weights, slope-length*ds, intercept-length*di); l <= loss {
				loss = l
				break
			}
		}
		if length <= 1e-6 { // only rounding is left
			return slope
		}
		slope, intercept = slope-length*ds, intercept-length*di
		if math.Abs(slope) > steepest {
			return math.NaN()
		}
	}
	return math.NaN()
}

// Intercept is that of the logistic regression of the k-th class with the logit of its probability as it is: 0 where
// probabilities are right on the whole, below 0 where they are too high. It is NaN where all cases are of one class.
func (s *Sample) Intercept(k int, weights []float64) float64 {
	c := &s.of[k]
	var positives, total float64
	for i, w := range weights {
		positives, total = positives+w*c.truth[i], total+w
	}
	if positives == 0 || positives == total {
		return math.NaN()
	}
	low, high := -100.0, 100.0
	at := 0.0
	for range 2 * steps {
		var g, h float64
		for i, w := range weights {
			if w == 0 {
				continue
			}
			p := logistic(c.logit[i] + at)
			g, h = g+w*(p-c.truth[i]), h+w*p*(1-p)
		}
		if g > 0 {
			high = at
		} else {
			low = at
		}
		next := at - g/h
		if !(next > low && next < high) {
			next = (low + high) / 2
		}
		if math.Abs(next-at) <= 1e-14*(1+math.Abs(at)) {
			return next
		}
		at = next
	}
	return at
}

func (c *oneClass) loss(weights []float64, slope, intercept float64) (sum float64) {
	for i, w := range weights {
		if w == 0 {
			continue
		}
		z := slope*c.logit[i] + intercept
		if c.truth[i] == 0 {
			z = -z
		}
		if z > 0 {
			sum += w * math.Log1p(math.Exp(-z))
		} else {
			sum += w * (math.Log1p(math.Exp(z)) - z)
		}
	}
	return sum
}

func logistic(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
