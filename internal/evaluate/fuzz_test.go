package evaluate

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
)

// FuzzCases reads any cases.json next to a good result.
func FuzzCases(f *testing.F) {
	f.Add([]byte(`{"classification_labels":[{"name":"L","ordinal":false,"values":["a","b"]}],"cases":[{"case":"c","fold":"0","targets":[1]}]}`))
	f.Add([]byte(`{"classification_labels":[{"name":"L","values":["a","b"]}],"cases":[{"case":"../c","targets":[7]},{"case":"c"}]}`))
	dir := f.TempDir()
	p := Prediction{Case: "c", Targets: []int{1}, Logits: [][]float64{{0, 1}}, Probabilities: [][]float64{{0.3, 0.7}}}
	if err := npz.Write(filepath.Join(dir, "c.npz"), p.Arrays(), false); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, casesFile), b, 0o600); err != nil {
			t.Skip(err)
		}
		if fold, err := ReadFold(dir); err == nil && fold == nil {
			t.Error("neither a fold nor an error")
		}
	})
}

// FuzzTruth measures any predictions.json against any table.
func FuzzTruth(f *testing.F) {
	f.Add([]byte(`{"task":"T","classification_labels":[{"name":"L","ordinal":false,"values":["a","b"]}],"cases":[{"case":"c","labels":[{"name":"L","class":1,"value":"b","probabilities":[0.3,0.7],"logits":[0,1]}]}]}`), []byte("case,L\nc,1\n"))
	f.Add([]byte(`{"classification_labels":[{"name":"L","values":["a","b"]}],"cases":[{"case":"c","labels":[]}]}`), []byte("\ufeffcase;L\nc;b\nd;\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, table, truth []byte) {
		path := filepath.Join(dir, "truth.csv")
		if os.WriteFile(filepath.Join(dir, TableFile), table, 0o600) != nil || os.WriteFile(path, truth, 0o600) != nil {
			t.Skip()
		}
		r, err := AgainstTruth(dir, path)
		if err != nil {
			return
		}
		r.Table()
		if err := r.JSON(io.Discard); err != nil {
			t.Error(err)
		}
		if err := r.CSV(io.Discard); err != nil {
			t.Error(err)
		}
	})
}
