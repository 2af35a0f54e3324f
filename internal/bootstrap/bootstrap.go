// Package bootstrap draws cases with replacement, those of a patient together, and turns what is measured on the draws
// into confidence intervals.
package bootstrap

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Draws is how many resamples there are: the ends of a 95 % interval are then known to a tenth of its width or so.
const Draws = 1000

// seed makes every interval the same each time it is computed.
const seed = 20260101

// minDefined is the share of the draws on which a measure must be defined for its interval to be.
const minDefined = 0.5

// Resamples are measures of all cases and of the draws.
type Resamples struct {
	Values []float64   // of all cases, each once
	draws  [][]float64 // per measure, sorted, those that are defined
}

// Run measures all cases and Draws resamples. measure takes how often each case was drawn and fills in the measures,
// NaN for what is not defined; it is called from several goroutines at once. cluster numbers the patients of the cases;
// nil takes every case for a patient.
func Run(cases int, cluster []int, measures int, measure func(weights, out []float64)) *Resamples {
	r := &Resamples{Values: make([]float64, measures), draws: make([][]float64, measures)}
	weights := make([]float64, cases)
	for i := range weights {
		weights[i] = 1
	}
	measure(weights, r.Values)
	if cases == 0 {
		return r
	}
	members := membersOf(cases, cluster)
	rows := make([]float64, Draws*measures)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			weights := make([]float64, cases)
			for d := next.Add(1) - 1; d < Draws; d = next.Add(1) - 1 {
				clear(weights)
				random := rand.New(rand.NewPCG(seed, uint64(d)))
				for range members {
					for _, i := range members[random.IntN(len(members))] {
						weights[i]++
					}
				}
				measure(weights, rows[int(d)*measures:][:measures])
			}
		})
	}
	workers.Wait()
	for k := range measures {
		var defined []float64
		for d := range Draws {
			if v := rows[d*measures+k]; numeric.Finite(v) {
				defined = append(defined, v)
			}
		}
		slices.Sort(defined)
		r.draws[k] = defined
	}
	return r
}

// membersOf are the cases of each patient, in the order of the patients' first cases.
func membersOf(cases int, cluster []int) [][]int {
	var members [][]int
	at := map[int]int{}
	for i := range cases {
		if cluster == nil {
			members = append(members, []int{i})
			continue
		}
		k, known := at[cluster[i]]
		if !known {
			k = len(members)
			at[cluster[i]] = k
			members = append(members, nil)
		}
		members[k] = append(members[k], i)
	}
	return members
}

// Percentile is the 95 % interval between percentiles of the draws, for measures that are means or smooth functions of
// means. It is NaN where too few draws define the measure.
func (r *Resamples) Percentile(k int) (low, high float64) {
	d := r.draws[k]
	if math.IsNaN(r.Values[k]) || float64(len(d)) < minDefined*Draws {
		return math.NaN(), math.NaN()
	}
	return Quantile(d, 0.025), Quantile(d, 0.975)
}

// Basic is the 95 % interval of percentiles mirrored at the value ("basic", Davison and Hinkley 1997), cut at 0: for
// measures that are not negative and that chance makes too large, in the value itself as in the draws on top of it.
func (r *Resamples) Basic(k int) (low, high float64) {
	low, high = r.Percentile(k)
	v := r.Values[k]
	return math.Max(0, 2*v-high), math.Max(0, 2*v-low)
}

// Quantile of sorted values, between neighbours in proportion (type 7 of Hyndman and Fan, NumPy's default).
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
