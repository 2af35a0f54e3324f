package main

import (
	"fmt"
	"io"
)

// layer is a kernel that passes over vectors of 16 channels, with how many of them a round of its loop takes, by set.
type layer struct {
	name    string
	loops   []place // AVX2, NEON, NEON with bfloat16; without a file where there is none
	vectors []int
}

// layerOf is the kernel of one name in all sets, whose loop takes one vector.
func layerOf(name, file, kernel, label string) layer {
	return layer{name, []place{
		{file + "_amd64.s", kernel + "AVX2", label},
		{file + "_arm64.s", kernel + "NEON", label},
		{file + "_bf16_arm64.s", kernel + "BF16NEON", label},
	}, []int{1, 1, 1}}
}

// layers are the kernels of batch norm, the optimisers and max pooling.
func layers() []layer {
	sums, gradients := layerOf("batch norm's sums", "elementwise", "sums", "voxel"), layerOf("batch norm's sums, backward", "elementwise", "gradientSums", "voxel")
	sums.loops[2].label, sums.vectors[2] = "pair", 2
	gradients.loops[1].label, gradients.vectors[1] = "two", 2
	gradients.loops[2].label, gradients.vectors[2] = "pair", 2
	sgd, adamw := layerOf("SGD", "elementwise", "sgd", "loop"), layerOf("AdamW", "elementwise", "adamw", "loop")
	sgd.loops[2], adamw.loops[2] = place{}, place{}
	axis, winners := layerOf("maximum of 3 along a line", "pooling", "axisMax", "free"), layerOf("max pooling, backward, per window", "pooling", "winnersSum", "window")
	axis.loops[0].label, winners.loops[0].label = "voxel", "next"
	return []layer{
		layerOf("batch norm and ReLU", "elementwise", "normalize", "voxel"),
		layerOf("batch norm and ReLU, backward", "elementwise", "normalizeBack", "voxel"),
		sums, gradients, sgd, adamw,
		layerOf("maximum of 3 arrays", "elementwise", "max3", "loop"), axis,
		layerOf("max pooling with winners, per tap", "pooling", "windowArgMax", "front"), winners,
		layerOf("max pooling by axes with winners, per tap", "pooling", "combineMax", "vector"),
		layerOf("max pooling by axes, backward, per window", "pooling", "splitSum", "vector"),
	}
}

// writeLayers writes the table of the kernels that pass over vectors.
func writeLayers(w io.Writer) error {
	fmt.Fprint(w, "\n| layers: loads + stores + vector instructions per 16 channels | AVX2 | NEON | NEON, bf16 |\n|---|---|---|---|\n")
	for _, l := range layers() {
		fmt.Fprintf(w, "| %s |", l.name)
		for i, p := range l.loops {
			if p.file == "" {
				fmt.Fprint(w, " – |")
				continue
			}
			c, err := p.count()
			if err != nil {
				return err
			}
			n := l.vectors[i]
			if c.loads%n+c.stores%n+c.vector%n != 0 {
				return fmt.Errorf("%s: %+v are not those of %d vectors", p.function, c, n)
			}
			fmt.Fprintf(w, " %d + %d + %d |", c.loads/n, c.stores/n, c.vector/n)
		}
		fmt.Fprintln(w)
	}
	return nil
}
