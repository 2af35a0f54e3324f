package main

import (
	"fmt"
	"io"
)

// row is a kernel over rows of voxels, with how many values a round of its first innermost loop makes, by set.
type row struct {
	name  string
	loops []place // AVX2, NEON; without a file where there is none
	makes []int
}

// augmentation is a kernel of package rows.
func augmentation(name, kernel string, avx2, neon int) row {
	return row{name, []place{
		{"internal/augment/rows/kernels_amd64.s", kernel + "AVX2", ""},
		{"internal/augment/rows/kernels_arm64.s", kernel + "NEON", ""},
	}, []int{avx2, neon}}
}

// resampling is a kernel of package resample.
func resampling(name, kernel string, neon int) row {
	return row{name, []place{{}, {"internal/resample/kernels_arm64.s", kernel + "NEON", ""}}, []int{0, neon}}
}

// rows are the kernels of augmentation, of reading and of resampling.
var rows = []row{
	augmentation("weighted sum of rows, per tap", "combine", 40, 32),
	augmentation("four such sums together, per tap", "combine4", 4*16, 4*16),
	augmentation("filter along eight rows, per tap", "smooth", 8*8, 4*8*8),
	augmentation("spline's recursion, forwards", "decay", 32, 16),
	augmentation("spline's recursion, backwards", "decayBack", 32, 16),
	augmentation("resampling along a row", "taps4", 4, 4),
	augmentation("places in the source, displaced", "locate", 4, 4),
	augmentation("gather of 4³ coefficients, one channel", "cubic1", 1, 1),
	augmentation("gather of 4³ coefficients, two channels", "cubic2", 1, 1),
	augmentation("contrast", "affine", 32, 16),
	augmentation("brightness", "scale", 32, 16),
	augmentation("mean, standard deviation, range", "describe", 16, 16),
	augmentation("gamma", "power", 8, 4),
	augmentation("uniform random numbers", "symmetric", 16, 16),
	augmentation("normal random numbers, added", "addNormal", 32, 32),
	augmentation("mirror along the row, per pair", "swapReversed", 8, 4),
	augmentation("mirror across rows, per pair", "swap", 8, 16),
	augmentation("two channels interleaved, per pair", "interleave", 8, 4),
	{"int16 to float32", []place{
		{"internal/voxels/widen_amd64.s", "widenBlocks", ""},
		{"internal/voxels/widen_arm64.s", "widenBlocks", ""},
	}, []int{16, 16}},
	resampling("preprocessing: spline, forwards", "causal", 16),
	resampling("preprocessing: spline, backwards", "anticausal", 16),
	resampling("preprocessing: sum of four lines", "combine", 16),
	resampling("preprocessing: transposition", "transpose", 16),
	resampling("preprocessing: range", "limits", 16),
	resampling("preprocessing: clipping", "clip", 16),
}

// writeRows writes the table of the kernels over rows.
func writeRows(w io.Writer) error {
	fmt.Fprint(w, "\n| augmentation, reading, preprocessing: instructions per voxel | AVX2 | NEON |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |", r.name)
		for i, p := range r.loops {
			if p.file == "" {
				fmt.Fprint(w, " – |")
				continue
			}
			c, err := p.count()
			if err != nil {
				return err
			}
			fmt.Fprintf(w, " %.2f (%d for %d) |", float64(c.all)/float64(r.makes[i]), c.all, r.makes[i])
		}
		fmt.Fprintln(w)
	}
	return nil
}
