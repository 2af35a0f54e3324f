package subgroup

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/hypothesis"
)

// tests compares the groups with enough cases and known values: accuracy, and for every class area, sensitivity and
// specificity.
func tests(l *evaluate.LabelReport, groups []*group) []evaluate.SubgroupTest {
	var compared []*group
	for _, g := range groups {
		if g.measured && g.known {
			compared = append(compared, g)
		}
	}
	var out []evaluate.SubgroupTest
	add := func(t *evaluate.SubgroupTest) {
		if t != nil {
			out = append(out, *t)
		}
	}
	for _, v := range l.Values {
		add(areas(v.Value, v.Name, compared))
		add(shares(evaluate.MeasureSensitivity, v.Name, compared, func(g *group) ([]bool, []string) {
			s := g.sides(v.Value)
			return s.right[2], s.whose[2]
		}))
		add(shares(evaluate.MeasureSpecificity, v.Name, compared, func(g *group) ([]bool, []string) {
			s := g.sides(v.Value)
			return s.right[1], s.whose[1]
		}))
	}
	add(shares(evaluate.MeasureAccuracy, "", compared, func(g *group) ([]bool, []string) {
		right := make([]bool, len(g.targets))
		for i, t := range g.targets {
			right[i] = g.predicted[i] == t
		}
		return right, g.patients
	}))
	return out
}

// member is a group in a test.
type member struct {
	name     string
	estimate evaluate.Estimate
}

// result makes a test's entry in the report.
func result(measure, class string, members []member, t hypothesis.Test) *evaluate.SubgroupTest {
	out := &evaluate.SubgroupTest{Measure: measure, Class: class, Method: t.Method, Statistic: evaluate.Number(t.Statistic), DF: t.DF, P: evaluate.Number(t.P)}
	lowest, highest := members[0], members[0]
	for _, m := range members {
		out.Groups = append(out.Groups, m.name)
		if m.estimate.Value < lowest.estimate.Value {
			lowest = m
		}
		if m.estimate.Value > highest.estimate.Value {
			highest = m
		}
	}
	if lowest.name != highest.name {
		out.Lowest, out.Highest = lowest.name, highest.name
	}
	if len(members) == 2 {
		out.Difference = evaluate.Independent(members[0].estimate, members[1].estimate)
	}
	return out
}

// shares compares a share between groups; nil with fewer than two of enough cases.
func shares(measure, class string, groups []*group, of func(*group) ([]bool, []string)) *evaluate.SubgroupTest {
	var members []member
	var hits, totals, group []int
	var right []bool
	var patients []string
	for _, g := range groups {
		r, whose := of(g)
		if len(r) < FewestSide {
			continue
		}
		n := 0
		for i, hit := range r {
			if hit {
				n++
			}
			right, patients, group = append(right, hit), append(patients, whose[i]), append(group, len(members))
		}
		hits, totals = append(hits, n), append(totals, len(r))
		members = append(members, member{g.name, evaluate.Share(r, whose)})
	}
	if len(members) < 2 {
		return nil
	}
	clusters := evaluate.Clusters(patients)
	if clusters == nil {
		return result(measure, class, members, hypothesis.Proportions(hits, totals))
	}
	out := result(measure, class, members, hypothesis.ClusteredProportions(right, group, clusters, len(members)))
	if len(members) == 2 && straddled(clusters, group) {
		out.Difference = evaluate.Correlated(members[0].estimate, members[1].estimate, shareCorrelation(right, group, clusters))
	}
	return out
}

// areas compares the area of a class between groups; nil with fewer than two of enough cases. Areas of different cases
// are independent (DeLong's variances), but for patients with cases in several groups, whose part in both counts as
// covariance.
func areas(class int, name string, groups []*group) *evaluate.SubgroupTest {
	var members []member
	var estimates, variances []float64
	var influence []float64 // per case
	var group []int
	var patients []string
	for _, g := range groups {
		s := g.sides(class)
		if s.few(true, true) != "" {
			continue
		}
		a, err := evaluate.NewArea(s.truth, s.scores, g.patients)
		if err != nil {
			continue
		}
		for range a.Influence {
			group = append(group, len(members))
		}
		influence, patients = append(influence, a.Influence...), append(patients, g.patients...)
		members = append(members, member{g.name, a.Estimate})
		estimates, variances = append(estimates, float64(a.Estimate.Value)), append(variances, varianceOf(a))
	}
	if len(members) < 2 {
		return nil
	}
	k := len(members)
	covariance := mat.NewSymDense(k, nil)
	for g, v := range variances {
		covariance.SetSym(g, g, v)
	}
	clusters := evaluate.Clusters(patients)
	if clusters != nil && straddled(clusters, group) {
		for g := range k {
			for h := g + 1; h < k; h++ {
				covariance.SetSym(g, h, between(influence, group, clusters, g, h))
			}
		}
	}
	out := result(evaluate.MeasureAUC, name, members, hypothesis.Heterogeneity(estimates, covariance))
	if k == 2 {
		if c := covariance.At(0, 1); c != 0 {
			out.Difference = evaluate.Correlated(members[0].estimate, members[1].estimate, c/math.Sqrt(variances[0]*variances[1]))
		}
	}
	return out
}

// varianceOf is the variance of an area; where DeLong's is 0 or does not exist, that which Newcombe's interval implies
// towards smaller areas, or larger ones below one half.
func varianceOf(a *evaluate.Area) float64 {
	if a.Variance > 0 {
		return a.Variance
	}
	e := a.Estimate
	reach := float64(e.Value - e.Low)
	if e.Value < 0.5 {
		reach = float64(e.High - e.Value)
	}
	return reach * reach / (evaluate.Z95 * evaluate.Z95)
}

// straddled reports whether a cluster has cases in several groups.
func straddled(clusters, group []int) bool {
	first := map[int]int{}
	for i, c := range clusters {
		if g, known := first[c]; known && g != group[i] {
			return true
		}
		first[c] = group[i]
	}
	return false
}

// between is the covariance of two groups' estimates over the clusters with cases in both, as Obuchowski's of an area's
// two sides.
func between(influence []float64, group, clusters []int, g, h int) float64 {
	sums := map[int]*[2]float64{}
	var order []int
	for i, c := range clusters {
		if group[i] != g && group[i] != h {
			continue
		}
		s := sums[c]
		if s == nil {
			s = &[2]float64{}
			sums[c] = s
			order = append(order, c)
		}
		if group[i] == g {
			s[0] += influence[i]
		} else {
			s[1] += influence[i]
		}
	}
	var sum float64
	for _, c := range order {
		sum += sums[c][0] * sums[c][1]
	}
	n := float64(len(order))
	return sum * n / (n - 1)
}

// shareCorrelation is the correlation of the shares of two groups that share clusters.
func shareCorrelation(right []bool, group, clusters []int) float64 {
	var n, hits [2]float64
	for i, r := range right {
		n[group[i]]++
		if r {
			hits[group[i]]++
		}
	}
	influence := make([]float64, len(right))
	var variance [2]float64
	sums := map[[2]int]float64{}
	for i, r := range right {
		g := group[i]
		influence[i] = -hits[g] / n[g] / n[g]
		if r {
			influence[i] += 1 / n[g]
		}
		sums[[2]int{clusters[i], g}] += influence[i]
	}
	for key, s := range sums {
		variance[key[1]] += s * s
	}
	if variance[0] == 0 || variance[1] == 0 {
		return 0
	}
	return max(-1, min(1, between(influence, group, clusters, 0, 1)/math.Sqrt(variance[0]*variance[1])))
}
