// Package duplicate recognises scans that hold the same picture, voxel for voxel or after changes of window, grid and
// position.
package duplicate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/volume"
)

// side is the most cells that a scan is reduced to along an axis.
const side = 32

// View is what is remembered of a scan.
type View struct {
	Voxels string `json:"voxels"`          // digest of the size and of every voxel's value
	Shape  bool   `json:"shape,omitempty"` // it holds no more than two values
	Print  Print  `json:"print"`           // of what is in the picture; empty if it is the same everywhere
}

// Viewer looks at the voxels of a scan as they come, in constant memory.
type Viewer struct {
	size   [3]int // z, y, x
	cells  [3]int
	axes   [3]axis // how each axis falls into cells
	sums   []float64
	row    []float64
	at     [3]int // z, y, x of the next voxel
	digest hash.Hash
	bytes  []byte
	known  []float32 // the first values that differ, up to three
	order  [3]int    // voxel axis (0: z, 2: x) that runs along the body's x, y, z
	flip   [3]bool   // per voxel axis, whether it runs against it
}

// axis says which cells each voxel lies in: share of the first, the rest of the next.
type axis struct {
	cell  []int
	share []float64
}

// divide cuts an axis of n voxels into as many equal cells; no voxel is longer than a cell.
func divide(n, cells int) axis {
	a := axis{make([]int, n), make([]float64, n)}
	for i := range n {
		from, to := float64(i)*float64(cells)/float64(n), float64(i+1)*float64(cells)/float64(n)
		a.cell[i] = min(int(from), cells-1)
		a.share[i] = 1
		if edge := float64(a.cell[i] + 1); to > edge && a.cell[i]+1 < cells {
			a.share[i] = (edge - from) / (to - from)
		}
	}
	return a
}

// NewViewer begins to look at a scan on the grid g.
func NewViewer(g volume.Geometry) *Viewer {
	v := &Viewer{size: g.Size, digest: sha256.New()}
	for d, n := range g.Size {
		v.cells[d] = min(n, side)
		v.axes[d] = divide(n, v.cells[d])
		v.bytes = binary.LittleEndian.AppendUint64(v.bytes, uint64(n))
	}
	v.digest.Write(v.bytes)
	v.sums = make([]float64, v.cells[0]*v.cells[1]*v.cells[2])
	v.row = make([]float64, v.cells[2])
	v.order, v.flip = bodyAxes(g.Direction)
	return v
}

// bodyAxes finds for each axis of the body the voxel axis that runs along it best.
func bodyAxes(direction [9]float64) (order [3]int, flip [3]bool) {
	used := [3]bool{}
	for body := range 3 {
		best := -1
		for a := range 3 { // x, y, z
			if !used[a] && (best < 0 || math.Abs(direction[3*body+a]) > math.Abs(direction[3*body+best])) {
				best = a
			}
		}
		used[best] = true
		order[body] = 2 - best
		flip[2-best] = direction[3*body+best] < 0
	}
	return order, flip
}

// Visit takes in the next voxels, X fastest.
func (v *Viewer) Visit(values []float32) {
	const most = 4096
	for len(values) > 0 {
		n := min(len(values), most, v.size[2]-v.at[2])
		v.bytes = v.bytes[:0]
		across := v.axes[2]
		for i, x := range values[:n] {
			if x == 0 || x-x != 0 { // -0, NaN and infinities count as 0
				x = 0
			}
			if len(v.known) < 3 && !slices.Contains(v.known, x) {
				v.known = append(v.known, x)
			}
			v.bytes = binary.LittleEndian.AppendUint32(v.bytes, math.Float32bits(x))
			cell, share := across.cell[v.at[2]+i], across.share[v.at[2]+i]
			v.row[cell] += float64(x) * share
			if share < 1 {
				v.row[cell+1] += float64(x) * (1 - share)
			}
		}
		v.digest.Write(v.bytes)
		values = values[n:]
		if v.at[2] += n; v.at[2] == v.size[2] {
			v.endRow()
		}
	}
}

// endRow adds the row to the cells that it lies in.
func (v *Viewer) endRow() {
	z, y := v.at[0], v.at[1]
	down, along := v.axes[0], v.axes[1]
	for dz := range 2 {
		for dy := range 2 {
			share := part(down.share[z], dz) * part(along.share[y], dy)
			if share == 0 {
				continue
			}
			to := v.sums[((down.cell[z]+dz)*v.cells[1]+along.cell[y]+dy)*v.cells[2]:]
			for x, value := range v.row {
				to[x] += share * value
			}
		}
	}
	clear(v.row)
	v.at[2] = 0
	if v.at[1]++; v.at[1] == v.size[1] {
		v.at[1] = 0
		v.at[0]++
	}
}

func part(share float64, next int) float64 {
	if next == 1 {
		return 1 - share
	}
	return share
}

// View is what was seen, once all voxels were.
func (v *Viewer) View() View {
	return View{hex.EncodeToString(v.digest.Sum(nil)), len(v.known) < 3, v.print()}
}

// ranks replaces values by their rank, equal ones by the mean of theirs, from -1 to 1: whatever keeps the order of
// intensities, such as another window, keeps them. All are 0 if the values are.
func ranks(values []float64) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return a - b
	})
	sorted := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			sorted[order[k]] = float64(i+j)/float64(len(order)) - 1
		}
		i = j
	}
	copy(values, sorted)
}
