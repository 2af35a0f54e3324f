// Package exercise has every operation of a device run on small made-up tensors, case by case.
//
// The self-test of a card and the conformance suite that tests run (package devicetest) both compare devices by these
// cases: the first needs them in the program, which must not import package testing.
package exercise

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/device"
)

// Result is what one operation of a case has computed.
type Result struct {
	Name   string // in words, for messages
	Values []float32
}

// Run runs all cases on a device. A loss that the device scales is not scaled while they run.
func Run(dev device.Device) (results []Result, err error) {
	defer device.Recover(&err)
	if s, ok := dev.(device.LossScaler); ok {
		scale, good := s.LossScale()
		s.SetLossScale(1, 0) // the gradients given here are not scaled
		defer s.SetLossScale(scale, good)
	}
	for _, c := range cases {
		r, err := run(dev, c)
		if err != nil {
			return nil, err
		}
		results = append(results, r...)
	}
	return results, nil
}

// Compare runs all cases on two devices and returns an error if a result of dev is further from the reference's than
// the tolerance, relative to the largest value of that result.
func Compare(dev, reference device.Device, tolerance float64) error {
	got, err := Run(dev)
	if err != nil {
		return err
	}
	want, err := Run(reference)
	if err != nil {
		return err
	}
	for i, w := range want {
		scale, worst := 0.0, 0.0
		for k, v := range w.Values {
			scale = max(scale, math.Abs(float64(v)))
			if d := math.Abs(float64(got[i].Values[k] - v)); !(d <= worst) {
				worst = d
			}
		}
		if !(worst <= tolerance*scale) {
			return fmt.Errorf("%s failed its test: %s differs from the CPU's by %.2g, largest value %.2g", dev.Name(), w.Name, worst, scale)
		}
	}
	return nil
}

// Tolerance is how far a device may be from float32, relative to the largest value.
func Tolerance(dev device.Device) float64 {
	if dev.Precision() == "fp32" {
		return 1e-4
	}
	return 2e-2
}

// run runs one case and gives its memory back.
func run(dev device.Device, c func(*table)) ([]Result, error) {
	t := &table{Device: dev}
	defer t.clear()
	c(t)
	return t.results, t.err
}

// table is what a case lays its tensors out on.
type table struct {
	device.Device
	blocks  []device.Block
	results []Result
	err     error // that ended the case
}

func (t *table) clear() {
	for _, b := range t.blocks {
		b.Free()
	}
}

// empty returns a tensor of zeros.
func (t *table) empty(kind device.Kind, shape ...int) *device.Tensor {
	s := device.Spec{Kind: kind, Shape: shape}
	b, err := t.NewBlock(t.Bytes(s))
	if err != nil {
		panic(&device.Error{Device: t.Name(), Err: err})
	}
	t.blocks = append(t.blocks, b)
	return t.Place(s, b, 0)
}

// filled returns a tensor with the values of a sine, at most fill. They are multiples of 1/64 below 1, which every
// number format holds exactly, and no negative zeros, whose order in a maximum is not defined.
func (t *table) filled(fill float64, kind device.Kind, shape ...int) *device.Tensor {
	return t.made(func(i int) float64 { return fill * math.Sin(float64(i)*0.7+float64(len(shape))+fill) }, kind, shape...)
}

// positive is filled without the signs. Sums of products of such values hardly cancel, so that what rounding makes of
// them stays small next to the result.
func (t *table) positive(fill float64, kind device.Kind, shape ...int) *device.Tensor {
	return t.made(func(i int) float64 { return fill * math.Abs(math.Sin(float64(i)*0.7+float64(len(shape))+fill)) }, kind, shape...)
}

// made returns a tensor with the values of f, rounded to multiples of 1/64.
func (t *table) made(f func(i int) float64, kind device.Kind, shape ...int) *device.Tensor {
	x := t.empty(kind, shape...)
	values := make([]float32, x.Size())
	for i := range values {
		if n := int(math.Round(64 * f(i))); n != 0 {
			values[i] = float32(n) / 64
		}
	}
	t.Upload(x, values)
	return x
}

// zeros and vector are arrays of n values.
func (t *table) zeros(n int) *device.Tensor                { return t.empty(device.Values, n) }
func (t *table) vector(fill float64, n int) *device.Tensor { return t.filled(fill, device.Values, n) }

// given returns a tensor with the values, which every number format must hold.
func (t *table) given(values []float32, shape ...int) *device.Tensor {
	x := t.empty(device.Values, shape...)
	t.Upload(x, values)
	return x
}

// read makes a tensor's values a result.
func (t *table) read(name string, x *device.Tensor) {
	values := make([]float32, x.Size())
	t.Download(x, values)
	t.results = append(t.results, Result{name, values})
}
