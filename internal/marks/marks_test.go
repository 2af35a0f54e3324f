package marks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMarksAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	table, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	hostile := "=1+1, \"quoted\";\tand <b>\nmore"
	for _, m := range [][3]string{{"b", Exclude, hostile}, {"a,1", Relabel, ""}, {"c", Exclude, "x"}, {"c", "", ""}, {"b", Relabel, "no: " + hostile}} {
		if err := table.Set(m[0], m[1], m[2]); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Marks, table.Marks) || len(again.Marks) != 2 {
		t.Errorf("read %+v, wrote %+v", again.Marks, table.Marks)
	}
	if m := again.Of("b"); m == nil || m.Action != Relabel || m.Comment != `no: =1+1, "quoted"; and <b> more` || m.At == "" {
		t.Errorf("b: %+v", m)
	}
	if again.Of("c") != nil || len(again.Cases(Exclude)) != 0 || !slices.Equal(again.Cases(Relabel), []string{"b", "a,1"}) {
		t.Errorf("%+v", again.Marks)
	}
	if err := table.Set("a", "delete", ""); err == nil {
		t.Error("an unknown mark was taken")
	}
}

// A table that cannot be written is an error, and nothing is thought to be marked.
func TestAMarkThatCannotBeKept(t *testing.T) {
	table := &Table{Path: filepath.Join(t.TempDir(), "absent", File)}
	if err := table.Set("a", Exclude, ""); err == nil || len(table.Marks) != 0 {
		t.Errorf("%v, %+v", err, table.Marks)
	}
}

func TestTablesOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	for text, want := range map[string]string{
		"case;mark;who\nc1;Exclude;me\nc2;;me\n":     "c1 exclude",
		"case,comment\nc1,x\n":                       `no column "mark"`,
		"case,mark\nc1,remove\n":                     `line 2: case c1: mark "remove", expected relabel, exclude or nothing`,
		"case,mark\nc1,exclude\nc1,relabel\n":        "line 3: case c1 is marked twice",
		"case,mark\n,exclude\n":                      "line 2 names no case",
		"mark,case,comment\nrelabel,c 9,is benign\n": "c 9 relabel",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		table, err := Read(path)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			for _, m := range table.Marks {
				got += m.Case + " " + m.Action
			}
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "absent.csv")); err == nil {
		t.Error("an absent table was read")
	}
}
