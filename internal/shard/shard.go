// Package shard divides a list of cases among processes that share nothing but a file system.
package shard

import (
	"fmt"
	"strconv"
	"strings"
)

// Shard is one of Count parts of a list, the Index-th counted from 1. The zero value is the whole list.
type Shard struct{ Index, Count int }

// MaxCount bounds the number of parts.
const MaxCount = 100_000

// Parse reads "I/N": part I of N, with 1 <= I <= N.
func Parse(text string) (Shard, error) {
	index, count, found := strings.Cut(text, "/")
	i, err := strconv.Atoi(index)
	n, err2 := strconv.Atoi(count)
	if !found || err != nil || err2 != nil || i < 1 || i > n || n > MaxCount {
		return Shard{}, fmt.Errorf("%q is not a shard: expected I/N with I from 1 to N, such as 2/7", text)
	}
	return Shard{i, n}, nil
}

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// Whole reports whether the shard is the whole list.
func (s Shard) Whole() bool { return s.Count <= 1 }

// Has reports whether the i-th entry of the list, counted from 0, belongs to the shard. The entries are dealt out in
// turn, so that shards differ by one entry at most and neighbours, which are often alike in size, are spread.
func (s Shard) Has(i int) bool { return s.Whole() || i%s.Count == s.Index-1 }

// Of returns the entries of a list that belong to the shard, in their order.
func Of[T any](s Shard, list []T) []T {
	var own []T
	for i, v := range list {
		if s.Has(i) {
			own = append(own, v)
		}
	}
	return own
}
