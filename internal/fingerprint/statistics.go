package fingerprint

import (
	"math"
)

// The statistics of the cohort are exact to float32, but the voxels are not all held at once. Each float32 has a key:
// its bits, changed so that keys order as the numbers do. A case leaves behind its moments and its distinct keys with
// their counts; whole-number images, as CT is, have a few thousand. If the cohort has too many, only a histogram of the
// upper half of the keys is kept, and a second scan counts the lower halves within the few bins that matter.

// MaxDistinct is how many distinct values of a cohort are held, over all cases (8 bytes each).
const MaxDistinct = 1 << 24

// keyOf maps v to an integer that orders as v does; -0 and 0 are one value.
func keyOf(v float32) uint32 {
	b := math.Float32bits(v + 0)
	return b ^ uint32(int32(b)>>31)&0x7fffffff ^ 1<<31
}

func valueOf(key uint32) float32 {
	b := key ^ 1<<31
	return math.Float32frombits(b ^ uint32(int32(b)>>31)&0x7fffffff)
}

// Sample is the distribution of every stride-th voxel of data where mask > 0, the first included.
func Sample(data []float32, mask []int16, stride int) Distribution {
	keys := sample(data, mask, stride)
	sortKeys(keys)
	return distinct(keys)
}

// sample appends the keys of every stride-th voxel of data where mask > 0, the first included.
func sample(data []float32, mask []int16, stride int) []uint32 {
	var keys []uint32
	left := 0
	for i, label := range mask {
		if label <= 0 {
			continue
		}
		if left == 0 {
			keys = append(keys, keyOf(data[i]))
			left = stride
		}
		left--
	}
	return keys
}

// sortKeys sorts by radix: three passes of 11 bits.
func sortKeys(keys []uint32) {
	const radixBits, passes = 11, 3
	other := make([]uint32, len(keys))
	for p := range passes {
		var at [1 << radixBits]int
		shift := uint(p * radixBits)
		for _, k := range keys {
			at[k>>shift&(1<<radixBits-1)]++
		}
		sum := 0
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, k := range keys {
			d := k >> shift & (1<<radixBits - 1)
			other[at[d]] = k
			at[d]++
		}
		keys, other = other, keys
	}
	copy(other, keys) // after an odd number of passes the result lies in the scratch array
}

// Distribution is a multiset of values: distinct keys in ascending order and how often each occurs.
type Distribution struct {
	key   []uint32
	count []uint32 // a cohort's sample stays below 2^32 values by the choice of the stride
}

// distinct counts equal neighbours of sorted keys.
func distinct(sorted []uint32) Distribution {
	var d Distribution
	for i, k := range sorted {
		if i == 0 || k != sorted[i-1] {
			d.key = append(d.key, k)
			d.count = append(d.count, 0)
		}
		d.count[len(d.count)-1]++
	}
	return d
}

// moment holds the number of values, their mean, and the sum of squared differences from it.
type moment struct {
	n        int
	mean, m2 float64
	min, max float32
}

func momentOf(d Distribution) moment {
	var m moment
	for i, k := range d.key {
		m.n += int(d.count[i])
		m.mean += float64(valueOf(k)) * float64(d.count[i])
	}
	m.mean /= float64(m.n)
	for i, k := range d.key {
		diff := float64(valueOf(k)) - m.mean
		m.m2 += diff * diff * float64(d.count[i])
	}
	m.min, m.max = valueOf(d.key[0]), valueOf(d.key[len(d.key)-1])
	return m
}

// join combines the moments of two sets (Chan, Golub and LeVeque 1979).
func (m moment) join(o moment) moment {
	if m.n == 0 {
		return o
	}
	n := float64(m.n + o.n)
	diff := o.mean - m.mean
	return moment{
		n:    m.n + o.n,
		mean: m.mean + diff*float64(o.n)/n,
		m2:   m.m2 + o.m2 + diff*diff*float64(m.n)*float64(o.n)/n,
		min:  min(m.min, o.min), max: max(m.max, o.max),
	}
}

