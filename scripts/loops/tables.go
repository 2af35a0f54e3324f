package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
)

// folder is where the kernels are, from the root of the repository.
const folder = "internal/device/cpu/kernel"

// place is where a loop is: a file of folder, or the path of one; a function, and a label or "" for its first innermost
// loop.
type place struct{ file, function, label string }

// product is a loop that multiplies, with how often it does in one round, by set.
type product struct {
	name  string
	loops []place // AVX2, NEON, NEON with bfloat16
	adds  []int
}

var products = []product{
	{"product, tile of 6 rows by 16 columns", []place{
		{"gemm_amd64.s", "gemmAVX2x6", "inner"},
		{"gemm_arm64.s", "gemmNEONx6", "inner"},
		{"gemm_bf16_arm64.s", "gemmBF16NEONx6", "inner"},
	}, []int{6 * 16 * 4, 6 * 16 * 4, 6 * 16 * 4}},
	{"outer products (gradients of weights)", []place{
		{"gemm_amd64.s", "outerAVX2x1", "row"},
		{"gemm_arm64.s", "outerNEON", "rows"},
		{"gemm_bf16_arm64.s", "outerBF16NEON", "rows"},
	}, []int{4 * 16, 2 * 8 * 8, 4 * 8 * 8}},
}

// writeTables writes the tables of docs/PERFORMANCE.md: AVX2's instructions beside NEON's.
func writeTables(w io.Writer) error {
	fmt.Fprint(w, "| products: instructions per multiply-add | AVX2 | NEON | NEON, bf16 |\n|---|---|---|---|\n")
	for _, p := range products {
		fmt.Fprintf(w, "| %s |", p.name)
		for i, l := range p.loops {
			n, err := l.count()
			if err != nil {
				return err
			}
			fmt.Fprintf(w, " %.3f (%d for %d) |", float64(n.all)/float64(p.adds[i]), n.all, p.adds[i])
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "\n| transformations: instructions per line of 16 channels | AVX2 | NEON | NEON, bf16 |\n|---|---|---|---|\n")
	for _, s := range winograd.Schemes() {
		for _, kind := range []string{"Input", "Output", "Gradient"} {
			from, to := s.Inputs, s.Alpha
			switch kind {
			case "Output":
				from, to = s.Alpha, s.M
			case "Gradient":
				from, to = s.M, s.Alpha
			}
			fmt.Fprintf(w, "| %s, %s, %d to %d |", s.Name, strings.ToLower(kind), from, to)
			for _, l := range []place{
				{"winograd_amd64.s", s.Name + kind + "AVX2", "line"},
				{"winograd_arm64.s", s.Name + kind + "NEON", "lineAll"},
				{"winograd_bf16_arm64.s", s.Name + kind + "BF16NEON", "lineAll"},
			} {
				n, err := l.count()
				if err != nil {
					return err
				}
				fmt.Fprintf(w, " %d |", n.all)
			}
			fmt.Fprintln(w)
		}
	}
	if err := writeLayers(w); err != nil {
		return err
	}
	return writeRows(w)
}

// found are the loops of files that were read.
var found = map[string][]loop{}

// count counts the instructions of a loop of the package folder.
func (p place) count() (counts, error) {
	if found[p.file] == nil {
		path := p.file
		if !strings.Contains(path, "/") {
			path = filepath.Join(folder, path)
		}
		file, err := os.Open(path)
		if err != nil {
			return counts{}, err
		}
		defer file.Close()
		if found[p.file], err = read(file); err != nil {
			return counts{}, err
		}
	}
	for _, l := range found[p.file] {
		if l.function == p.function && (p.label == "" || l.label == p.label) {
			return l.counts, nil
		}
	}
	return counts{}, fmt.Errorf("%s: %s has no innermost loop %s", p.file, p.function, p.label)
}
