package paper

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/chart"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/evaluate/evaluatetest"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reproduce"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// hostile are names that no format may take for its own syntax.
var hostile = []string{`\input{/etc/passwd}`, `</td><script>alert(1)</script>`, `[@delong1988]`, `100 % & #1 _x_ ^2 ~ {a} $b$`, `=cmd|'/c calc'!A0`, "a\nb\r\tc\x00\x1b[31m", `*star`, `[option] -- --- ,, ?`, "`code` | cell", `" ' « ä β 漢`, ""}

// study is what a small study with those names brings.
func study(t *testing.T) *Facts {
	t.Helper()
	labels := []task.Label{{Name: hostile[0], Values: []string{hostile[1], hostile[2]}}, {Name: hostile[3], Values: hostile[4:]}}
	predictions := evaluatetest.Predictions(labels, 60, 2)
	r := evaluate.Evaluate(labels, predictions)
	for fold := range 2 {
		r.PerFold = append(r.PerFold, evaluate.FoldReport{Fold: fmt.Sprint(fold), Cases: r.Cases, Labels: r.Labels})
	}
	r.Warnings = append(r.Warnings, hostile...)
	recipe := train.Recipe{Epochs: 50, Iterations: 16, BatchSize: 2, LearningRate: 3e-4, Seed: 7, Optimiser: train.AdamW, Momentum: 0.9, Beta2: 0.999,
		WeightDecay: 0.05, ClipNorm: 1, Schedule: train.Cosine, WarmUp: 0.05, Average: 0.99, MirrorValidation: true, Restarts: 2, Draws: feed.InPasses}
	raw, err := json.Marshal(recipe)
	if err != nil {
		t.Fatal(err)
	}
	l := &reproduce.Lock{Format: 1, Task: "Task001_A_b", Trainer: "ClassifierTrainer", Program: reproduce.Program{Version: "v1.2.3", Go: "go1.26", OS: "linux", Arch: "amd64"}}
	for fold := range 2 {
		l.Folds = append(l.Folds, reproduce.Fold{Fold: fmt.Sprint(fold), Recipe: raw, Device: "cpu (avx2, 2 threads)", Precision: "fp32", Checkpoint: "model_final_checkpoint"})
	}
	p := &plan.Plans{Modalities: indexed.List[string]{hostile[3], "CT"}, NormalizationSchemes: indexed.List[string]{plan.NormNonCT, plan.NormCT}, UseMaskForNorm: indexed.List[bool]{true, false},
		RealMasks: true, PlansPerStage: indexed.List[plan.StagePlan]{{BatchSize: 2, ImageSize: [3]int{32, 64, 64}, CurrentSpacing: [3]float64{3, 1, 1}}}}
	return &Facts{Report: r, Lock: l, Plans: p, recipe: recipe, Trainings: []chart.Training{{Fold: "0", TrainLoss: []float64{0.7, 0.6}, ValLoss: []float64{0.8, 0.7}}}}
}

func write(t *testing.T, dir string, f *Facts) (files map[string]string) {
	t.Helper()
	paths, err := Write(dir, f)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.ToSlash(name)] = string(b)
	}
	return files
}

// written are the files of the study.
var written struct {
	once  sync.Once
	files map[string]string
}

func filesOf(t *testing.T) map[string]string {
	t.Helper()
	written.once.Do(func() {
		dir := t.TempDir()
		if keep := os.Getenv("UC_KEEP_PICTURES"); keep != "" {
			dir = filepath.Join(keep, "paper")
		}
		written.files = write(t, dir, study(t))
	})
	return written.files
}

