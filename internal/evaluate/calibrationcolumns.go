package evaluate

// calibrationMeasures name what CSV has of the calibration of a label: the first of the label as a whole, slope and
// intercept of each class.
var calibrationMeasures = [...]string{"log_loss", "brier_score", "ece", "slope", "intercept"}

// calibrationColumns name the columns that CSV has for the probabilities as the network gives them and after the
// temperature.
func calibrationColumns() []string {
	var names []string
	for _, side := range []string{"raw_", "calibrated_"} {
		for _, m := range calibrationMeasures {
			names = append(names, side+m, side+m+"_low", side+m+"_high")
		}
	}
	return append(names, "temperature")
}

// calibrationCells are those columns for l.Values[at], or for the label as a whole (at < 0); empty without calibration.
func calibrationCells(l LabelReport, at int) []string {
	var sides [2]*CalibrationMeasures
	temperature := ""
	if c := l.Calibration; c != nil {
		sides = [2]*CalibrationMeasures{&c.Before, c.After}
		if c.Temperature != nil && at < 0 {
			temperature = plain(c.Temperature.Value)
		}
	}
	var cells []string
	for _, m := range sides {
		for _, e := range m.of(at) {
			if e == nil {
				cells = append(cells, "", "", "")
			} else {
				cells = append(cells, plain(e.Value), plain(e.Low), plain(e.High))
			}
		}
	}
	return append(cells, temperature)
}

// of are calibrationMeasures of class at, or of the label as a whole (at < 0); nil where they are not of it.
func (m *CalibrationMeasures) of(at int) (e [len(calibrationMeasures)]*Estimate) {
	switch {
	case m == nil:
	case at < 0:
		e[0], e[1], e[2] = &m.LogLoss, &m.BrierScore, &m.ECE
	case at < len(m.Classes):
		e[3], e[4] = &m.Classes[at].Slope, &m.Classes[at].Intercept
	}
	return e
}