// statistics completes the moments with the order statistics that rank finds: rank(i) is the i-th smallest value.
func (m moment) statistics(rank func(i int) float32) Statistics {
	percentile := func(q float64) float64 {
		low, high, t := PercentileRank(m.n, q)
		return Interpolate(float64(rank(low)), float64(rank(high)), t)
	}
	median := float64(rank(m.n / 2))
	if m.n%2 == 0 {
		median = float64(float32((median + float64(rank(m.n/2-1))) / 2))
	}
	return Statistics{
		Median: median, Mean: float64(float32(m.mean)), SD: float64(float32(math.Sqrt(m.m2 / float64(m.n)))),
		Min: float64(m.min), Max: float64(m.max), Percentile00: percentile(0.5), Percentile99: percentile(99.5),
	}
}

// ranks are the positions that statistics asks for.
func (m moment) ranks() []int {
	var out []int
	m.statistics(func(i int) float32 {
		out = append(out, i)
		return 0
	})
	return out
}

// rank is the i-th smallest value of d.
func (d Distribution) rank(i int) float32 {
	for j, n := range d.count {
		if i -= int(n); i < 0 {
			return valueOf(d.key[j])
		}
	}
	return float32(math.NaN())
}

// lowerBits is the part of a key that the histogram of upper halves leaves open.
const lowerBits = 16

// histogram counts keys by their upper halves, and, for chosen upper halves, by their lower halves.
type histogram struct {
	upper []int64
	lower map[uint32][]int64
}

func newHistogram() *histogram {
	return &histogram{upper: make([]int64, 1<<(32-lowerBits)), lower: map[uint32][]int64{}}
}

func (h *histogram) addUpper(d Distribution) {
	for i, k := range d.key {
		h.upper[k>>lowerBits] += int64(d.count[i])
	}
}

// addLower counts keys whose upper half was chosen.
func (h *histogram) addLower(d Distribution) {
	for i, k := range d.key {
		if bin := h.lower[k>>lowerBits]; bin != nil {
			bin[k&(1<<lowerBits-1)] += int64(d.count[i])
		}
	}
}

// bin finds the upper half that holds rank i, and the rank within it.
func (h *histogram) bin(i int) (upper uint32, rest int64) {
	rest = int64(i)
	for u, n := range h.upper {
		if rest < n {
			return uint32(u), rest
		}
		rest -= n
	}
	return 0, 0
}

// choose opens the bins that hold the given ranks.
func (h *histogram) choose(ranks []int) {
	for _, i := range ranks {
		if u, _ := h.bin(i); h.lower[u] == nil {
			h.lower[u] = make([]int64, 1<<lowerBits)
		}
	}
}

// rank is the i-th smallest value; its bin must have been chosen and counted.
func (h *histogram) rank(i int) float32 {
	u, rest := h.bin(i)
	for l, n := range h.lower[u] {
		if rest < n {
			return valueOf(u<<lowerBits | uint32(l))
		}
		rest -= n
	}
	return float32(math.NaN())
}

// merge joins distributions, pair by pair.
func merge(all []Distribution) Distribution {
	for len(all) > 1 {
		var next []Distribution
		for i := 0; i+1 < len(all); i += 2 {
			next = append(next, mergeTwo(all[i], all[i+1]))
		}
		if len(all)%2 == 1 {
			next = append(next, all[len(all)-1])
		}
		all = next
	}
	if len(all) == 0 {
		return Distribution{}
	}
	return all[0]
}

func mergeTwo(a, b Distribution) Distribution {
	n := max(len(a.key), len(b.key))
	out := Distribution{make([]uint32, 0, n), make([]uint32, 0, n)}
	i, j := 0, 0
	for i < len(a.key) || j < len(b.key) {
		switch {
		case j == len(b.key) || i < len(a.key) && a.key[i] < b.key[j]:
			out.key, out.count = append(out.key, a.key[i]), append(out.count, a.count[i])
			i++
		case i == len(a.key) || b.key[j] < a.key[i]:
			out.key, out.count = append(out.key, b.key[j]), append(out.count, b.count[j])
			j++
		default:
			out.key, out.count = append(out.key, a.key[i]), append(out.count, a.count[i]+b.count[j])
			i, j = i+1, j+1
		}
	}
	return out
}
