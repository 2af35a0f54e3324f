package cpu

// Forms keeps what convolutions have made of weights that stay as they are: transformed, or in pairs of bfloat16. The
// zero value is ready. Its memory lies outside Go's heap.
type Forms struct {
	made  map[formKey]*form
	tails map[*float32]float64 // Conv.weightsTail by weights
	gets  int
}

type form struct {
	slab
	stale bool // made of weights that have changed
	used  int  // number of the last get
}

// keptForms is how many Winograd forms of the same weights are kept: images of other sizes, or more of them, may take
// others.
const keptForms = 3

// formKey says which weights were made into what; the scheme is that of a Winograd convolution, tiles that of one by
// tiles, both zero for a 1x1x1 kernel.
type formKey struct {
	weights *float32
	scheme  [3]int
	side    int // output blocks side by side
	bf16    bool
	tiles   tileForm
}

// get returns the form under a key, which fill writes when it is not there yet or the weights have changed.
func (f *Forms) get(key formKey, floats int, fill func(form []float32)) []float32 {
	m, ok := f.made[key]
	if !ok {
		if key.side > 0 {
			f.makeRoom(key.weights)
		}
		m = &form{slab: mustSlab(floats), stale: true}
		if f.made == nil {
			f.made = map[formKey]*form{}
		}
		f.made[key] = m
	}
	f.gets++
	m.used = f.gets
	if m.stale {
		fill(m.floats)
		m.stale = false
	}
	return m.floats
}

// makeRoom frees Winograd forms of the weights, those that were used longest ago first, until one more may be kept.
// Others stay: their memory is the weights of further forms.
func (f *Forms) makeRoom(weights *float32) {
	for {
		var oldest formKey
		count := 0
		for k, m := range f.made {
			if k.weights != weights || k.side == 0 {
				continue
			}
			if count++; count == 1 || m.used < f.made[oldest].used {
				oldest = k
			}
		}
		if count < keptForms {
			return
		}
		f.made[oldest].slab.free()
		delete(f.made, oldest)
	}
}

// tail returns Conv.weightsTail of the weights, which it keeps.
func (f *Forms) tail(p *Workers, c *Conv, weights []float32) float64 {
	key := &weights[0]
	t, ok := f.tails[key]
	if !ok {
		t = c.weightsTail(p, weights)
		if f.tails == nil {
			f.tails = map[*float32]float64{}
		}
		f.tails[key] = t
	}
	return t
}

// Clear has all forms made again; it must be called when the weights have changed.
func (f *Forms) Clear() {
	for _, m := range f.made {
		m.stale = true
	}
	clear(f.tails)
}

// free gives the memory back.
func (f *Forms) free() {
	for _, m := range f.made {
		m.slab.free()
	}
	f.made, f.tails = nil, nil
}
