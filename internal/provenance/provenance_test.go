package provenance

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestChangesAreNamed(t *testing.T) {
	then := Sources{"size": "1 x 2", "masks": "", "weights": Digest([]byte("a")), "same": "x", "dropped": "y"}
	now := Sources{"size": "1 x 3", "masks": "real", "weights": Digest([]byte("b")), "same": "x", "new": "z"}
	if got, want := then.Changes(now), []string{"masks none -> real", "size 1 x 2 -> 1 x 3", "weights"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := then.Without("size", "masks", "weights").Changes(now); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if DigestOf("ab", "c") == DigestOf("a", "bc") {
		t.Error("texts run into one another")
	}
}

func TestCasesAreCompared(t *testing.T) {
	then := []Case{{"a", "1", []int{0}}, {"b", "2", []int{0}}, {"c", "", []int{1}}}
	now := []Case{{"a", "9", []int{0}}, {"c", "3", []int{0}}, {"d", "2", []int{0}}}
	if got, want := CompareCases(then, now).Text("cases"), "cases added (d), cases gone (b), images or masks of cases (a), classes of cases (c [1] -> [0])"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if CompareCases(then, then).Any() {
		t.Error("nothing changed")
	}
	// d is b under another name; a is the same case with another image.
	if got := Shared(now, then); !slices.Equal(got, []string{"a", "c", "d"}) {
		t.Errorf("shared: %v", got)
	}
}

func TestRecipesMayDifferInTheSeed(t *testing.T) {
	f := Fold{Recipe: json.RawMessage(`{"seed": 1, "epochs": 5, "optimiser": "SGD"}`)}
	if got := f.RecipeChanges(&Fold{Recipe: json.RawMessage(`{"seed": 2, "epochs": 5, "optimiser": "SGD"}`)}); len(got) > 0 {
		t.Errorf("another seed: %q", got)
	}
	if got := f.RecipeChanges(&Fold{Recipe: json.RawMessage(`{"seed": 1, "epochs": 5, "optimiser": "AdamW"}`)}); !slices.Equal(got, []string{"optimiser SGD -> AdamW"}) {
		t.Errorf("another optimiser: %q", got)
	}
	if got := f.RecipeChanges(&Fold{}); len(got) > 0 {
		t.Errorf("unknown: %q", got)
	}
}
