package fake

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// plan is cuDNN's stand-in: plain loops.
type plan struct {
	card    *Card
	problem driver.Problem
}

const workspace = 4096

// Workspace implements cuda.Plan.
func (p plan) Workspace() int64 { return workspace }

// Close implements cuda.Plan.
func (p plan) Close() {}

// region is memory that a plan reads or writes: voxels a pitch apart.
type region struct {
	name            string
	p               uint64
	voxels          int
	channels, pitch int
	size            int // of an element
}

func (r region) bytes() int64 {
	return int64(((r.voxels-1)*r.pitch + r.channels) * r.size)
}

func (r region) overlaps(o region) bool {
	if r.p+uint64(r.bytes()) <= o.p || o.p+uint64(o.bytes()) <= r.p {
		return false
	}
	if r.pitch != o.pitch || r.pitch == r.channels || r.size != o.size {
		return true
	}
	// Slices of one tensor lie between one another.
	pitch := uint64(r.pitch * r.size)
	low, high := r, o
	if low.p > high.p {
		low, high = o, r
	}
	apart := (high.p - low.p) % pitch
	return apart < uint64(low.channels*low.size) || apart+uint64(high.channels*high.size) > pitch
}

// Run implements cuda.Plan. It checks what cuDNN would not.
func (p plan) Run(x, w, y, bias, space uint64) error {
	p.card.mu.Lock()
	defer p.card.mu.Unlock()
	return p.card.perform(func() error { return p.run(x, w, y, bias, space) })
}

func (p plan) run(x, w, y, bias, space uint64) error {
	c, q := p.card, p.problem
	if err := c.lost(); err != nil {
		return err
	}
	c.note(Event{Kind: "plan", Name: q.Op.String(), Problem: q, Args: fmt.Sprint(x, w, y, bias, space)})
	size := c.Type.Bytes()
	taps := q.Kernel[0] * q.Kernel[1] * q.Kernel[2]
	regions := map[driver.Op]region{ // by who is written
		driver.BackwardData:    {"x", x, q.N * q.In[0] * q.In[1] * q.In[2], q.C, q.XPitch, size},
		driver.BackwardWeights: {"w", w, q.K * taps, q.C, q.C, size},
		driver.Forward:         {"y", y, q.N * q.Out[0] * q.Out[1] * q.Out[2], q.K, q.YPitch, size},
	}
	for op, r := range regions {
		if err := c.inside(fmt.Sprintf("%v, %s", q, r.name), r.p, r.bytes()); err != nil {
			return err
		}
		if r.p%16 != 0 {
			return c.wrong("%v: %s is not aligned", q, r.name)
		}
		if r.channels > r.pitch {
			return c.wrong("%v: %s has %d channels in a pitch of %d", q, r.name, r.channels, r.pitch)
		}
		if op != q.Op && r.overlaps(regions[q.Op]) {
			return c.wrong("%v: %s overlaps the result", q, r.name)
		}
		if (region{"workspace", space, 1, workspace, workspace, 1}).overlaps(r) {
			return c.wrong("%v: the workspace overlaps %s", q, r.name)
		}
	}
	if err := c.inside("workspace", space, workspace); err != nil {
		return err
	}
	if q.Bias != (bias != 0) || driver.Type(c.Type) != q.Type {
		return c.wrong("%v: bias at %#x, type %v", q, bias, c.Type)
	}
	for a := range 3 {
		if want := (q.In[a]+q.PadLo[a]+q.PadHi[a]-q.Kernel[a])/q.Stride[a] + 1; want != q.Out[a] {
			return c.wrong("%v: output of %d on axis %d, cuDNN expects %d", q, q.Out[a], a, want)
		}
	}
	if c.Computer != nil {
		p.compute(regions, bias)
	}
	return nil
}

// read and write convert between the card's memory and floats.
func (p plan) read(r region) []float32 {
	raw := make([]byte, r.bytes())
	p.card.Computer.Read(kernels.Ptr(r.p), raw)
	return decode(p.card.Type, raw)
}

func (p plan) write(r region, values []float32) {
	p.card.Computer.Write(kernels.Ptr(r.p), encode(p.card.Type, values))
}

