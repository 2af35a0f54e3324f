package fingerprint

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

func TestKeysOrderAsNumbers(t *testing.T) {
	values := []float32{float32(math.Inf(-1)), -1e30, -2, -1, -1e-40, 0, 1e-40, 1, 2, 1e30, float32(math.Inf(1))}
	for i, v := range values {
		if got := valueOf(keyOf(v)); got != v {
			t.Errorf("%g became %g", v, got)
		}
		if i > 0 && keyOf(values[i-1]) >= keyOf(v) {
			t.Errorf("the keys of %g and %g are out of order", values[i-1], v)
		}
	}
	if keyOf(float32(math.Copysign(0, -1))) != keyOf(0) {
		t.Error("-0 and 0 differ")
	}
}

func TestSortKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	keys := make([]uint32, 5000)
	for i := range keys {
		keys[i] = rng.Uint32()
	}
	want := slices.Sorted(slices.Values(keys))
	sortKeys(keys)
	if !slices.Equal(keys, want) {
		t.Error("not sorted")
	}
}

func TestSample(t *testing.T) {
	data := []float32{9, 1, 2, 3, 4, 5, 6, 7}
	mask := []int16{0, 1, 1, 2, -1, 1, 1, 1}
	var got []float32
	for _, k := range sample(data, mask, 2) {
		got = append(got, valueOf(k))
	}
	if want := []float32{1, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCollector compares both ways of counting with a sort of all values.
func TestCollector(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	cases := []task.Case{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	var all []float64
	var per []Distribution
	for i := range cases {
		var keys []uint32
		for range 1000 + 301*i {
			v := float32(rng.NormFloat64()*100 + float64(50*i))
			keys = append(keys, keyOf(v))
			all = append(all, float64(v))
		}
		sortKeys(keys)
		per = append(per, distinct(keys))
	}
	mean, sd := 0.0, 0.0
	for _, v := range all {
		mean += v / float64(len(all))
	}
	for _, v := range all {
		sd += (v - mean) * (v - mean) / float64(len(all))
	}
	want := Statistics{Median: Percentile(all, 50), Mean: mean, SD: math.Sqrt(sd), Min: slices.Min(all), Max: slices.Max(all),
		Percentile00: Percentile(all, 0.5), Percentile99: Percentile(all, 99.5)}
	for _, drop := range []bool{false, true} {
		most := MaxDistinct
		if drop {
			most = 0
		}
		c := NewCollector(cases, 1, most)
		for _, i := range []int{2, 0, 1} {
			c.Add(i, per[i:i+1])
		}
		if c.Overflown() != drop {
			t.Fatalf("overflown: %v", c.Overflown())
		}
		if drop {
			c.ChooseBins()
			for i := range cases {
				c.Refine(i, per[i:i+1])
			}
		}
		got := c.Properties()[0].Statistics
		for _, pair := range [][2]float64{{got.Median, want.Median}, {got.Mean, want.Mean}, {got.SD, want.SD}, {got.Min, want.Min}, {got.Max, want.Max},
			{got.Percentile00, want.Percentile00}, {got.Percentile99, want.Percentile99}} {
			if relativeError(pair[0], pair[1]) > 1e-6 {
				t.Errorf("dropped %v:\n got %+v\nwant %+v", drop, got, want)
				break
			}
		}
	}
}

func relativeError(got, want float64) float64 {
	if got == want {
		return 0
	}
	return math.Abs(got-want) / max(math.Abs(want), 1e-12)
}

func TestPercentile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 50: 2.5, 100: 4, 10: 1.3, 99.5: 3.985} {
		if got := Percentile(values, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("percentile %g: %g, want %g", q, got, want)
		}
	}
}
