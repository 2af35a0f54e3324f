package mt19937

import (
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"testing"
)

func TestEqualsNumpy(t *testing.T) {
	raw, err := os.ReadFile("../../../testdata/splits/permutation.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Raw         []uint32         `json:"raw_uint32"`
		Sample      []float64        `json:"random_sample"`
		Permutation map[string][]int `json:"permutation"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	r := New(12345)
	for i, w := range want.Raw {
		if got := r.Uint32(); got != w {
			t.Fatalf("word %d: got %d, want %d", i, got, w)
		}
	}
	r = New(12345)
	for i, w := range want.Sample {
		if got := r.Float64(); got != w {
			t.Fatalf("sample %d: got %v, want %v", i, got, w)
		}
	}
	for k, w := range want.Permutation {
		n, err := strconv.Atoi(k)
		if err != nil {
			t.Fatal(err)
		}
		if got := New(12345).Permutation(n); !reflect.DeepEqual(got, w) {
			t.Errorf("permutation(%d): got %v, want %v", n, got, w)
		}
	}
}

// The generator refills its table of 624 words; the 10000th word of seed 5489 is fixed by the C++11 standard.
func TestStateWrapsAround(t *testing.T) {
	a, b := New(5489), New(5489)
	var last uint32
	for range 10000 {
		last = a.Uint32()
	}

	if last != 4123659995 {
		t.Fatalf("10000th word: got %d, want 4123659995", last)
	}
	if b.Uint32() != 3499211612 {
		t.Fatal("first word of seed 5489 differs")
	}
}

func TestChoiceTakesTheHeadOfAPermutation(t *testing.T) {
	if got, want := New(7).Choice(10, 4), New(7).Permutation(10)[:4]; !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if got := New(7).Choice(3, 0); len(got) != 0 {
		t.Fatalf("got %v, want nothing", got)
	}
}
