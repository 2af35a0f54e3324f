package universalclassifier

import "github.com/universal-classifier/uc/internal/evaluate"

// Grouping is a covariate, or the site, that sorts the cases into subgroups, and how well those of each were predicted:
// whom a classifier fails.
type Grouping struct {
	Name     string         // of the covariate
	Kind     string         // "number" or "category"
	Rule     string         // how the groups came about, in words
	Cuts     []float64      // between the groups of a number; a value equal to a cut is in the group above it
	Pooled   []string       // categories with few cases that make up the group "other"
	Groups   []Subgroup     // numbers ascending; the group of cases without a value, if any, last
	Tests    []SubgroupTest // of the groups with enough cases and known values
	Warnings []string
}

// Subgroup is how well the cases of a group were predicted. Where TooFew says why nothing is measured, the fields below
// it are empty.
type Subgroup struct {
	Name             string // such as "50 to < 70"
	Unknown          bool   // the cases whose value is not known; no test looks at them
	Cases            int
	Patients         int // whom the cases are of; 0 where dataset.json does not say
	TooFew           string
	Accuracy         Estimate
	BalancedAccuracy Estimate
	Values           []SubgroupValue // parallel to those of the label
}

// SubgroupValue is how well one class was told from all others in a group. Measures that rest on too few cases are not
// defined, and say why.
type SubgroupValue struct {
	Class                      int
	Name                       string
	Positives, Negatives       int
	AUC, AveragePrecision      Estimate
	Sensitivity, Specificity   Estimate
	Accuracy, BalancedAccuracy Estimate
	Brier                      Estimate // Brier score of the raw probability of the class
	ECE                        Estimate // expected calibration error of it, ten bins of one width
}

// SubgroupTest is a test of a measure being the same in all groups of a grouping.
type SubgroupTest struct {
	Measure         string   // "AUC", "sensitivity", "specificity" or "accuracy"
	Class           string   // name; none for a measure of the label as a whole
	Groups          []string // that are compared
	Method          string
	Statistic       float64 // NaN where the method has none
	DF              int
	P               float64
	PHolm           float64  // corrected for the number of tests in the evaluation (Holm)
	Difference      Estimate // first minus second group, where there are two
	Lowest, Highest string   // groups
}

func groupings(all []evaluate.Grouping) []Grouping {
	var out []Grouping
	for _, of := range all {
		g := Grouping{Name: of.Name, Kind: of.Kind, Rule: of.Rule, Cuts: of.Cuts, Pooled: of.Pooled, Warnings: of.Warnings}
		for _, s := range of.Groups {
			group := Subgroup{s.Name, s.Unknown, s.Cases, s.Patients, s.TooFew, estimate(s.Accuracy), estimate(s.BalancedAccuracy), nil}
			for _, v := range s.Values {
				group.Values = append(group.Values, SubgroupValue{
					v.Value, v.Name, v.Positives, v.Negatives, estimate(v.AUC), estimate(v.AveragePrecision), estimate(v.Sensitivity), estimate(v.Specificity),
					estimate(v.Accuracy), estimate(v.BalancedAccuracy), estimate(v.Brier), estimate(v.ECE),
				})
			}
			g.Groups = append(g.Groups, group)
		}
		for _, t := range of.Tests {
			g.Tests = append(g.Tests, SubgroupTest{
				t.Measure, t.Class, t.Groups, t.Method, float64(t.Statistic), t.DF, float64(t.P), float64(t.PHolm), estimate(t.Difference), t.Lowest, t.Highest,
			})
		}
		out = append(out, g)
	}
	return out
}
