package cli

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

var update = flag.Bool("update", false, "rewrite the golden files of TestGolden")

// What a run prints and writes that differs from run to run or from machine to machine.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\d+(\.\d+)? (s|ms|min|h)( \d+ (s|min))*\b`), "TIME"},
	{regexp.MustCompile(`(\d+h)?(\d+m)?\d+(\.\d+)?m?s\b`), "TIME"},
	{regexp.MustCompile(`\d+(\.\d+)? [KMGT]i?B\b`), "BYTES"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*`), "DATE"},
	{regexp.MustCompile(`training_log_[0-9_]+`), "training_log_DATE"},
	{regexp.MustCompile(`tfevents\.[0-9]+`), "tfevents.DATE"},
	{regexp.MustCompile(`\d+(\.\d+)? % of training waiting`), "SHARE of training waiting"},
	{regexp.MustCompile(`\d+ (CPU )?threads?`), "THREADS"},
	{regexp.MustCompile(`\(UC_CPU also takes .*\)`), "(UC_CPU also takes OTHERS)"},
	{regexp.MustCompile(`GPU: .*`), "GPU: STATE"},
	{regexp.MustCompile(`device cpu (.*?): .*`), "device cpu: REASON"},
	{regexp.MustCompile(`\d+ workers?`), "WORKERS"},
	{regexp.MustCompile(`\d+ cases? at a time`), "CASES at a time"},
}

// progressLine is what a slow machine prints in between.
var progressLine = regexp.MustCompile(`(?m)^[^\n:$]+: \d+/\d+.*\n`)

func settled(s string) string {
	s = progressLine.ReplaceAllString(s, "")
	for _, v := range volatile {
		s = v.pattern.ReplaceAllString(s, v.instead)
	}
	return s
}

// TestGolden runs the whole way on a few phantoms with the AVX2 kernels, whose bits are the same on every amd64 machine
// that has them, and compares all that it prints and the digests of all that it writes with recorded ones. A change
// that moves no number and no word leaves them as they are; one that means to runs `go test ./internal/cli -run
// TestGolden -update`, and the diff of the golden files says what moved.
func TestGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("three trainings")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the golden numbers are those of amd64: elsewhere the compiler fuses multiplications and additions")
	}
	if !slices.Contains(cpulevel.Available(), cpulevel.AVX2) {
		t.Skip("the golden numbers are those of AVX2, which this processor lacks")
	}
	defer cpulevel.Use(cpulevel.AVX2)()
	root := t.TempDir()
	var transcript strings.Builder
	shell := func(args ...string) {
		r := uc(args...)
		text := fmt.Sprintf("$ uc %s\n%s", strings.Join(args, " "), r.stdout)
		if r.stderr != "" {
			text += "--- stderr\n" + r.stderr
		}
		text += fmt.Sprintf("--- exit code %d\n\n", r.code)
		transcript.WriteString(settled(strings.ReplaceAll(text, root, "ROOT")))
	}
	data := []string{"--data-root", root}
	with := func(args ...string) []string { return append(args[:1:1], append(data, args[1:]...)...) }
	train := func(trainer, fold string) []string {
		return append(with("train", "3d_fullres", trainer, "900", fold, "--device", "cpu"), short...)
	}
	scans := filepath.Join(root, "raw", "nnUNet_raw_data", "Task900_Phantom")
	out := filepath.Join(root, "predictions")

	shell("demo", root, "--cases", "10", "--test-cases", "2", "--seed", "1")
	shell(with("plan-and-preprocess", "-t", "900", "-tf", "2", "-tl", "2", "--verify_dataset_integrity", "--memory", "2G")...)
	shell(train("ClassifierTrainerReference", "0")...)
	shell(train("ClassifierTrainer", "1")...)
	shell(train("ClassifierTrainerReference", "1")...)
	shell(with("predict", "-i", filepath.Join(scans, "imagesTs"), "-s", filepath.Join(scans, "labelsTs"), "-o", out, "-t", "900",
		"-tr", "ClassifierTrainerReference", "-f", "0", "1", "--device", "cpu")...)
	shell(with("evaluate", "900", "-tr", "ClassifierTrainerReference", "-f", "0", "1")...)
	shell(with("info")...)

	// What goes wrong, in the words that a user sees.
	shell(with("train", "3d_fullres", "ClassifierTrainer", "8", "0")...)
	shell(with("train", "3d_fullres", "ClassifierTrainer", "900", "x")...)
	shell(with("train", "2d", "ClassifierTrainer", "900", "0")...)
	shell(with("train", "3d_fullres", "NoTrainer", "900", "0")...)
	shell(with("predict", "-i", filepath.Join(root, "nowhere"), "-o", out, "-t", "900")...)
	shell(with("predict", "-i", filepath.Join(scans, "imagesTs"), "-o", out, "-t", "900", "-f", "3")...)
	shell(with("evaluate", "900", "-f", "0", "1", "2")...)
	shell(with("plan-and-preprocess", "-t", "900", "--memory", "1M")...)
	shell(with("plan-and-preprocess", "-t", "x y")...)
	shell(with("plan-and-preprocess", "-t", "900", "-tf", "0")...)
	shell("predict")
	shell("no-such-command")
	golden(t, "transcript.txt", transcript.String())

	var digests strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch filepath.Ext(name) {
		case ".npz", ".npy", ".safetensors", ".gz", ".csv":
			if filepath.Ext(name) == ".safetensors" { // its header holds times
				content = content[8+binary.LittleEndian.Uint64(content):]
			}
			sum := sha256.Sum256(content)
			fmt.Fprintf(&digests, "%s %s\n", hex.EncodeToString(sum[:8]), name)
		default:
			fmt.Fprintf(&digests, "%16s %s\n", "-", settled(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "files.txt", digests.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "(end)"
		}
		if line(a) != line(b) {
			t.Fatalf("%s, line %d:\nwant %s\ngot  %s", path, i+1, line(a), line(b))
		}
	}
}
