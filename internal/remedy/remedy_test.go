package remedy

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

type typed struct{ error }

func (typed) Remedies() []Remedy { return []Remedy{Plan{Task: "Task001_X"}} }

func TestOf(t *testing.T) {
	a, b := Set{Folds, "0"}, Unset{Masks}
	err := With(errors.New("e"), a, b)
	for name, c := range map[string]struct {
		of   any
		want []Remedy
	}{
		"nothing":   {nil, nil},
		"text":      {"text", nil},
		"plain":     {errors.New("plain"), nil},
		"direct":    {err, []Remedy{a, b}},
		"wrapped":   {fmt.Errorf("x: %w", fmt.Errorf("y: %w", err)), []Remedy{a, b}},
		"joined":    {errors.Join(typed{}, err, With(errors.New("f"), b, Predict)), []Remedy{Plan{Task: "Task001_X"}, a, b, Predict}},
		"with more": {With(err, Predict), []Remedy{a, b, Predict}},
		"a note":    {Notef("%d", 1).See(a).See(Predict), []Remedy{a, Predict}},
	} {
		if got := Of(c.of); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if With(nil, a) != nil {
		t.Error("no error has a remedy")
	}
	if err.Error() != "e" || Notef("%d", 1).See(a).String() != "1" {
		t.Error("remedies change the text")
	}
}

// Notes that are made of one note do not share what is added.
func TestSeeDoesNotShare(t *testing.T) {
	n := Notef("n").See(Predict, PackModel, ImportModel)
	x, y := n.See(ConvertDICOM), n.See(ConvertMSD)
	if x.For[3] != ConvertDICOM || y.For[3] != ConvertMSD {
		t.Errorf("got %v and %v", x.For, y.For)
	}
}
