package cpu

import (
	"math"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/numeric"
)

// The head of the network is a few thousand multiplications: plain loops on one thread, sums in float64.

func (d *cpuDevice) Linear(x, w, b, y *device.Tensor) {
	rows, in, out := x.Dim(0), x.Dim(1), w.Dim(0)
	xs, ws, bs, ys := values(x), values(w), values(b), values(y)
	for r := range rows {
		for o := range out {
			sum := float64(bs[o])
			wo := ws[o*in:][:in]
			for i, v := range xs[r*in:][:in] {
				sum += float64(v) * float64(wo[i])
			}
			ys[r*out+o] = float32(sum)
		}
	}
}

func (d *cpuDevice) LinearBackward(x, dy, w, dx, dw, db *device.Tensor) {
	rows, in, out := x.Dim(0), x.Dim(1), w.Dim(0)
	xs, gs, ws := values(x), values(dy), values(w)
	dxs, dws, dbs := values(dx), values(dw), values(db)
	for r := range rows {
		for i := range in {
			sum := 0.0
			for o := range out {
				sum += float64(gs[r*out+o]) * float64(ws[o*in+i])
			}
			dxs[r*in+i] = float32(sum)
		}
	}
	for o := range out {
		bias := 0.0
		for r := range rows {
			bias += float64(gs[r*out+o])
		}
		dbs[o] = float32(bias)
		for i := range in {
			sum := 0.0
			for r := range rows {
				sum += float64(gs[r*out+o]) * float64(xs[r*in+i])
			}
			dws[o*in+i] = float32(sum)
		}
	}
}

func (d *cpuDevice) CrossEntropy(classes []int, logits, targets, loss, dlogits *device.Tensor) {
	rows, columns := logits.Dim(0), logits.Dim(1)
	z, t, g := values(logits), values(targets), values(dlogits)
	total, first := 0.0, 0
	for label, n := range classes {
		for r := range rows {
			row := z[r*columns+first:][:n]
			top, sum := numeric.Exponentials(row)
			target := int(t[r*len(classes)+label])
			total += numeric.CrossEntropy(row[target], top, sum) / float64(rows)
			for c, v := range row {
				p := math.Exp(float64(v)-top) / sum
				if c == target {
					p--
				}
				g[r*columns+first+c] = float32(p / float64(rows))
			}
		}
		first += n
	}
	values(loss)[0] = float32(total)
}
