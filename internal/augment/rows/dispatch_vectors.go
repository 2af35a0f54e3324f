//go:build (amd64 || arm64) && !noasm

package rows

import "github.com/universal-classifier/uc/internal/cpulevel"

// maxTaps is how many weights the fast combine4 takes.
const maxTaps = 250

// splineRow uses that the recursion is the correlation with 6*pole/(pole^2-1) * pole^|k|: in vectors the 25 products
// cost less than a recursion, which has none.
func splineRow(dst, src []float32, gain float32) {
	if cpulevel.Default() == cpulevel.Generic || len(dst) == 0 {
		splineRowPortable(dst, src, gain)
		return
	}
	var weights [2*SplineReach + 1]float32
	w := gain * float32(6*SplinePole/(SplinePole*SplinePole-1))
	for k := range SplineReach + 1 {
		weights[SplineReach-k], weights[SplineReach+k] = w, w
		w *= float32(SplinePole)
	}
	combine(dst, src, 1, weights[:])
}

// locateArgs is what the kernels read of a Line; its layout is theirs.
type locateArgs struct {
	base, step, center, limit [3]float64
	first                     float64
	rowStride, planeStride    int32
	matrix                    [3][3]float32
	displacement              [3]*float32
}

// argsOf gathers them for the first n voxels of a row, n > 0.
func argsOf(l *Line, n int) locateArgs {
	args := locateArgs{
		base: l.Base, step: l.Step, center: l.Center, first: l.First, matrix: l.Matrix,
		rowStride: int32(l.RowStride), planeStride: int32(l.PlaneStride),
	}
	for a := range args.limit {
		args.limit[a] = float64(l.Size[a] - 1)
		if l.Displacement[a] != nil {
			args.displacement[a] = &l.Displacement[a][:n][0]
		}
	}
	return args
}

// locateRest computes the voxels from n on.
func locateRest(p *Places, l *Line, n int) {
	if n == len(p.Start) {
		return
	}
	rest, line := p.from(n), *l
	line.First += float64(n)
	for a, d := range l.Displacement {
		if d != nil {
			line.Displacement[a] = d[n:]
		}
	}
	locatePortable(&rest, &line)
}

func reverse(x []float32) {
	if cpulevel.Default() == cpulevel.Generic {
		reversePortable(x)
		return
	}
	half := len(x) / 2
	swapReversed(x[:half], x[len(x)-half:])
}
