package words

import (
	"strings"
	"testing"
)

func TestCounts(t *testing.T) {
	for want, got := range map[string]string{
		"0 cases": Count(0, "case"), "1 case": Count(1, "case"), "2 cases": Count(2, "case"),
		"1 modality": CountOf(1, "modality", "modalities"), "3 modalities": CountOf(3, "modality", "modalities"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSome(t *testing.T) {
	for all, want := range map[string]string{"": "", "a": "a", "a b c d e": "a, b, c, d, e", "a b c d e f g": "a, b, c, d, e and 2 more"} {
		if got := Some(strings.Fields(all)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
