package covariate

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

func table(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "covariates.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func mentions(texts []string, want string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, want) })
}

// A table as a spreadsheet of the continent leaves it: a mark, semicolons, decimal commas, quotes, blanks, words for
// what is not known, other cases, the truth, names.
func TestReadMessyTable(t *testing.T) {
	patients := map[string]string{}
	for _, id := range strings.Fields("a b c d e f g h i j k l m") {
		patients[id] = ""
	}
	got, err := Read(table(t, "\ufeffCase;Age; Sex ;Lesion;Stage;Lesion value;;Weight\r\n"+
		"a;63,5;f;1;1;yes;;1.020,5\r\nb;NA;\"M\";0;2;no;;70\r\nc;71;m;0;2.0;no;;81,0\r\nd.nii.gz;;F;1;?;yes;;n/a\r\n"+
		"e;40;f;1;1;yes;;61\r\nf;41;f;1;1;yes;;62\r\ng;42;f;1;1;yes;;63\r\nh;43;f;1;1;yes;;64\r\ni;44;f;1;1;yes;;65\r\nj;45;f;1;1;yes;;66\r\n"+
		"k;46;f;1;1;yes;;heavy\r\nl;47;f;1;1;yes;;67\r\nother;50;f;1;1;yes;;50\r\n"), patients, []task.Label{{Name: "lesion"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range got.Columns {
		names = append(names, c.Name+" "+c.Kind)
	}
	if want := []string{"Age number", "Sex category", "Stage category", "Weight number"}; !slices.Equal(names, want) {
		t.Fatalf("columns %q, want %q", names, want)
	}
	age, sex, stage, weight := got.Column("age"), got.Column("SEX"), got.Column("Stage"), got.Column("Weight")
	if age.Numbers["a"] != 63.5 || age.Numbers["c"] != 71 || age.Known("b") || age.Known("d") || age.Known("m") {
		t.Errorf("ages %v", age.Numbers)
	}
	if weight.Numbers["a"] != 1020.5 || weight.Numbers["c"] != 81 || weight.Known("k") {
		t.Errorf("weights %v", weight.Numbers)
	}
	if sex.Texts["b"] != sex.Texts["c"] || sex.Texts["d"] != "f" {
		t.Errorf("sexes %v", sex.Texts)
	}
	if stage.Texts["c"] != "2" || stage.Texts["b"] != "2" || stage.Known("d") {
		t.Errorf("stages %v", stage.Texts)
	}
	for _, want := range []string{`"63,5" is read as 63.5`, `column "Lesion" holds the truth`, `column "Lesion value" holds the truth`, "1 row of other cases, left out: other"} {
		if !mentions(got.Notes, want) {
			t.Errorf("no %q in %q", want, got.Notes)
		}
	}
	for _, want := range []string{"has no row for 1 of 13 cases (m)", `1 of 11 values are not numbers and count as not known: line 12: "heavy"`, "differ in capital letters alone"} {
		if !mentions(got.Warnings, want) {
			t.Errorf("no %q in %q", want, got.Warnings)
		}
	}
}

func TestReadByPatient(t *testing.T) {
	got, err := Read(table(t, "patient,age\nP1,63\nP2,70\nP2,70\n"), map[string]string{"a": "P1", "b": "P1", "c": "P2", "d": ""}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Column("age"); c.Texts["a"] != "63" || c.Texts["b"] != "63" || c.Texts["c"] != "70" || c.Known("d") {
		t.Errorf("%+v", c)
	}
}

func TestReadRefuses(t *testing.T) {
	patients := map[string]string{"a": "P1", "b": "P2"}
	for text, want := range map[string]string{
		"name,age\na,5\n":         `no column "case" or "patient" among name, age`,
		"case,age\nx,5\ny,6\n":    "names none of the 2 cases; it names cases such as x, y, expected such as a, b",
		"case,age\na,5\na,6\n":    "case a has two rows that differ, in lines 2 and 3",
		"case,age\na,5\n,6\n":     "line 3 names no case",
		"case\na\n":               "no covariate in its columns",
		"case,age,age\na,5,6\n":   "two columns are named",
		"patient,age\nP9,5\n":     "names none of the 2 cases",
		"case,age\na,5,7\nb,6,\n": "has 3 cells",
	} {
		if _, err := Read(table(t, text), patients, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(table(t, "patient,age\nP1,5\n"), map[string]string{"a": ""}, nil); err == nil || !strings.Contains(err.Error(), "whom the cases are of is not known") {
		t.Error(err)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		column []string
		want   []float64
	}{
		{[]string{"1,5", "2,25"}, []float64{1.5, 2.25}},
		{[]string{"1,234.5", "2,000"}, []float64{1234.5, 2000}},
		{[]string{"1.234,5", "2,5"}, []float64{1234.5, 2.5}},
		{[]string{"1,234", "2,345"}, []float64{1.234, 2.345}},
		{[]string{"063Y", "12 %", "-3e2", "\u22125"}, []float64{63, 12, -300, -5}},
	} {
		var cells []cell
		for _, s := range c.column {
			cells = append(cells, cell{text: s})
		}
		s := styleOf(cells)
		for i, text := range c.column {
			if v, ok := s.number(text); !ok || v != c.want[i] {
				t.Errorf("%q in %q: %v %v, want %v", text, c.column, v, ok, c.want[i])
			}
		}
	}
	for _, text := range []string{"", "0x10", "inf", "nan", "1,2,3x", ">90", "1_000"} {
		if v, ok := styleOf([]cell{{text: text}}).number(text); ok {
			t.Errorf("%q is %v", text, v)
		}
	}
}

func TestFromCases(t *testing.T) {
	got := FromCases([]task.Case{
		{ID: "a", Site: "A", Covariates: map[string]any{"age": 63.5, "smoker": true}},
		{ID: "b", Site: "B", Covariates: map[string]any{"age": int64(70), "smoker": false}},
		{ID: "c", Covariates: map[string]any{"age": "71,5"}},
		{ID: "d", Site: "A", Covariates: map[string]any{"age": 1.0}}, {ID: "e", Site: "A", Covariates: map[string]any{"age": 2.0}},
		{ID: "f", Site: "A", Covariates: map[string]any{"age": 3.0}},
	})
	if len(got.Columns) != 3 || got.Columns[0].Name != Site || got.Columns[0].Known("c") || got.Column("age").Numbers["c"] != 71.5 || got.Column("smoker").Texts["a"] != "true" {
		t.Errorf("%+v", got.Columns)
	}
}

func TestPartition(t *testing.T) {
	age := &Column{Name: "age", Kind: Number, Numbers: map[string]float64{"a": 49.9, "b": 50, "c": 69, "d": 70, "e": 90}}
	ids := strings.Fields("a b c d e f")
	p := age.Partition(ids, Rule{Cuts: []float64{50, 70}}, 10)
	if want := []string{"< 50", "50 to < 70", ">= 70", Unknown}; !slices.Equal(p.Groups, want) {
		t.Errorf("groups %q", p.Groups)
	}
	if want := map[string]string{"a": "< 50", "b": "50 to < 70", "c": "50 to < 70", "d": ">= 70", "e": ">= 70", "f": Unknown}; !maps.Equal(p.Of, want) {
		t.Errorf("%v", p.Of)
	}
	if p := age.Partition(ids[:5], Rule{}, 10); !slices.Equal(p.Cuts, []float64{69}) || p.Rule != "cut at the median" {
		t.Errorf("%+v", p)
	}
	if p := age.Partition(ids[:5], Rule{Quantiles: 5}, 10); len(p.Groups) != 5 {
		t.Errorf("%+v", p)
	}
	same := &Column{Name: "x", Kind: Number, Numbers: map[string]float64{"a": 3, "b": 3}}
	if p := same.Partition([]string{"a", "b"}, Rule{}, 10); !slices.Equal(p.Groups, []string{"all values"}) {
		t.Errorf("%+v", p)
	}
	site := &Column{Name: "site", Kind: Category, Texts: map[string]string{"a": "A", "b": "A", "c": "B", "d": "C", "e": "A"}}
	if p := site.Partition(ids, Rule{}, 2); !slices.Equal(p.Groups, []string{"A", Other, Unknown}) || !slices.Equal(p.Pooled, []string{"B", "C"}) || p.Of["d"] != Other {
		t.Errorf("%+v", p)
	}
	if p := site.Partition(ids[:3], Rule{}, 2); !slices.Equal(p.Groups, []string{"A", "B"}) || p.Pooled != nil {
		t.Errorf("one small category needs no pool: %+v", p)
	}
}

func TestParseRule(t *testing.T) {
	if name, r, err := ParseRule("age: 50, 70.5"); err != nil || name != "age" || !slices.Equal(r.Cuts, []float64{50, 70.5}) {
		t.Errorf("%v %v %v", name, r, err)
	}
	if name, r, err := ParseRule("ratio a:b:q4"); err != nil || name != "ratio a:b" || r.Quantiles != 4 {
		t.Errorf("%v %v %v", name, r, err)
	}
	for _, bad := range []string{"age", "age:", ":5", "age:x", "age:5,5", "age:7,5", "age:q1", "age:qq", "age:NaN"} {
		if _, _, err := ParseRule(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	c := &Column{Name: "grade", Kind: Category, Texts: map[string]string{"a": "1", "b": "x"}}
	if _, err := c.Apply(Rule{Cuts: []float64{1}}); err == nil || !strings.Contains(err.Error(), `case b is "x"`) {
		t.Error(err)
	}
	if n, err := (&Column{Name: "n", Kind: Number, Numbers: map[string]float64{"a": 1.5}}).Apply(Rule{Kind: Category}); err != nil || n.Texts["a"] != "1.5" {
		t.Errorf("%+v %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"case,age\na,5\n", "\ufeffpatient;x\nP;1,5\n", "case\tx\na\t\"q\"\n"} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "t.csv")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, map[string]string{"a": "P", "b": "P"}, nil)
		if err != nil {
			return
		}
		for _, c := range got.Columns {
			p := c.Partition([]string{"a", "b"}, Rule{}, 10)
			for _, id := range []string{"a", "b"} {
				if !slices.Contains(p.Groups, p.Of[id]) {
					t.Fatalf("%q: case %s is in %q, groups %q", b, id, p.Of[id], p.Groups)
				}
			}
		}
	})
}
