package dicom

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"
	"github.com/universal-classifier/uc/internal/numeric"
)

// elements are the elements of a data set or of a sequence's item.
type elements []*dicom.Element

// decode lets the library read what a walk has copied. The library is written for files that keep to the standard, so a
// panic of it is an error of the file.
func (o *outline) decode() (e elements, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed data set: %v", r)
		}
	}()
	d, err := dicom.Parse(bytes.NewReader(o.dataSet), int64(len(o.dataSet)), nil, dicom.AllowUnknownSpecificCharacterSet())
	return d.Elements, err
}

func (e elements) find(a attribute) dicom.Value {
	for _, x := range e {
		if x.Tag == (tag.Tag{Group: uint16(a >> 16), Element: uint16(a)}) {
			return x.Value
		}
	}
	return nil
}

// texts are the values of a text element, trimmed; nil if it is not there or empty.
func (e elements) texts(a attribute) []string {
	v := e.find(a)
	if v == nil || v.ValueType() != dicom.Strings {
		return nil
	}
	out := v.GetValue().([]string)
	for i, s := range out {
		out[i] = strings.TrimSpace(strings.Trim(s, "\x00 "))
	}
	if len(out) == 1 && out[0] == "" {
		return nil
	}
	return out
}

func (e elements) text(a attribute) string { return strings.Join(e.texts(a), `\`) }

// numbers are the values of an element of numbers, as text or binary; nil if it is not there or empty.
func (e elements) numbers(a attribute) ([]float64, error) {
	v := e.find(a)
	if v == nil {
		return nil, nil
	}
	var out []float64
	switch v.ValueType() {
	case dicom.Ints:
		for _, n := range v.GetValue().([]int) {
			out = append(out, float64(n))
		}
	case dicom.Floats:
		out = v.GetValue().([]float64)
	case dicom.Strings:
		for _, s := range e.texts(a) {
			n, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return nil, fmt.Errorf("element %v: %q is not a number", a, s)
			}
			out = append(out, n)
		}
	default:
		return nil, fmt.Errorf("element %v does not hold numbers", a)
	}
	for _, n := range out {
		if !numeric.Finite(n) {
			return nil, fmt.Errorf("element %v: %v is not finite", a, n)
		}
	}
	return out, nil
}

// sequence are the items of a sequence.
func (e elements) sequence(a attribute) []elements {
	v := e.find(a)
	if v == nil || v.ValueType() != dicom.Sequences {
		return nil
	}
	var out []elements
	for _, i := range v.GetValue().([]*dicom.SequenceItemValue) {
		out = append(out, i.GetValue().([]*dicom.Element))
	}
	return out
}

// numberReader reads numbers and keeps the first error.
type numberReader struct{ err error }

// vector fills out with n numbers; it reports whether the element is there.
func (r *numberReader) vector(e elements, a attribute, out []float64) bool {
	v, err := e.numbers(a)
	if err == nil && len(v) != 0 && len(v) != len(out) {
		err = fmt.Errorf("element %v has %d values, expected %d", a, len(v), len(out))
	}
	if err != nil && r.err == nil {
		r.err = err
	}
	if err != nil || len(v) == 0 {
		return false
	}
	copy(out, v)
	return true
}

// first is the first number of an element, or missing if it is not there.
func (r *numberReader) first(e elements, a attribute, missing float64) float64 {
	v, err := e.numbers(a)
	if err != nil && r.err == nil {
		r.err = err
	}
	if err != nil || len(v) == 0 {
		return missing
	}
	return v[0]
}

// whole is the first number of an element as a whole number that is not negative, or missing if it is not there.
func (r *numberReader) whole(e elements, a attribute, missing int) int {
	v := r.first(e, a, float64(missing))
	if v != math.Trunc(v) || math.Abs(v) > 1<<31 {
		if r.err == nil {
			r.err = fmt.Errorf("element %v: %v is not a whole number", a, v)
		}
		return missing
	}
	return int(v)
}
