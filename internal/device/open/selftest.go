package open

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/device/exercise"
	"github.com/universal-classifier/uc/internal/env"
)

// InProcess is a Prober that looks and tests in this process, which a broken driver may end.
func InProcess(q driver.Question, _ time.Duration, answer any) error {
	b, err := json.Marshal(answerOf(q))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, answer)
}

// AnswerProbe writes the answer to the question that a driver.Child was started with.
func AnswerProbe(question string, w io.Writer) error {
	var q driver.Question
	if err := json.Unmarshal([]byte(question), &q); err != nil {
		return fmt.Errorf("not a question about the GPU: %w", err)
	}
	b, err := json.Marshal(answerOf(q))
	if err != nil {
		return err
	}
	_, err = w.Write(append(append([]byte{'\n'}, b...), '\n')) // on a line of its own, whatever libraries print
	return err
}

func answerOf(q driver.Question) any {
	if q.Test {
		return runTest(q)
	}
	return driver.Probe(q.CUDALibs)
}

// testLimit is how long a card may take for its test: the first time all kernels are compiled.
const testLimit = 3 * time.Minute

// testAnswer is what the process that tests a card says.
type testAnswer struct {
	Problem string `json:"problem,omitempty"`
}

// testedGPU compares a card with the CPU in a separate process, unless it has passed before with the same driver,
// libraries and kernels.
func testedGPU(card int, libraries *driver.Report, o Options) error {
	info := libraries.Cards[card]
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v %d %s %+v %+v %v %q %s", info, libraries.CUDA, libraries.Version, libraries.NVRTC, libraries.CuDNN, o.Mixed, env.Get(env.CUDAGraph), kernels.Source()))
	mark := ""
	if dir := driver.CacheDir(); dir != "" {
		mark = filepath.Join(dir, "tested-"+hex.EncodeToString(sum[:12]))
		if _, err := os.Stat(mark); err == nil {
			return nil
		}
	}
	var a testAnswer
	if err := o.GPU.Probe(driver.Question{Test: true, Card: card, CUDALibs: o.GPU.libraries(), Mixed: o.Mixed}, testLimit, &a); err != nil {
		return err
	}
	if a.Problem != "" {
		return errors.New(a.Problem)
	}
	if mark != "" && os.MkdirAll(filepath.Dir(mark), 0o755) == nil {
		_ = atomicfile.WriteBytes(mark, []byte(info.Name+"\n"))
	}
	return nil
}

// runTest answers the question whether a card computes what the CPU does.
func runTest(q driver.Question) (a testAnswer) {
	o := Options{Mixed: q.Mixed}
	d, err := openGPU(q.Card, driver.Probe(q.CUDALibs), o)
	if err == nil {
		defer d.Close()
		reference := cpu.New(1, false)
		defer reference.Close()
		err = exercise.Compare(d, reference, exercise.Tolerance(d))
	}
	if err != nil {
		a.Problem = err.Error()
	}
	return a
}
