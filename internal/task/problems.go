package task

import (
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
)

// Problem is one broken rule.
type Problem struct {
	Case    string // case id; empty where the rule concerns the whole task
	Field   string // field of dataset.json, or file, that is wrong
	Message string // what was found, what was expected, what to do
	For     []remedy.Remedy
}

func (p Problem) String() string {
	var parts []string
	if p.Case != "" {
		parts = append(parts, "case "+p.Case)
	}
	if p.Field != "" {
		parts = append(parts, p.Field)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// ValidationError is every broken rule found in one run.
type ValidationError struct {
	Subject  string // what was checked: the path of a dataset.json, a folder, ...
	Problems []Problem
}

// Remedies are those of all problems.
func (e *ValidationError) Remedies() []remedy.Remedy {
	var all []remedy.Remedy
	for _, p := range e.Problems {
		all = append(all, p.For...)
	}
	return all
}

// Error is one line for one problem, else a heading and a line for each.
func (e *ValidationError) Error() string {
	if len(e.Problems) == 1 {
		return fmt.Sprintf("%s: %s", e.Subject, e.Problems[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d problems", e.Subject, len(e.Problems))
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s", p)
	}
	return b.String()
}

// problems gathers broken rules.
type problems []Problem

func (p *problems) add(caseID, field, format string, args ...any) {
	*p = append(*p, Problem{Case: caseID, Field: field, Message: fmt.Sprintf(format, args...)})
}

// see adds remedies to the last problem.
func (p problems) see(remedies ...remedy.Remedy) {
	last := &p[len(p)-1]
	last.For = append(last.For, remedies...)
}

func (p problems) err(subject string) error {
	if len(p) == 0 {
		return nil
	}
	return &ValidationError{Subject: subject, Problems: p}
}
