package preprocess

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
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
	var per []distribution
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
	want := plan.Statistics{Median: plan.Percentile(all, 50), Mean: mean, SD: math.Sqrt(sd), Min: slices.Min(all), Max: slices.Max(all),
		Percentile00: plan.Percentile(all, 0.5), Percentile99: plan.Percentile(all, 99.5)}
	for _, drop := range []bool{false, true} {
		c := newCollector(cases, 1)
		if drop {
			c.held = maxDistinct
		}
		for _, i := range []int{2, 0, 1} {
			c.add(i, per[i:i+1])
		}
		if c.overflown() != drop {
			t.Fatalf("overflown: %v", c.overflown())
		}
		if drop {
			c.chooseBins()
			for i := range cases {
				c.refine(i, per[i:i+1])
			}
		}
		got := c.properties()[0].Statistics
		for _, pair := range [][2]float64{{got.Median, want.Median}, {got.Mean, want.Mean}, {got.SD, want.SD}, {got.Min, want.Min}, {got.Max, want.Max},
			{got.Percentile00, want.Percentile00}, {got.Percentile99, want.Percentile99}} {
			if relativeError(pair[0], pair[1]) > 1e-6 {
				t.Errorf("dropped %v:\n got %+v\nwant %+v", drop, got, want)
				break
			}
		}
	}
}

// TestSecondScan makes the cohort's values too many to hold: reading all cases twice must give the same statistics.
func TestSecondScan(t *testing.T) {
	f := makeTask(t, "CT", cohortOf(4))
	want := mustRun(t, f, Options{NoPreprocess: true}).DatasetProperties
	loaded, err := task.Load(f, madeUp)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{task: loaded, options: Options{Threads: 2, Memory: 1 << 28}, progress: progress.Discard}
	defer j.limitMemory()()
	c := &cohort{job: j, cases: sortedCases(loaded.Dataset.Cases)}
	collected := newCollector(c.cases, 1)
	collected.held = maxDistinct
	stride := plan.Stride(want.AllSizes)
	if err := c.rescan(t.Context(), stride, collected.add); err != nil {
		t.Fatal(err)
	}
	if !collected.overflown() {
		t.Fatal("the values were held")
	}
	collected.chooseBins()
	if err := c.rescan(t.Context(), stride, collected.refine); err != nil {
		t.Fatal(err)
	}
	if got := collected.properties(); !reflect.DeepEqual(got, want.IntensityProperties) {
		t.Errorf("got %+v\nwant %+v", got[0].Statistics, want.IntensityProperties[0].Statistics)
	}
}

func TestNormaliseConstantAndEmpty(t *testing.T) {
	p := &plan.Plans{NormalizationSchemes: plan.Indexed[string]{plan.NormNonCT}, UseMaskForNorm: plan.Indexed[bool]{false}}
	data := slices.Repeat([]float32{1234.567}, 1001)
	normaliser{p, 0}.apply(data, make([]int16, len(data)))
	if slices.ContainsFunc(data, func(v float32) bool { return v != 0 }) {
		t.Errorf("a constant became %g", data[0])
	}
	p.UseMaskForNorm[0] = true
	data = []float32{1, 2, 3}
	normaliser{p, 0}.apply(data, []int16{-1, -1, -1})
	if !slices.Equal(data, []float32{0, 0, 0}) {
		t.Errorf("outside of the mask: %v", data)
	}
}
