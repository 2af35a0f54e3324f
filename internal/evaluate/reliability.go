package evaluate

// This file holds what a report says of probabilities and of doubt, in addition to how well classes are separated.

// CalibrationReport is how well the probabilities of a label agree with what happens, as the network gives them
// (Before) and after a temperature was applied (After). For a cross-validation the temperature that is applied to a
// case was fitted on cases of other folds.
type CalibrationReport struct {
	Temperature *Temperature         `json:"temperature,omitempty"` // fitted on all cases, for new ones
	Nested      []Temperature        `json:"nested,omitempty"`      // those applied to the cases of each part
	Parts       string               `json:"parts,omitempty"`       // what the parts are: "folds", or "cases" of one fold
	Before      CalibrationMeasures  `json:"before"`
	After       *CalibrationMeasures `json:"after,omitempty"`
	Why         string               `json:"why,omitempty"` // there is no After
	Method      string               `json:"method"`        // of the intervals
}

// Temperature is a fitted temperature: logits are divided by it before the softmax.
type Temperature struct {
	Part  string `json:"part,omitempty"` // whose cases it is applied to; empty for new cases
	Cases int    `json:"cases"`          // it was fitted on
	Value Number `json:"temperature"`
	Bound string `json:"bound,omitempty"` // why it lies at the end of the range that is searched
}

// CalibrationMeasures say how far probabilities are from what happens. With two classes they are about class 1, with
// more about every class against the rest: BrierScore and its parts are sums over the classes, ECE and DebiasedRMS
// means.
type CalibrationMeasures struct {
	LogLoss     Estimate `json:"log_loss"` // mean of -ln p(true class)
	BrierScore  Estimate `json:"brier_score"`
	Reliability Estimate `json:"reliability"` // Murphy's parts: brier = reliability - resolution + uncertainty + within_bins
	Resolution  Estimate `json:"resolution"`
	Uncertainty Estimate `json:"uncertainty"`
	WithinBins  Number   `json:"within_bins"` // what the bins hide
	ECE         Estimate `json:"ece"`         // expected calibration error over Bins of equal width
	DebiasedRMS Estimate `json:"debiased_rms_calibration_error"`

	Classes []ClassCalibration `json:"classes"` // parallel to LabelReport.Values
}

// ClassCalibration is the calibration of one class against all others.
type ClassCalibration struct {
	Value     int              `json:"value"`
	Name      string           `json:"name"`
	Slope     Estimate         `json:"slope"`     // of the logistic regression of the class on the logit of its probability; 1 is perfect
	Intercept Estimate         `json:"intercept"` // with a slope of 1; 0 is perfect, below it probabilities are too high
	Bins      []CalibrationBin `json:"bins"`      // of equal width, those with cases
}

// CalibrationBin are the cases whose probability lies in [Low, High).
type CalibrationBin struct {
	Low         float64  `json:"low"`
	High        float64  `json:"high"`
	Cases       int      `json:"cases"`
	Probability Number   `json:"mean_probability"`
	Share       Estimate `json:"share"` // of the class among them
}

// ThresholdReport is a threshold of a class's probability that a rule chose, and what it reaches on cases that had no
// part in the choice.
type ThresholdReport struct {
	Rule        string          `json:"rule"`
	Threshold   Number          `json:"threshold"` // chosen on all cases, for new ones: positive from it on
	Nested      []PartThreshold `json:"nested,omitempty"`
	Sensitivity Estimate        `json:"sensitivity"` // with the nested thresholds
	Specificity Estimate        `json:"specificity"`
	Prevalence  Number          `json:"prevalence"` // that the predictive values hold for
	PPV         Estimate        `json:"positive_predictive_value"`
	NPV         Estimate        `json:"negative_predictive_value"`
	Why         string          `json:"why,omitempty"` // there is no threshold
}

// PartThreshold is the threshold applied to the cases of a part.
type PartThreshold struct {
	Part      string `json:"part"`
	Threshold Number `json:"threshold"`
}

// DecisionCurve is the net benefit of acting on a probability against that of acting on all cases or on none (which is
// 0), over thresholds of the probability (Vickers and Elkin, Medical Decision Making 26, 2006). The lists belong
// together.
type DecisionCurve struct {
	Prevalence Number   `json:"prevalence"`
	Calibrated bool     `json:"calibrated"` // Model is that of the calibrated probabilities, else of the raw ones
	Thresholds []Number `json:"thresholds"`
	Model      []Number `json:"model"`
	Low        []Number `json:"low"` // 95 % interval
	High       []Number `json:"high"`
	TreatAll   []Number `json:"treat_all"`
	Raw        []Number `json:"raw,omitempty"` // of the raw probabilities, where Calibrated
}

// OrdinalReport is the performance on a label whose classes have an order.
type OrdinalReport struct {
	Kappa  Estimate `json:"quadratic_weighted_kappa"`
	MAE    Estimate `json:"mean_absolute_error"` // in classes
	Method string   `json:"method"`              // of the intervals
}

// DoubtReport is how well doubt is known: what prediction sets hold, and what the cases are worth that are not in
// doubt.
type DoubtReport struct {
	Target       float64  `json:"target_coverage"`
	Coverage     Estimate `json:"coverage"` // share of cases whose set holds the true class
	PerClass     []Class  `json:"per_class"`
	MeanSize     Estimate `json:"mean_set_size"`
	Single       Estimate `json:"single"` // share of cases whose set is one class
	Confident    int      `json:"confident_cases"`
	Accuracy     Estimate `json:"accuracy"` // of all cases
	AccuracyOf   Estimate `json:"accuracy_confident"`
	AccuracyRest Estimate `json:"accuracy_doubtful"`
	AUC          Estimate `json:"auc"` // of class 1, or the mean over classes
	AUCConfident Estimate `json:"auc_confident"`
	Agreement    Estimate `json:"agreement"` // mean share of members that agree with the mean's class; undefined where members are not recorded
	Unusual      Estimate `json:"unusual"`   // share of cases that look unlike the others
	Why          string   `json:"why,omitempty"`
}

// Class is the coverage of one class.
type Class struct {
	Name     string   `json:"name"`
	Cases    int      `json:"cases"`
	Coverage Estimate `json:"coverage"`
}

// Doubt is what speaks against relying on the prediction of a case.
type Doubt struct {
	Labels  []LabelDoubt `json:"labels"` // per classification label
	Outlier *Outlier     `json:"out_of_distribution,omitempty"`
}

// LabelDoubt is the doubt about one label of a case.
type LabelDoubt struct {
	Members       int    `json:"members"`        // networks times mirror images
	StandardError Number `json:"standard_error"` // of the mean probability of the predicted class
	Agreement     Number `json:"agreement"`      // share of members whose class is that of the mean
	Set           []int  `json:"set,omitempty"`  // classes of the conformal prediction set
}

// Outlier says how unusual a case is among those that were held out of the trainings. P are the shares of these that
// are as unusual or more so, the case counted in.
type Outlier struct {
	Flag     bool     `json:"flag"`
	Rate     float64  `json:"false_alarm_rate"` // of each of the two tests
	Measures *Number  `json:"measures_p,omitempty"`
	Features *Number  `json:"features_p,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
}

// Members are the logits of every network and mirror image that a prediction is the mean of.
type Members struct {
	Folds, Mirrors int
	Logits         [][][]float32 // (labels, folds x mirrors, classes), mirrors fastest
}
