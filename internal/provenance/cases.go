package provenance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/words"
)

// Case is a case that something was made from.
type Case struct {
	ID      string `json:"case"`
	Files   string `json:"files,omitempty"` // digest of its images and mask; empty where an earlier version did not record it
	Targets []int  `json:"targets"`         // class per classification label
}

// CaseChanges says how two lists of cases differ.
type CaseChanges struct {
	Added, Removed []string
	Files          []string // other images or another mask under the same name
	Targets        []string // other classes
}

// CompareCases finds what has become of the cases in then.
func CompareCases(then, now []Case) CaseChanges {
	var c CaseChanges
	before := byID(then)
	for _, n := range now {
		b, known := before[n.ID]
		switch {
		case !known:
			c.Added = append(c.Added, n.ID)
		case b.Files != n.Files && b.Files != "" && n.Files != "":
			c.Files = append(c.Files, n.ID)
		}
		if known && !slices.Equal(b.Targets, n.Targets) {
			c.Targets = append(c.Targets, fmt.Sprintf("%s %v -> %v", n.ID, b.Targets, n.Targets))
		}
		delete(before, n.ID)
	}
	for _, b := range then {
		if _, left := before[b.ID]; left {
			c.Removed = append(c.Removed, b.ID)
		}
	}
	return c
}

// Any reports whether anything has changed.
func (c CaseChanges) Any() bool {
	return len(c.Added)+len(c.Removed)+len(c.Files)+len(c.Targets) > 0
}

// Text says what has changed about cases of a kind ("training cases").
func (c CaseChanges) Text(kind string) string {
	var parts []string
	for _, p := range []struct {
		what  string
		cases []string
	}{{kind + " added", c.Added}, {kind + " gone", c.Removed}, {"images or masks of " + kind, c.Files}, {"classes of " + kind, c.Targets}} {
		if len(p.cases) > 0 {
			parts = append(parts, fmt.Sprintf("%s (%s)", p.what, words.Some(p.cases)))
		}
	}
	return strings.Join(parts, ", ")
}

// Shared names the cases of one list that are also in the other, by name or by content.
func Shared(of, with []Case) []string {
	ids := byID(with)
	files := map[string]bool{}
	for _, c := range with {
		files[c.Files] = c.Files != ""
	}
	var shared []string
	for _, c := range of {
		if _, same := ids[c.ID]; same || files[c.Files] {
			shared = append(shared, c.ID)
		}
	}
	return shared
}

func byID(cases []Case) map[string]Case {
	m := make(map[string]Case, len(cases))
	for _, c := range cases {
		m[c.ID] = c
	}
	return m
}
