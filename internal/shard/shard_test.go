package shard

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Shard{"1/1": {1, 1}, "2/7": {2, 7}, "100000/100000": {100_000, 100_000}} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "0/3", "4/3", "-1/3", "1/", "/3", "1/0", "a/b", "1/2/3", "1/100001", "1.5/3", " 1/3"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestEveryEntryBelongsToOneShard(t *testing.T) {
	list := make([]int, 23)
	for i := range list {
		list[i] = i
	}
	for _, n := range []int{1, 2, 7, 23, 40} {
		var all []int
		for i := 1; i <= n; i++ {
			own := Of(Shard{i, n}, list)
			if len(own) < len(list)/n || len(own) > len(list)/n+1 {
				t.Errorf("shard %d of %d has %d of %d entries", i, n, len(own), len(list))
			}
			all = append(all, own...)
		}
		slices.Sort(all)
		if !slices.Equal(all, list) {
			t.Errorf("%d shards hold %v", n, all)
		}
	}
}
