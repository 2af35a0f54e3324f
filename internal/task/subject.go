package task

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/universal-classifier/uc/internal/words"
)

// Fields of a case that say where it comes from. A classification label of the same name takes the field for its
// classes.
const (
	patientField    = "patient"
	siteField       = "site"
	covariatesField = "covariates"
)

// subject reads whom a case was taken of, where, and what else is known.
func (v *validator) subject(c *Case, id string, item *node) {
	c.Patient = v.origin(id, patientField, item)
	c.Site = v.origin(id, siteField, item)
	c.Covariates = v.covariates(id, item)
}

// field is a member of a case, unless it is the class of a classification label.
func (v *validator) field(item *node, name string) *node {
	if slices.ContainsFunc(v.out.Labels, func(l Label) bool { return l.Name == name }) {
		return nil
	}
	return item.get(name)
}

// origin reads a patient or a site; "" if the case has none.
func (v *validator) origin(id, field string, item *node) string {
	n := v.field(item, field)
	switch {
	case n == nil:
		return ""
	case n.kind == kindNumber:
		v.unclear.add(id, field, "line %d: found %s, expected text; write %q", n.line, n.text, n.text)
	case n.kind != kindString:
		v.unclear.add(id, field, "line %d: found %s, expected text such as \"P1\"; leave the field out where it is not known", n.line, describe(n))
	case badText(n.text) != "":
		v.unclear.add(id, field, "line %d: %s %s; correct it, or leave the field out where it is not known", n.line, strconv.Quote(n.text), badText(n.text))
	case strings.TrimSpace(n.text) != n.text:
		v.unclear.add(id, field, "line %d: %q begins or ends with a space, which would make it another than %q; remove the space", n.line, n.text, strings.TrimSpace(n.text))
	default:
		return n.text
	}
	return ""
}

// covariates reads what else is known of a case: a number, a text, true or false by name. null is not known.
func (v *validator) covariates(id string, item *node) map[string]any {
	n := v.field(item, covariatesField)
	if n == nil {
		return nil
	}
	if n.kind != kindObject {
		v.add(id, covariatesField, `line %d: found %s, expected an object such as {"age": 63, "sex": "f"}`, n.line, describe(n))
		return nil
	}
	values := map[string]any{}
	for _, m := range n.members {
		switch {
		case badText(m.key) != "":
			v.add(id, covariatesField, "line %d: the name %q %s; rename it", m.value.line, m.key, badText(m.key))
		case m.value.kind == kindArray || m.value.kind == kindObject:
			v.add(id, covariatesField, "line %d: %q is %s, expected a number, a text, true or false, or null where it is not known", m.value.line, m.key, m.value.kind)
		case m.value.kind == kindString && strings.ContainsFunc(m.value.text, IsControl):
			v.add(id, covariatesField, "line %d: the text of %q holds a control character; remove it", m.value.line, m.key)
		case m.value.kind != kindNull:
			values[m.key] = m.value.value()
		}
	}
	return values
}

// subjectRules checks that patients are named for all cases or for none, and warns of what may be one patient or site
// under two names.
func (v *validator) subjectRules(cases []Case) {
	patients, sites := map[string]int{}, map[string]int{}
	var without, nowhere []string
	for _, c := range cases {
		if patients[c.Patient]++; c.Patient == "" {
			without = append(without, c.ID)
		}
		if sites[c.Site]++; c.Site == "" {
			nowhere = append(nowhere, c.ID)
		}
	}
	named := len(cases) - len(without)
	if named > 0 {
		for _, id := range without {
			if id != "" && !slices.ContainsFunc(v.unclear, func(p Problem) bool { return p.Case == id && p.Field == patientField }) {
				v.unclear.add(id, patientField, "missing, while %d of %d cases have one; name the patient of every case (its own name will do if no other case is of the same patient), or of none", named, len(cases))
			}
		}
	}
	if n := len(nowhere); n > 0 && n < len(cases) {
		v.warn("%d of %d cases name no site (%s): the folds balance the sites of the others, and leave-one-site-out is not possible", n, len(cases), words.Some(nowhere))
	}
	v.warnLookAlikes(patientField, patients)
	v.warnLookAlikes(siteField, sites)
}

// warnLookAlikes names those that differ in case, spaces and punctuation alone, which spreadsheets often add.
func (v *validator) warnLookAlikes(kind string, names map[string]int) {
	alike := map[string][]string{}
	for name := range names {
		if name == "" {
			continue
		}
		key := strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || r == '-' || r == '_' || r == '.' {
				return -1
			}
			return unicode.ToLower(r)
		}, name)
		alike[key] = append(alike[key], strconv.Quote(name))
	}
	var pairs []string
	for _, spellings := range alike {
		if len(spellings) > 1 {
			slices.Sort(spellings)
			pairs = append(pairs, strings.Join(spellings, " and "))
		}
	}
	if slices.Sort(pairs); len(pairs) > 0 {
		v.warn("%d names of a %s are nearly alike and count as different ones: %s; write them in one way if they are the same %s", len(pairs), kind, words.Some(pairs), kind)
	}
}
