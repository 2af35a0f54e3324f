package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/crossvalidation"
	"github.com/universal-classifier/uc/internal/reliability"
)

// parsePrevalence reads the values of --prevalence.
func parsePrevalence(values []string) ([]reliability.Prevalence, error) {
	var out []reliability.Prevalence
	for _, v := range values {
		name, number, named := strings.Cut(v, "=")
		p := reliability.Prevalence{}
		if named {
			p.Label, p.Class, _ = strings.Cut(name, ":")
		} else {
			number = v
		}
		share, err := strconv.ParseFloat(number, 64)
		if err != nil || !(share > 0 && share < 1) {
			return nil, usagef("flag --prevalence: %q, expected a share above 0 and below 1, or LABEL=SHARE, or LABEL:CLASS=SHARE", v)
		}
		p.Value = share
		out = append(out, p)
	}
	return out, nil
}

// keepDoubt writes next to the model what it knows of its reliability, unless some of its folds were chosen.
func (f *evaluateFlags) keepDoubt(r *crossvalidation.Result) error {
	if r.Doubt == nil || len(f.folds) > 0 {
		return nil
	}
	if err := r.Doubt.Write(r.Model); err != nil {
		return fmt.Errorf("%w; predictions of this model stay without calibration", err)
	}
	return nil
}
