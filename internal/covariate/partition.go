package covariate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Rule is how a column is cut into groups. The zero value leaves it to the values.
type Rule struct {
	Cuts      []float64 // ascending
	Quantiles int       // groups of about one size
	Kind      string    // takes the place of the guessed kind
}

// ParseRule reads "NAME:50,70" (cuts), "NAME:q4" (four groups of about one size), "NAME:category" and "NAME:number".
func ParseRule(text string) (name string, r Rule, err error) {
	at := strings.LastIndex(text, ":")
	if at <= 0 || at == len(text)-1 {
		return "", r, fmt.Errorf("%q is not a grouping; expected such as age:50,70 or age:q4 or grade:category", text)
	}
	name, how := text[:at], strings.TrimSpace(text[at+1:])
	switch {
	case strings.EqualFold(how, Category) || strings.EqualFold(how, Number):
		r.Kind = strings.ToLower(how)
		return name, r, nil
	case len(how) > 1 && (how[0] == 'q' || how[0] == 'Q'):
		n, err := strconv.Atoi(how[1:])
		if err != nil || n < 2 || n > 20 {
			return "", r, fmt.Errorf("%q: %q is not a number of groups; expected q2 to q20", text, how)
		}
		r.Quantiles = n
		return name, r, nil
	}
	for _, c := range strings.Split(how, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(c), 64)
		if err != nil || !numeric.Finite(v) {
			return "", r, fmt.Errorf("%q: %q is not a number; expected cuts such as age:50,70", text, strings.TrimSpace(c))
		}
		if n := len(r.Cuts); n > 0 && v <= r.Cuts[n-1] {
			return "", r, fmt.Errorf("%q: the cuts must ascend, but %g follows %g", text, v, r.Cuts[n-1])
		}
		r.Cuts = append(r.Cuts, v)
	}
	return name, r, nil
}

// ParseRules reads a rule for each of several columns.
func ParseRules(texts []string) (map[string]Rule, error) {
	rules := map[string]Rule{}
	for _, text := range texts {
		name, rule, err := ParseRule(text)
		if err != nil {
			return nil, err
		}
		if _, twice := rules[name]; twice {
			return nil, fmt.Errorf("%s is cut twice", name)
		}
		rules[name] = rule
	}
	return rules, nil
}

// Apply turns the column into the kind that a rule names; a column of texts that are not numbers cannot become one.
func (c *Column) Apply(r Rule) (*Column, error) {
	kind := r.Kind
	if len(r.Cuts) > 0 || r.Quantiles > 0 {
		kind = Number
	}
	if kind == "" || kind == c.Kind {
		return c, nil
	}
	if kind == Category {
		out := &Column{Name: c.Name, Kind: Category, Texts: map[string]string{}}
		for id, v := range c.Numbers {
			out.Texts[id] = strconv.FormatFloat(v, 'g', -1, 64)
		}
		return out, nil
	}
	out := &Column{Name: c.Name, Kind: Number, Numbers: map[string]float64{}}
	var s style
	for _, id := range sortedCases(c.Texts) {
		v, ok := s.number(c.Texts[id])
		if !ok {
			return nil, fmt.Errorf("covariate %s cannot be cut as a number: the value of case %s is %q", c.Name, id, c.Texts[id])
		}
		out.Numbers[id] = v
	}
	return out, nil
}

// Names of groups that no value names.
const (
	Other   = "other"
	Unknown = "not known"
)

// Partition is how a column sorts cases into groups.
type Partition struct {
	Column *Column
	Rule   string            // in words
	Cuts   []float64         // of a number
	Pooled []string          // categories that make up Other
	Groups []string          // numbers ascending, categories by name, then Other, then Unknown if it has cases
	Of     map[string]string // group per case
}

// fromTertiles is the number of known values from which a number is cut into three groups rather than two.
const fromTertiles = 60