func TestEveryFileIsWritten(t *testing.T) {
	files := filesOf(t)
	for _, name := range []string{ReadmeFile, CardFile, TripodFile, ClaimFile, MethodsText, MethodsTeX, BibFile, DocumentFile,
		"tables/performance.csv", "tables/performance.tex", "tables/settings.csv", "figures/training.pdf", "figures/training.svg"} {
		if files[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	for name, text := range files {
		if strings.HasPrefix(name, figuresFolder) && !strings.Contains(files[ReadmeFile], strings.TrimSuffix(name, filepath.Ext(name))) {
			t.Errorf("the readme does not name %s", name)
		}
		if strings.ContainsAny(text, "\x1b\x00") && !strings.HasSuffix(name, ".pdf") {
			t.Errorf("%s holds control characters", name)
		}
		if strings.HasSuffix(name, ".svg") {
			for d := xml.NewDecoder(strings.NewReader(text)); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
}

// What an earlier run made and this one does not is removed, and nothing else.
func TestOldFilesAreRemoved(t *testing.T) {
	dir, f := t.TempDir(), study(t)
	f.Report.Labels = nil
	write(t, dir, f)
	own := filepath.Join(dir, tablesFolder, "own.txt")
	if err := os.WriteFile(own, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Trainings = nil
	write(t, dir, f)
	if _, err := os.Stat(filepath.Join(dir, figuresFolder, "training.pdf")); err == nil {
		t.Error("an old figure is left")
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
}

// Names are text in LaTeX: braces balance, and every command is one that the program writes.
func TestLaTeXHoldsNamesAsText(t *testing.T) {
	files := filesOf(t)
	known := strings.Fields(`begin end centering small caption label toprule midrule bottomrule section subsection cite
		textbackslash textasciitilde textasciicircum textless textgreater textbar textquotedbl textquotesingle textasciigrave ensuremath geq leq textmu textpm texttimes
		resizebox documentclass usepackage DeclareUnicodeCharacter ifPDFTeX fi title author maketitle input includegraphics textwidth textheight clearpage bibliographystyle bibliography`)
	command := regexp.MustCompile(`\\([a-zA-Z]+|.)`)
	for name, text := range files {
		if !strings.HasSuffix(name, ".tex") {
			continue
		}
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(known, m[1]) && !strings.Contains(`\{}$&#%_`, m[1]) {
				t.Errorf("%s: command %s", name, m[0])
			}
		}
		rest := command.ReplaceAllString(text, "")
		if strings.Count(rest, "{") != strings.Count(rest, "}") {
			t.Errorf("%s: braces do not balance", name)
		}
		if strings.Contains(text, "/etc/passwd") && strings.Contains(text, `\input{/etc`) {
			t.Errorf("%s: a name became a command", name)
		}
		for _, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, "[") || strings.HasPrefix(line, "*") {
				t.Errorf("%s: a row begins with %q", name, line)
			}
		}
	}
	if !strings.Contains(files["tables/cohort.tex"], `\textbackslash{}input\{/etc/passwd\}`) {
		t.Errorf("the name is not in\n%s", files["tables/cohort.tex"])
	}
	if strings.Contains(files[MethodsText], "[@delong1988] (") {
		t.Error("the name of a class became a citation")
	}
}

func TestMarkdownAndCSVHoldNamesAsText(t *testing.T) {
	files := filesOf(t)
	for name, text := range files {
		switch {
		case strings.HasSuffix(name, ".md"):
			if strings.Contains(text, "<script") || strings.Contains(text, "\n|'") {
				t.Errorf("%s: a name became HTML", name)
			}
		case strings.HasSuffix(name, ".csv"):
			rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, row := range rows {
				for _, cell := range row {
					if strings.HasPrefix(cell, "=") {
						t.Errorf("%s: a spreadsheet would run %q", name, cell)
					}
				}
			}
		}
	}
}

// All works that are cited are in the bibliography, and no others; entries are well-formed.
func TestBibliographyIsWhatIsCited(t *testing.T) {
	files := filesOf(t)
	cite := regexp.MustCompile(`\\cite\{([^}]*)\}`)
	var cited []string
	for _, m := range cite.FindAllStringSubmatch(files[MethodsTeX], -1) {
		cited = append(cited, strings.Split(m[1], ",")...)
	}
	slices.Sort(cited)
	cited = slices.Compact(cited)
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^@\w+\{(\w+),$`).FindAllStringSubmatch(files[BibFile], -1) {
		listed = append(listed, m[1])
	}
	if !slices.Equal(cited, listed) {
		t.Errorf("cited %v, listed %v", cited, listed)
	}
	for key := range references {
		text, err := bibliography([]string{key})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(text, "{") != strings.Count(text, "}") || !strings.Contains(text, "title") {
			t.Errorf("%s:\n%s", key, text)
		}
	}
}

// The checklists have the items of the guidelines: 52 parts of 27 items in TRIPOD+AI, 44 items in CLAIM 2024.
func TestChecklistsAreWhole(t *testing.T) {
	files := filesOf(t)
	if n := len(tripod.items); n != 52 {
		t.Errorf("TRIPOD+AI has %d parts, want 52", n)
	}
	items := map[string]bool{}
	for _, i := range tripod.items {
		items[strings.TrimRight(i.number, "abcdefg")] = true
	}
	for n := 1; n <= 27; n++ {
		if !items[fmt.Sprint(n)] {
			t.Errorf("TRIPOD+AI: no item %d", n)
		}
	}
	if n := len(claim.items); n != 44 {
		t.Errorf("CLAIM has %d items, want 44", n)
	}
	for i, item := range claim.items {
		if item.number != fmt.Sprint(i+1) {
			t.Errorf("CLAIM: item %s at place %d", item.number, i+1)
		}
	}
	named := regexp.MustCompile(`(tables|figures)/[a-z]+`)
	for _, c := range []struct {
		checklist
		text string
	}{{tripod, files[TripodFile]}, {claim, files[ClaimFile]}} {
		for _, i := range c.items {
			if !strings.Contains(c.text, "\n| "+i.number+" | ") {
				t.Errorf("%s: no row %s", c.title, i.number)
			}
		}
		for _, file := range named.FindAllString(c.text, -1) {
			if !slices.ContainsFunc(slices.Collect(keysOf(files)), func(name string) bool { return strings.HasPrefix(name, file) }) {
				t.Errorf("%s names %s, which is not there", c.title, file)
			}
		}
	}
}

func keysOf(files map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range files {
			if !yield(name) {
				return
			}
		}
	}
}

// The methods say what was done: another recipe gives other words.
func TestMethodsFollowTheRecipe(t *testing.T) {
	f := study(t)
	text := f.methods().markdown()
	for _, want := range []string{"AdamW [@loshchilov2019]", "800 iterations", "seed 7", "DeLong", "z-score of each case over the voxels inside", "clipping to the 0.5 and 99.5 percentiles", "32 x 64 x 64", "uc v1.2.3"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	f.recipe.Optimiser, f.recipe.Schedule, f.recipe.Average, f.recipe.WarmUp, f.recipe.MirrorValidation = train.SGD, train.Poly, 0, 0, false
	f.Lock.Folds[1].Checkpoint = "model_best"
	other := f.methods().markdown()
	for _, not := range []string{"AdamW", "cosine", "moving average (decay", "mirror images", "The last weights"} {
		if strings.Contains(other, not) {
			t.Errorf("%q in\n%s", not, other)
		}
	}
	if !strings.Contains(other, "the validation cases had a part in choosing them") {
		t.Errorf("nothing of the choice in\n%s", other)
	}
	var b bytes.Buffer
	b.WriteString(f.card())
	if !strings.Contains(b.String(), "## Ethical considerations") {
		t.Error("the card is not whole")
	}
}
