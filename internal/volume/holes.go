package volume

import "bytes"

// run is a stretch of background voxels in one row: x in [start, end), and its set in the union-find forest.
type run struct {
	start, end int32
	parent     int32
}

// FillHoles sets to 1 every 0 voxel that no path of 0 voxels (six neighbours) joins to the border of the grid. Mask
// holds 0 and 1 only. The background is taken as runs along x, joined by union-find, so that the cost follows the
// number of runs; the result equals scipy.ndimage.binary_fill_holes.
func FillHoles(mask []uint8, size [3]int) {
	nz, ny, nx := size[0], size[1], size[2]
	runs := []run{{}} // runs[0] is everything outside of the grid
	// rowStart[y] is the first run of row y in the previous slice, then in this one
	previous, current := make([]int32, ny+1), make([]int32, ny+1)
	for z := range nz {
		for y := range ny {
			current[y] = int32(len(runs))
			row := mask[(z*ny+y)*nx:][:nx]
			runs = appendRuns(runs, row)
			mine := runs[current[y]:]
			edge := z == 0 || z == nz-1 || y == 0 || y == ny-1
			for i := range mine {
				if edge || mine[i].start == 0 || int(mine[i].end) == nx {
					unite(runs, current[y]+int32(i), 0)
				}
			}
			if y > 0 {
				uniteRows(runs, current[y-1], current[y], current[y], int32(len(runs)))
			}
			if z > 0 {
				uniteRows(runs, previous[y], previous[y+1], current[y], int32(len(runs)))
			}
		}
		current[ny] = int32(len(runs))
		previous, current = current, previous
	}
	next := int32(1)
	for at := 0; at < len(mask); at += nx {
		row := mask[at : at+nx]
		for x := 0; ; {
			gap := bytes.IndexByte(row[x:], 0)
			if gap < 0 {
				break
			}
			x += gap
			end := int(runs[next].end)
			if find(runs, next) != 0 {
				for i := x; i < end; i++ {
					row[i] = 1
				}
			}
			next++
			if x = end; x == nx {
				break
			}
		}
	}
}

// appendRuns appends the runs of zeros in row, each a set of its own.
func appendRuns(runs []run, row []uint8) []run {
	for x := 0; x < len(row); {
		gap := bytes.IndexByte(row[x:], 0)
		if gap < 0 {
			break
		}
		start := x + gap
		length := bytes.IndexByte(row[start:], 1)
		if length < 0 {
			length = len(row) - start
		}
		x = start + length
		runs = append(runs, run{start: int32(start), end: int32(x), parent: int32(len(runs))})
	}
	return runs
}

// uniteRows joins the runs [a, aEnd) of one row with the runs [b, bEnd) of a neighbouring row where they overlap.
func uniteRows(runs []run, a, aEnd, b, bEnd int32) {
	for a < aEnd && b < bEnd {
		if runs[a].start < runs[b].end && runs[b].start < runs[a].end {
			unite(runs, a, b)
		}
		if runs[a].end < runs[b].end {
			a++
		} else {
			b++
		}
	}
}

func find(runs []run, i int32) int32 {
	for runs[i].parent != i {
		runs[i].parent = runs[runs[i].parent].parent
		i = runs[i].parent
	}
	return i
}

// unite joins two sets under the smaller root, so that the outside stays its own root.
func unite(runs []run, a, b int32) {
	a, b = find(runs, a), find(runs, b)
	if a < b {
		runs[b].parent = a
	} else {
		runs[a].parent = b
	}
}
