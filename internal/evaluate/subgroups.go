package evaluate

// Measures that are compared between subgroups, as they stand in the reports.
const (
	MeasureAUC         = "AUC"
	MeasureSensitivity = "sensitivity"
	MeasureSpecificity = "specificity"
	MeasureAccuracy    = "accuracy"
)

// Grouping is a covariate, or the site, that sorts the cases into subgroups, and the performance in each.
type Grouping struct {
	Name   string    `json:"name"`             // of the covariate
	Kind   string    `json:"kind"`             // "number" or "category"
	Rule   string    `json:"rule"`             // how the groups came about, in words: "tertiles", "given cuts", "one for each category"
	Cuts   []float64 `json:"cuts,omitempty"`   // between the groups of a number; a value equal to a cut is in the group above it
	Pooled []string  `json:"pooled,omitempty"` // categories with few cases that make up the group "other"

	Groups []Subgroup     `json:"groups"`          // numbers ascending; the group of cases without a value, if any, last
	Tests  []SubgroupTest `json:"tests,omitempty"` // of the groups with enough cases and known values

	Warnings []string `json:"warnings,omitempty"`
}

// Subgroup is the performance on the cases of a group.
type Subgroup struct {
	Name     string `json:"name"`              // such as "50 to < 70", "f", "other", "not known"
	Unknown  bool   `json:"unknown,omitempty"` // the cases whose value is not known; no test looks at them
	Cases    int    `json:"cases"`
	Patients int    `json:"patients,omitempty"`
	TooFew   string `json:"too_few,omitempty"` // why nothing is measured, in words; the fields below are empty then

	Accuracy         Estimate        `json:"accuracy,omitzero"`
	BalancedAccuracy Estimate        `json:"balanced_accuracy,omitzero"`
	Values           []SubgroupValue `json:"values,omitempty"` // those of LabelReport.Values, in their order
}

// SubgroupValue is the performance of a subgroup on one class against all others. Measures that rest on too few cases
// are not defined, and say why.
type SubgroupValue struct {
	Value            int      `json:"value"`
	Name             string   `json:"name"`
	Positives        int      `json:"positives"`
	Negatives        int      `json:"negatives"`
	AUC              Estimate `json:"auc"`
	AveragePrecision Estimate `json:"average_precision"`
	Sensitivity      Estimate `json:"sensitivity"`
	Specificity      Estimate `json:"specificity"`
	Accuracy         Estimate `json:"accuracy"`
	BalancedAccuracy Estimate `json:"balanced_accuracy"`
	Brier            Estimate `json:"brier"` // of the raw probability of the class
	ECE              Estimate `json:"ece"`   // expected calibration error of it, ten bins of one width
}

// SubgroupTest is a test of a measure being the same in all groups of a grouping.
type SubgroupTest struct {
	Measure    string   `json:"measure"`
	Class      string   `json:"class,omitempty"` // name; none for a measure of the label as a whole
	Groups     []string `json:"groups"`          // that are compared
	Method     string   `json:"method,omitempty"`
	Statistic  Number   `json:"statistic"` // null where the method has none
	DF         int      `json:"df,omitempty"`
	P          Number   `json:"p"`
	PHolm      Number   `json:"p_holm"`                 // corrected for the number of tests in the report
	Difference Estimate `json:"difference,omitzero"`    // first minus second group, where there are two
	Lowest     string   `json:"lowest_group,omitempty"` // group in which the measure is lowest
	Highest    string   `json:"highest_group,omitempty"`
}
