// Package calibrate fits temperatures to logits and measures how far probabilities are from what happens.
package calibrate

import (
	"errors"
	"math"
)

// Temperatures are looked for in this range. A network whose logits are 10 times too small or 100 times too large is
// broken in other ways.
const (
	MinTemperature = 0.1
	MaxTemperature = 100
)

// Words for a temperature at an end of the range.
const (
	boundSeparated = "the classes of these cases are told apart without an error, so that no temperature is too small"
	boundUseless   = "the logits carry no information on the classes of these cases, or point the wrong way, so that no temperature is high enough"
)

// ErrOneClass is the error of cases that are all of one class, from which no temperature can be learned.
var ErrOneClass = errors.New("all cases are of one class")

// ErrNoCases is the error of no cases.
var ErrNoCases = errors.New("no cases")

// Temperature is the number by which logits (cases, classes) are to be divided before the softmax for the classes to be
// most likely: maximum likelihood (Guo et al., On calibration of modern neural networks, ICML 2017). bound says why it
// lies at an end of the range, and is empty otherwise.
func Temperature(logits [][]float64, classes []int) (temperature float64, bound string, err error) {
	if len(logits) == 0 {
		return math.NaN(), "", ErrNoCases
	}
	one := true
	for _, c := range classes {
		one = one && c == classes[0]
	}
	if one {
		return math.NaN(), "", ErrOneClass
	}
	// The loss is convex in the inverse temperature: its slope has one root.
	low, high := 1.0/MaxTemperature, 1.0/MinTemperature
	if slope, _ := derivatives(logits, classes, low); slope >= 0 {
		return MaxTemperature, boundUseless, nil
	}
	if slope, _ := derivatives(logits, classes, high); slope <= 0 {
		return MinTemperature, boundSeparated, nil
	}
	inverse := 1.0
	for range 100 { // Newton's method within a bracket that is halved where it leaves it
		slope, curvature := derivatives(logits, classes, inverse)
		if slope > 0 {
			high = inverse
		} else {
			low = inverse
		}
		next := inverse - slope/curvature
		if !(next > low && next < high) {
			next = (low + high) / 2
		}
		if math.Abs(next-inverse) <= 1e-15*inverse {
			break
		}
		inverse = next
	}
	return 1 / inverse, "", nil
}

// derivatives are the first and second ones of the mean cross-entropy by the inverse temperature.
func derivatives(logits [][]float64, classes []int, inverse float64) (slope, curvature float64) {
	for i, row := range logits {
		highest := math.Inf(-1)
		for _, v := range row {
			highest = math.Max(highest, v)
		}
		var total, mean, square float64
		for _, v := range row {
			e := math.Exp(inverse * (v - highest))
			total += e
			mean += e * (v - highest)
			square += e * (v - highest) * (v - highest)
		}
		mean, square = mean/total, square/total
		slope += mean - (row[classes[i]] - highest)
		curvature += square - mean*mean
	}
	n := float64(len(logits))
	return slope / n, curvature / n
}

// Apply is the softmax of logits divided by a temperature.
func Apply(logits []float64, temperature float64) []float64 {
	highest := math.Inf(-1)
	for _, v := range logits {
		highest = math.Max(highest, v)
	}
	out := make([]float64, len(logits))
	var sum float64
	for i, v := range logits {
		out[i] = math.Exp((v - highest) / temperature)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
