package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/subgroup"
	"github.com/universal-classifier/uc/internal/task"
)

// groupRules reads --groups.
func groupRules(texts []string) (map[string]covariate.Rule, error) {
	rules := map[string]covariate.Rule{}
	for _, text := range texts {
		name, rule, err := covariate.ParseRule(text)
		if err != nil {
			return nil, usagef("flag --groups: %v", err)
		}
		if _, twice := rules[name]; twice {
			return nil, usagef("flag --groups: %s is cut twice", name)
		}
		rules[name] = rule
	}
	return rules, nil
}

// covariatesOf are the sites and covariates of cases, those of --covariates included.
func (f *evaluateFlags) covariatesOf(cases []task.Case, labels []task.Label) (*covariate.Table, error) {
	t := covariate.FromCases(cases)
	if f.covariates == "" {
		return t, nil
	}
	patients := map[string]string{}
	for _, c := range cases {
		patients[c.ID] = c.Patient
	}
	more, err := covariate.Read(f.covariates, patients, labels)
	if err != nil {
		return nil, err
	}
	t.Merge(more)
	return t, nil
}

// subgroups measures the report by what is known of its cases; nil means that only --covariates may tell.
func (f *evaluateFlags) subgroups(cmd *cobra.Command, r *evaluate.Report, known *covariate.Table, rules map[string]covariate.Rule) error {
	if known == nil {
		var cases []task.Case
		for _, p := range r.Predictions {
			cases = append(cases, task.Case{ID: p.Case, Patient: p.Patient})
		}
		var labels []task.Label
		for _, l := range r.Labels {
			labels = append(labels, task.Label{Name: l.Name})
		}
		var err error
		if known, err = f.covariatesOf(cases, labels); err != nil {
			return err
		}
	}
	for _, note := range known.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), printable(note))
	}
	r.Warnings = append(r.Warnings, known.Warnings...)
	if err := subgroup.Add(r, known, rules); err != nil {
		if len(known.Columns) == 0 {
			return fmt.Errorf("%w; name the table of covariates with --covariates FILE", err)
		}
		return err
	}
	return nil
}
