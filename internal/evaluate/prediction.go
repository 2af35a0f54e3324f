package evaluate

// Prediction is what a model said of one case. Targets hold the true class per classification label; Logits and
// Probabilities are (labels, classes). Missing probabilities are the softmax of the logits.
type Prediction struct {
	Case          string
	Fold          string
	Targets       []int
	Logits        [][]float64
	Probabilities [][]float64
	Patient       string            // of whom the case is; empty where it is not known
	Groups        map[string]string // subgroup by grouping; see Grouping
	Files         string            // digest of the case's images and mask; empty where it is not known

	Members    *Members    // nil where they are not known
	Features   [][]float32 // what the last layer of each network saw, (folds, features); nil where they are not known
	Calibrated [][]float64 // probabilities (labels, classes) after the temperature; nil where there is none
	Doubt      *Doubt      // nil where nothing is known
}

// NewPrediction returns a prediction of zeros for a case, with so many classes per label; Add fills it, with each of
// the mirror images of each fold, fold by fold.
func NewPrediction(id string, classes []int, folds, mirrors int) Prediction {
	p := Prediction{Case: id, Members: &Members{Folds: folds, Mirrors: mirrors}}
	for _, n := range classes {
		p.Logits = append(p.Logits, make([]float64, n))
		p.Probabilities = append(p.Probabilities, make([]float64, n))
	}
	return p
}

// Add takes in the logits, (labels, classes), of one network and one mirror image: the prediction becomes the mean of
// logits and of their softmax if the shares of all add up to 1.
func (p *Prediction) Add(logits [][]float32, share float64) {
	p.Members.add(logits)
	for k, of := range logits {
		wide := make([]float64, len(of))
		for i, v := range of {
			wide[i] = float64(v)
		}
		for i, v := range Softmax(wide) {
			p.Logits[k][i] += share * wide[i]
			p.Probabilities[k][i] += share * v
		}
	}
}