// Partition sorts cases into groups: numbers by cuts, by default terciles or, with fewer than 60 cases, the median;
// categories one by one, those with fewer than smallest cases together if there are several.
func (c *Column) Partition(ids []string, r Rule, smallest int) *Partition {
	p := &Partition{Column: c, Of: map[string]string{}}
	if c.Kind == Number {
		p.cut(ids, r)
	} else {
		p.sort(ids, smallest)
	}
	for _, id := range ids {
		if _, known := p.Of[id]; !known {
			p.Of[id] = Unknown
		}
	}
	if slices.ContainsFunc(ids, func(id string) bool { return !c.Known(id) }) {
		p.Groups = append(p.Groups, Unknown)
	}
	return p
}

// cut groups numbers.
func (p *Partition) cut(ids []string, r Rule) {
	var values []float64
	for _, id := range ids {
		if v, known := p.Column.Numbers[id]; known {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	p.Cuts, p.Rule = r.Cuts, "given cuts"
	if len(r.Cuts) == 0 {
		n := r.Quantiles
		if n == 0 {
			n = 3
			if len(values) < fromTertiles {
				n = 2
			}
		}
		p.Rule = map[int]string{2: "cut at the median", 3: "cut into thirds", 4: "cut into quarters"}[n]
		if p.Rule == "" {
			p.Rule = fmt.Sprintf("cut into %d groups of about one size", n)
		}
		for k := 1; k < n && len(values) > 0; k++ {
			cut := quantile(values, float64(k)/float64(n))
			if cut > values[0] && (len(p.Cuts) == 0 || cut > p.Cuts[len(p.Cuts)-1]) {
				p.Cuts = append(p.Cuts, cut)
			}
		}
	}
	names := rangeNames(p.Cuts)
	p.Groups = names
	for _, id := range ids {
		if v, known := p.Column.Numbers[id]; known {
			at, equal := slices.BinarySearch(p.Cuts, v)
			if equal {
				at++
			}
			p.Of[id] = names[at]
		}
	}
}

// quantile of sorted values, rounded to three digits where that leaves the order of the values as it is.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-2)
	if i < 0 {
		return sorted[0]
	}
	exact := sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(exact, 'g', 3, 64), 64)
	below := func(cut float64) int { n, _ := slices.BinarySearch(sorted, cut); return n }
	if err == nil && below(rounded) == below(exact) {
		return rounded
	}
	return exact
}

// rangeNames name the groups between cuts.
func rangeNames(cuts []float64) []string {
	if len(cuts) == 0 {
		return []string{"all values"}
	}
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	names := []string{"< " + text(cuts[0])}
	for i := 1; i < len(cuts); i++ {
		names = append(names, fmt.Sprintf("%s to < %s", text(cuts[i-1]), text(cuts[i])))
	}
	return append(names, ">= "+text(cuts[len(cuts)-1]))
}

// sort groups categories.
func (p *Partition) sort(ids []string, smallest int) {
	counts := map[string]int{}
	for _, id := range ids {
		if v, known := p.Column.Texts[id]; known {
			counts[v]++
		}
	}
	var kept, few []string
	for v, n := range counts {
		if n < smallest {
			few = append(few, v)
		} else {
			kept = append(kept, v)
		}
	}
	p.Rule = "one group for each category"
	if len(few) > 1 {
		slices.SortFunc(few, compareValues)
		p.Pooled = few
		p.Rule += fmt.Sprintf(", those with fewer than %d cases pooled into %q", smallest, Other)
	} else {
		kept = append(kept, few...)
	}
	slices.SortFunc(kept, compareValues)
	p.Groups = kept
	if len(p.Pooled) > 0 {
		p.Groups = append(p.Groups, p.otherName(kept))
	}
	for _, id := range ids {
		if v, known := p.Column.Texts[id]; known {
			p.Of[id] = v
			if slices.Contains(p.Pooled, v) {
				p.Of[id] = p.otherName(kept)
			}
		}
	}
}

// otherName is Other, unless a category has that name.
func (p *Partition) otherName(kept []string) string {
	if slices.ContainsFunc(kept, func(v string) bool { return strings.EqualFold(v, Other) }) {
		return "all others"
	}
	return Other
}

// compareValues orders categories, numbers by value.
func compareValues(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX == nil && errY == nil && x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}
