package evaluate

import (
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/npz"
)

// Names of arrays in the result of a case.
const (
	membersArray  = "members_%d"
	featuresArray = "features"
)

// add takes in the logits of one more member, (labels, classes).
func (m *Members) add(logits [][]float32) {
	for k, of := range logits {
		if len(m.Logits) <= k {
			m.Logits = append(m.Logits, nil)
		}
		m.Logits[k] = append(m.Logits[k], append([]float32(nil), of...))
	}
}

// arrays are those of a case's result file; none of a single member, which is its own mean.
func (m *Members) arrays() []npz.Array {
	if m == nil || m.Count() < 2 {
		return nil
	}
	var out []npz.Array
	for i, members := range m.Logits {
		out = append(out, npz.Array{Name: fmt.Sprintf(membersArray, i), Shape: []int{m.Folds, m.Mirrors, len(members[0])}, Data: slices.Concat(members...)})
	}
	return out
}

// ReadMembers takes members and features from the arrays of a result file, as far as they are there and fit the logits.
func (p *Prediction) ReadMembers(arrays map[string]npz.Array) {
	p.Members, p.Features = nil, nil
	m := &Members{}
	for i, logits := range p.Logits {
		a, ok := arrays[fmt.Sprintf(membersArray, i)]
		values, isFloat := a.Data.([]float32)
		if !ok || !isFloat || len(a.Shape) != 3 || a.Shape[2] != len(logits) || a.Shape[0] < 1 || a.Shape[1] < 1 ||
			i > 0 && (a.Shape[0] != m.Folds || a.Shape[1] != m.Mirrors) || len(values) != a.Shape[0]*a.Shape[1]*a.Shape[2] {
			m = nil
			break
		}
		m.Folds, m.Mirrors = a.Shape[0], a.Shape[1]
		m.Logits = append(m.Logits, rows(values, a.Shape[2]))
	}
	if m != nil && len(m.Logits) > 0 {
		p.Members = m
	}
	a := arrays[featuresArray]
	if values, isFloat := a.Data.([]float32); isFloat && len(a.Shape) == 2 && a.Shape[1] > 0 && len(values) == a.Shape[0]*a.Shape[1] {
		p.Features = rows(values, a.Shape[1])
	}
}

// rows cuts values into rows of one length.
func rows(values []float32, length int) [][]float32 {
	var out [][]float32
	for first := 0; first < len(values); first += length {
		out = append(out, values[first:first+length])
	}
	return out
}

// Count is how many members there are.
func (m *Members) Count() int { return m.Folds * m.Mirrors }

// FoldProbabilities are the mean probabilities over mirror images, (folds, classes), of a label.
func (m *Members) FoldProbabilities(label int) [][]float64 {
	out := make([][]float64, m.Folds)
	for i, logits := range m.Logits[label] {
		fold := i / m.Mirrors
		p := Softmax(widened(logits))
		if out[fold] == nil {
			out[fold] = make([]float64, len(p))
		}
		for class, v := range p {
			out[fold][class] += v / float64(m.Mirrors)
		}
	}
	return out
}

// Spread says how far the members agree on a label whose mean probability is highest for the class predicted: the
// standard error of that probability, and the share of members with the same class. The error is that of the mean of
// networks, of which each is the mean of its mirror images; of a single network it is that of the mean of its mirror
// images alone, which says nothing of what another training would have given. It is not defined for a single member.
func (m *Members) Spread(label, predicted int) (members int, standardError, agreement Number) {
	var all []float64
	agree := 0
	for _, logits := range m.Logits[label] {
		p := Softmax(widened(logits))
		all = append(all, p[predicted])
		if Argmax(p) == predicted {
			agree++
		}
	}
	if m.Folds > 1 {
		all = nil
		for _, p := range m.FoldProbabilities(label) {
			all = append(all, p[predicted])
		}
	}
	return m.Count(), Number(math.Sqrt(sampleVariance(all) / float64(len(all)))), Number(float64(agree) / float64(m.Count()))
}

func widened(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