func (p plan) compute(regions map[driver.Op]region, bias uint64) {
	q := p.problem
	rx, rw, ry := regions[driver.BackwardData], regions[driver.BackwardWeights], regions[driver.Forward]
	x, w, y := p.read(rx), p.read(rw), p.read(ry)
	var b []float32
	if bias != 0 {
		raw := make([]byte, 4*q.K)
		p.card.Computer.Read(kernels.Ptr(bias), raw)
		b = decode(kernels.Float32, raw)
	}
	dw := make([]float64, len(w))
	dx := make([]float64, len(x))
	each := func(f func(in, out, tap int)) {
		for n := range q.N {
			for od := range q.Out[0] {
				for oh := range q.Out[1] {
					for ow := range q.Out[2] {
						out := ((n*q.Out[0]+od)*q.Out[1]+oh)*q.Out[2] + ow
						for kd := range q.Kernel[0] {
							for kh := range q.Kernel[1] {
								for kw := range q.Kernel[2] {
									d, h, wd := od*q.Stride[0]+kd-q.PadLo[0], oh*q.Stride[1]+kh-q.PadLo[1], ow*q.Stride[2]+kw-q.PadLo[2]
									if d < 0 || h < 0 || wd < 0 || d >= q.In[0] || h >= q.In[1] || wd >= q.In[2] {
										continue
									}
									f(((n*q.In[0]+d)*q.In[1]+h)*q.In[2]+wd, out, (kd*q.Kernel[1]+kh)*q.Kernel[2]+kw)
								}
							}
						}
					}
				}
			}
		}
	}
	taps := q.Kernel[0] * q.Kernel[1] * q.Kernel[2]
	switch q.Op {
	case driver.Forward:
		sums := make([]float64, len(y))
		each(func(in, out, tap int) {
			for k := range q.K {
				s := 0.0
				for c := range q.C {
					s += float64(x[in*q.XPitch+c]) * float64(w[(k*taps+tap)*q.C+c])
				}
				sums[out*q.YPitch+k] += s
			}
		})
		for v := range ry.voxels {
			for k := range q.K {
				s := sums[v*q.YPitch+k]
				if b != nil {
					s += float64(b[k])
				}
				if q.ReLU {
					s = max(0, s)
				}
				y[v*q.YPitch+k] = float32(s)
			}
		}
		p.write(ry, y)
	case driver.BackwardData:
		each(func(in, out, tap int) {
			for k := range q.K {
				for c := range q.C {
					dx[in*q.XPitch+c] += float64(y[out*q.YPitch+k]) * float64(w[(k*taps+tap)*q.C+c])
				}
			}
		})
		for v := range rx.voxels {
			for c := range q.C {
				x[v*q.XPitch+c] = float32(dx[v*q.XPitch+c])
			}
		}
		p.write(rx, x)
	case driver.BackwardWeights:
		each(func(in, out, tap int) {
			for k := range q.K {
				for c := range q.C {
					dw[(k*taps+tap)*q.C+c] += float64(y[out*q.YPitch+k]) * float64(x[in*q.XPitch+c])
				}
			}
		})
		for i, v := range dw {
			w[i] = float32(v)
		}
		p.write(rw, w)
	}
}

func decode(t kernels.Type, raw []byte) []float32 {
	values := make([]float32, len(raw)/t.Bytes())
	for i := range values {
		switch t {
		case kernels.Float32:
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case kernels.BFloat16:
			values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		case kernels.FP16:
			values[i] = halfToFloat(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	}
	return values
}

func encode(t kernels.Type, values []float32) []byte {
	raw := make([]byte, len(values)*t.Bytes())
	for i, v := range values {
		switch t {
		case kernels.Float32:
			binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
		case kernels.BFloat16:
			b := math.Float32bits(v)
			if v == v {
				b += 0x7fff + b>>16&1 // to the nearest, ties to even
			}
			binary.LittleEndian.PutUint16(raw[2*i:], uint16(b>>16))
		case kernels.FP16:
			binary.LittleEndian.PutUint16(raw[2*i:], floatToHalf(v))
		}
	}
	return raw
}

// halfToFloat and floatToHalf convert IEEE binary16 by its definition.
func halfToFloat(h uint16) float32 {
	sign, exponent, fraction := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 != 0 {
		sign = -1
	}
	switch exponent {
	case 31:
		if fraction != 0 {
			return float32(math.NaN())
		}
		return float32(math.Inf(int(sign)))
	case 0:
		return float32(sign * math.Ldexp(fraction, -24))
	}
	return float32(sign * math.Ldexp(1024+fraction, exponent-25))
}

func floatToHalf(v float32) uint16 {
	sign := uint16(math.Float32bits(v) >> 16 & 0x8000)
	a := math.Abs(float64(v))
	switch {
	case a != a:
		return sign | 0x7e00
	case a >= 65520:
		return sign | 0x7c00
	case a < math.Ldexp(1, -14):
		return sign | uint16(math.RoundToEven(a*math.Ldexp(1, 24)))
	}
	_, e := math.Frexp(a) // a = f 2^e, f in [0.5, 1)
	m := uint16(math.RoundToEven(math.Ldexp(a, 11-e)))
	return sign | (uint16(e+13)<<10 + m) // m has the leading one, which adds 1 to the exponent
}
