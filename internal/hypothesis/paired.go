package hypothesis

import "math"

// Paired tests whether two classifiers are right in as many of the same cases, exactly: under the null hypothesis the
// two may be exchanged in every cluster. cluster are those of the cases, nil if each is one of its own: then it is
// McNemar's exact test, in which the cases that only one of them gets right decide like throws of a coin (Note on the
// sampling error of the difference between correlated proportions or percentages, Psychometrika 12, 1947). With
// clusters, the distribution of the sum of the clusters' differences under all changes of their signs is counted out.
// Without any difference p is 1.
func Paired(first, second []bool, cluster []int) Test {
	differences := map[int]int{}
	method := MethodMcNemar
	for i := range first {
		c := i
		if cluster != nil {
			c, method = cluster[i], MethodSignFlip
		}
		switch {
		case first[i] && !second[i]:
			differences[c]++
		case second[i] && !first[i]:
			differences[c]--
		}
	}
	observed := 0
	sizes := map[int]int{} // how many clusters differ by so much
	for _, d := range differences {
		observed += d
		if d != 0 {
			sizes[max(d, -d)]++
		}
	}
	return Test{Method: method, Statistic: math.NaN(), P: signFlips(sizes, max(observed, -observed))}
}

// signFlips is the probability that a sum of sizes with random signs is observed or more, up or down.
func signFlips(sizes map[int]int, observed int) float64 {
	reach, largest := 0, 0
	for size, count := range sizes {
		reach += size * count
		largest = max(largest, size)
	}
	if observed == 0 {
		return 1
	}
	chance := make([]float64, 2*reach+1) // of the sum i - reach
	chance[reach] = 1
	next := make([]float64, len(chance))
	inside := 0
	for size := 1; size <= largest; size++ {
		for range sizes[size] {
			inside += size
			for i := reach - inside; i <= reach+inside; i++ {
				next[i] = 0
				if i-size >= 0 {
					next[i] += chance[i-size] / 2
				}
				if i+size < len(chance) {
					next[i] += chance[i+size] / 2
				}
			}
			chance, next = next, chance
		}
	}
	var sum float64
	for s := observed; s <= reach; s++ {
		sum += chance[reach+s] + chance[reach-s]
	}
	return min(1, sum)
}
