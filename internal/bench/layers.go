package bench

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// Layers say where the time of a training step and of an inference pass goes.
type Layers struct {
	Training  Table `json:"training"`
	Inference Table `json:"inference"`
}

// Table splits the time of a step over its calls of the device; the shares add up to 1.
type Table struct {
	Seconds float64 `json:"seconds"` // of the fastest step, with every call timed
	Rows    []Row   `json:"rows"`    // in the order of the network
}

// Row is what the calls of one layer for one operation in one direction take in a step.
type Row struct {
	Layer     string  `json:"layer,omitempty"`
	Operation string  `json:"operation"`
	Channels  string  `json:"channels,omitempty"` // of a convolution, in->out
	Direction string  `json:"direction,omitempty"`
	Calls     int     `json:"calls"`
	Seconds   float64 `json:"seconds"`
	Share     float64 `json:"share"`            // of the step's time
	FLOP      float64 `json:"flop,omitempty"`   // counted as direct convolution
	Rate      float64 `json:"gflops,omitempty"` // GFLOP/s
	Fraction  float64 `json:"fraction_of_ceiling,omitempty"`
	Bytes     float64 `json:"bytes,omitempty"` // the least that has to move: inputs, outputs and weights once, as the device stores them
	Bandwidth float64 `json:"gb_per_s,omitempty"`
}

// Rest is the operation of the row for the time outside the device's calls.
const Rest = "between the calls"

// measureLayers times the calls of step, which runs on dev, steps times. The fastest run counts: it is the one that
// other work on the machine has disturbed least.
func measureLayers(ctx context.Context, dev *timed, steps int, ceiling float64, step func() error) (Table, error) {
	dev.recording = true
	defer func() { dev.recording = false }()
	var fastest []call
	best := time.Duration(math.MaxInt64)
	for i := range warmUp + steps {
		if err := ctx.Err(); err != nil {
			return Table{}, err
		}
		dev.calls = nil
		began := time.Now()
		if err := step(); err != nil {
			return Table{}, err
		}
		if took := time.Since(began); i >= warmUp && took < best {
			fastest, best = dev.calls, took
		}
	}
	return tabulate(fastest, best, ceiling), nil
}

// tabulate adds up the calls of a step that took total.
func tabulate(calls []call, total time.Duration, ceiling float64) Table {
	type key struct{ layer, operation, channels, direction string }
	rows := map[key]*Row{}
	layers, operations := map[string]int{}, map[key]int{} // in order of their first call
	rest := Row{Operation: Rest, Seconds: total.Seconds()}
	for _, c := range calls {
		k := key{c.layer, c.operation, c.channels, c.direction}
		r := rows[k]
		if r == nil {
			r = &Row{Layer: c.layer, Operation: c.operation, Channels: c.channels, Direction: c.direction}
			rows[k] = r
		}
		rank(layers, c.layer)
		rank(operations, key{c.layer, c.operation, c.channels, ""})
		r.Calls++
		r.Seconds += c.took.Seconds()
		r.FLOP += c.flops
		r.Bytes += c.bytes
		rest.Seconds -= c.took.Seconds()
	}
	t := Table{Seconds: round(total.Seconds(), 6)}
	for _, r := range rows {
		t.Rows = append(t.Rows, *r)
	}
	slices.SortFunc(t.Rows, func(a, b Row) int {
		return cmp.Or(
			cmp.Compare(layers[a.Layer], layers[b.Layer]),
			cmp.Compare(operations[key{a.Layer, a.Operation, a.Channels, ""}], operations[key{b.Layer, b.Operation, b.Channels, ""}]),
			cmp.Compare(slices.Index(directions, a.Direction), slices.Index(directions, b.Direction)),
		)
	})
	t.Rows = append(t.Rows, rest)
	for i := range t.Rows {
		t.Rows[i].rates(total.Seconds(), ceiling)
	}
	return t
}

func rank[K comparable](m map[K]int, k K) {
	if _, have := m[k]; !have {
		m[k] = len(m)
	}
}

// rates computes what follows from seconds, operations and bytes.
func (r *Row) rates(step, ceiling float64) {
	r.Share = round(r.Seconds/step, 4)
	if r.Seconds > 0 {
		r.Rate, r.Bandwidth = round(r.FLOP/r.Seconds/1e9, 1), round(r.Bytes/r.Seconds/1e9, 1)
	}
	if ceiling > 0 {
		r.Fraction = round(r.Rate/ceiling, 3)
	}
	r.Seconds = round(r.Seconds, 7)
}

// Summary adds up the rows of one operation in one direction over all layers, the longest first.
func (t Table) Summary(ceiling float64) []Row {
	var sums []Row
	for _, r := range t.Rows {
		i := slices.IndexFunc(sums, func(s Row) bool { return s.Operation == r.Operation && s.Direction == r.Direction })
		if i < 0 {
			i = len(sums)
			sums = append(sums, Row{Operation: r.Operation, Direction: r.Direction})
		}
		s := &sums[i]
		s.Calls += r.Calls
		s.Seconds += r.Seconds
		s.FLOP += r.FLOP
		s.Bytes += r.Bytes
	}
	for i := range sums {
		sums[i].rates(t.Seconds, ceiling)
	}
	slices.SortStableFunc(sums, func(a, b Row) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return sums
}
