package winograd

import (
	"math"
	"testing"
)

// calculator is a Machine on registers that hold one number.
type calculator struct {
	out        []float64
	stored     []bool
	operations int
}

func (c *calculator) Add(dst, x, y *float64)                  { *dst = *x + *y; c.operations++ }
func (c *calculator) Subtract(dst, x, y *float64)             { *dst = *x - *y; c.operations++ }
func (c *calculator) Multiply(dst, x *float64, by float64)    { *dst = by * *x; c.operations++ }
func (c *calculator) AddMultiple(dst, x *float64, by float64) { *dst += by * *x; c.operations++ }
func (c *calculator) Copy(dst, x *float64)                    { *dst = *x }
func (c *calculator) Clear(dst *float64)                      { *dst = 0 }
func (c *calculator) Store(row int, value *float64)           { c.out[row], c.stored[row] = *value, true }

// TestEvaluate evaluates the matrices of all schemes on numbers, with no more operations than they have entries.
func TestEvaluate(t *testing.T) {
	for _, s := range Schemes() {
		for name, m := range map[string][][]float64{"BT": s.BT, "G": s.G, "AT": s.AT, "A": Transpose(s.AT), "GT": Transpose(s.G), "zero": {{0, 0}}} {
			v := make([]float64, len(m[0]))
			in := make([]*float64, len(v))
			for i := range v {
				v[i] = math.Sin(float64(3*i + 1))
				copied := v[i]
				in[i] = &copied
			}
			var x, y, z float64
			c := &calculator{out: make([]float64, len(m)), stored: make([]bool, len(m))}
			Evaluate(m, in, [3]*float64{&x, &y, &z}, c)
			entries := 0
			for _, row := range m {
				entries += len(row)
			}
			for i, want := range apply(m, v) {
				if !c.stored[i] || math.Abs(c.out[i]-want) > 1e-12 {
					t.Errorf("%s of %s: row %d is %g, want %g", name, s.Name, i, c.out[i], want)
				}
			}
			if c.operations > entries {
				t.Errorf("%s of %s: %d operations for %d entries", name, s.Name, c.operations, entries)
			}
		}
	}
}
