package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/subgroup"
)

// subgroups measures the report by what is known of its cases; nil means that only --covariates may tell.
func (f *evaluateFlags) subgroups(cmd *cobra.Command, r *evaluate.Report, known *covariate.Table, rules map[string]covariate.Rule) error {
	if known == nil {
		var err error
		if known, err = subgroup.Known(r, f.covariates); err != nil {
			return err
		}
	}
	for _, note := range known.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), printable(note))
	}
	if err := subgroup.Add(r, known, rules); err != nil {
		if len(known.Columns) == 0 {
			return fmt.Errorf("%w; name the table of covariates with --covariates FILE", err)
		}
		return err
	}
	return nil
}
