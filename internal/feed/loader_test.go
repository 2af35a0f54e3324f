package feed

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
)

// toyCohort has cases (2, 6, 6, 6) of constant modality i+1 with the mask 1, and the class i%2, i%3.
type toyCohort struct {
	cases int
	fails int // the case that cannot be read, -1 for none
}

func (c toyCohort) Read(i int, dst []float32) error {
	if i == c.fails {
		return fmt.Errorf("case %s: file is gone", c.ID(i))
	}
	for k := range dst {
		dst[k] = float32(i + 1)
		if k >= len(dst)/2 {
			dst[k] = 1
		}
	}
	return nil
}
func (c toyCohort) Targets(i int) []int { return []int{i % 2, i % 3} }
func (c toyCohort) ID(i int) string     { return fmt.Sprint("case", i) }

var toyShape = [3]int{6, 6, 6}

const toyLen = 2 * 6 * 6 * 6

func toyLoader(seed uint64, c toyCohort, workers, epoch, trainDone, valDone int) *Loader {
	params := augment.DefaultParams(false, nil, 1)
	params.ROILabels = 1
	pipelines := make([]*augment.Pipeline, workers)
	for i := range pipelines {
		pipelines[i] = augment.NewPipeline(params, toyShape, 1)
	}
	p := Sequence{Epochs: 2, Iterations: 4, ValIterations: 2, BatchSize: 3, Seed: seed}
	return NewLoader(p, c, [2][]int{{0, 1, 2}, {3, 4}}, 2, toyLen, pipelines, Positions(p, epoch, trainDone, valDone))
}

type seen struct {
	Position
	data    []float32
	cases   []string
	targets [][]int
}

func drain(t *testing.T, l *Loader) []seen {
	t.Helper()
	defer l.Close()
	var all []seen
	for {
		b, err := l.Next(t.Context())
		if err != nil {
			if !strings.Contains(err.Error(), "more batches") {
				t.Fatal(err)
			}
			return all
		}
		s := seen{b.Position, slices.Clone(b.Data), slices.Clone(b.Cases), nil}
		for _, labels := range b.Targets {
			s.targets = append(s.targets, slices.Clone(labels))
		}
		all = append(all, s)
		l.Release(b)
	}
}

func TestSamplesDoNotDependOnWorkersOrInterruptions(t *testing.T) {
	want := drain(t, toyLoader(5, toyCohort{5, -1}, 1, 0, 0, 0))
	if len(want) != 2*(4+2) {
		t.Fatalf("%d batches, want 12", len(want))
	}
	if got := drain(t, toyLoader(5, toyCohort{5, -1}, 7, 0, 0, 0)); !reflect.DeepEqual(got, want) {
		t.Error("seven workers give other samples than one")
	}
	if got := drain(t, toyLoader(5, toyCohort{5, -1}, 2, 0, 3, 0)); !reflect.DeepEqual(got, want[3:]) {
		t.Error("continued within the training iterations of an epoch, the samples differ")
	}
	if got := drain(t, toyLoader(5, toyCohort{5, -1}, 2, 0, 4, 1)); !reflect.DeepEqual(got, want[5:]) {
		t.Error("continued within the validation iterations of an epoch, the samples differ")
	}
	if got := drain(t, toyLoader(6, toyCohort{5, -1}, 1, 0, 0, 0)); reflect.DeepEqual(got[0], want[0]) {
		t.Error("another seed gives the same samples")
	}
	if reflect.DeepEqual(want[0].data, want[1].data) || reflect.DeepEqual(want[0].data, want[6].data) {
		t.Error("two iterations got the same batch")
	}
}

func TestBatchesHoldTheCasesOfTheirPart(t *testing.T) {
	for _, b := range drain(t, toyLoader(1, toyCohort{5, -1}, 2, 0, 0, 0)) {
		for n, id := range b.cases {
			var i int
			if _, err := fmt.Sscanf(id, "case%d", &i); err != nil {
				t.Fatal(err)
			}
			if (i >= 3) != (b.Phase == Validating) {
				t.Errorf("%v: %s is in the other part", b.Position, id)
			}
			if b.targets[0][n] != i%2 || b.targets[1][n] != i%3 {
				t.Errorf("%s: targets %d, %d", id, b.targets[0][n], b.targets[1][n])
			}
			sample := b.data[n*toyLen:][:toyLen]
			if b.Phase == Validating && (sample[0] != float32(i+1) || sample[toyLen-1] != 0.5) {
				t.Errorf("%s: validation sample %v, mask %v; want %d, 0.5", id, sample[0], sample[toyLen-1], i+1)
			}
		}
	}
}

func TestUnreadableCaseIsNamed(t *testing.T) {
	l := toyLoader(1, toyCohort{5, 1}, 2, 0, 0, 0)
	defer l.Close()
	for {
		b, err := l.Next(t.Context())
		if err != nil {
			if want := "case case1: file is gone"; err.Error() != want {
				t.Fatalf("got %v, want %s", err, want)
			}
			return
		}
		l.Release(b)
	}
}

func TestLoaderEndsWithItsContextAndLeavesNothingRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	l := toyLoader(1, toyCohort{5, -1}, 3, 0, 0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // next may still find a finished batch
		if _, err := l.Next(ctx); errors.Is(err, context.Canceled) {
			break
		}
	}
	l.Close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestCasesAreDrawnEvenly(t *testing.T) {
	const draws = 30000
	members := []int{0, 1, 2, 3, 4, 5, 6}
	c := toyCohort{7, -1}
	counts := map[string]int{}
	l := &Loader{sequence: Sequence{Seed: 3}, cases: c, members: [2][]int{nil, members}, sampleLen: 2}
	p := augment.NewPipeline(augment.DefaultParams(false, nil, 1), [3]int{1, 1, 1}, 1)
	b := &Batch{Data: make([]float32, 2), Targets: [][]int{{0}, {0}}, Cases: []string{""}}
	w := make(chan job)
	l.jobs = w
	go l.work(p)
	for i := range draws {
		b.Position, b.left, b.done = Position{Validating, i / 100, i % 100}, 1, make(chan struct{})
		w <- job{b, 0}
		<-b.done
		counts[b.Cases[0]]++
	}
	close(w)
	// chi-squared with 6 degrees of freedom: 22.5 is exceeded once in a thousand
	expected, chi := float64(draws)/7, 0.0
	for _, n := range counts {
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	if len(counts) != 7 || chi > 22.5 {
		t.Fatalf("uneven draws %v, chi squared %.1f", counts, chi)
	}
}

// TestSendAhead checks that every batch is sent, whole and in order, and that the loader ends while one waits.
func TestSendAhead(t *testing.T) {
	want := drain(t, toyLoader(1, toyCohort{5, -1}, 2, 0, 0, 0))
	l := toyLoader(1, toyCohort{5, -1}, 2, 0, 0, 0)
	var sent [][]float32
	l.SendAhead(func(data []float32) { sent = append(sent, slices.Clone(data)) })
	drain(t, l)
	if len(sent) != len(want) {
		t.Fatalf("%d batches were sent, expected %d", len(sent), len(want))
	}
	for i, w := range want {
		if !slices.Equal(sent[i], w.data) {
			t.Errorf("batch %d was sent with other data", i)
		}
	}
	l = toyLoader(1, toyCohort{5, -1}, 2, 0, 0, 0)
	l.SendAhead(func([]float32) {})
	if _, err := l.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	l.Close()
}
