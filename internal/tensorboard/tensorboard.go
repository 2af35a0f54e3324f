// Package tensorboard writes the event files that TensorBoard shows: numbers and pictures by step.
//
// A folder has one event file of this program at a time. Continuing at a step takes over what the last one holds up to
// that step into a new file and then removes it, so that no reader sees a step twice; the new file begins with a
// session start at step 0, upon which a TensorBoard that is watching drops what it has read before. Event files of
// other programs are left alone.
//
// Own code on the wire format of protobuf, as the messages of two files of TensorFlow would bring all of it along.
package tensorboard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/infile"
)

// How an event file is named: TensorBoard recognises them by the prefix and reads them in the order of their names.
const (
	filePrefix = "events.out.tfevents."
	fileSuffix = ".uc"
)

// Writer appends to the event file of a folder. Each event is on its way to the disk, in one write, before the next
// begins, so that a process that is killed leaves a file whose last event may be cut, which readers pass over. It is
// not safe for concurrent use.
type Writer struct {
	file *os.File
	err  error // of a write, after which no other can follow
}

// Files are the event files of this program in a folder, in their order. There are two where a process was killed while
// it replaced the first, and then the second has all that counts.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filePrefix) && strings.HasSuffix(e.Name(), fileSuffix) && e.Type().IsRegular() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Open begins the event file of dir, with what the former one holds of steps up to last; 0 starts over. reached is
// the highest step that was there, so that a caller who knows of those up to last may write the rest.
func Open(dir string, last int64, now time.Time) (w *Writer, reached int64, err error) {
	former, err := Files(dir)
	if err != nil {
		return nil, 0, err
	}
	name := func(seconds int64) string {
		return filepath.Join(dir, fmt.Sprintf("%s%010d%s", filePrefix, seconds, fileSuffix))
	}
	path := name(now.Unix())
	if len(former) > 0 {
		if latest := former[len(former)-1]; path <= latest { // begun in this second, or the clock was put back
			var seconds int64
			if _, err := fmt.Sscanf(filepath.Base(latest), filePrefix+"%d", &seconds); err != nil || name(seconds) != latest {
				return nil, 0, fmt.Errorf("%s: not the name of an event file of this program", latest)
			}
			path = name(seconds + 1)
		}
	}
	err = atomicfile.Write(path, func(out io.Writer) error {
		if _, err := out.Write(frame(event(now, 0, eventFileVersion, []byte(fileVersion)))); err != nil {
			return err
		}
		session := protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), sessionStart)
		if _, err := out.Write(frame(event(now, 0, eventSessionLog, session))); err != nil {
			return err
		}
		if len(former) == 0 {
			return nil
		}
		reached, err = copyUpTo(out, former[len(former)-1], last)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for _, from := range former {
		if err := atomicfile.Remove(from); err != nil {
			return nil, 0, err
		}
	}
	if err := fault.At(fault.Open, path); err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, 0, err
	}
	return &Writer{file: f}, reached, nil
}

// copyUpTo copies the summaries of steps up to last and returns the highest step. A damaged record ends the file.
func copyUpTo(out io.Writer, path string, last int64) (reached int64, err error) {
	f, err := infile.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	for {
		record, err := readRecord(r)
		if err == io.EOF || errors.Is(err, ErrDamaged) {
			return reached, nil
		}
		if err != nil {
			return reached, err
		}
		k, err := look(record)
		if err != nil {
			return reached, nil
		}
		if !k.content || k.step > last {
			continue
		}
		reached = max(reached, k.step)
		if _, err := out.Write(frame(record)); err != nil {
			return reached, err
		}
	}
}

// Write appends what a step has brought. After an error nothing more is written, and the error is returned again.
func (w *Writer) Write(step int64, at time.Time, scalars []Scalar, images ...Image) error {
	if w.err != nil {
		return w.err
	}
	scalars = slices.Clone(scalars)
	for i := range scalars {
		scalars[i].Tag = tag(scalars[i].Tag)
	}
	content := summary(scalars, images)
	if len(content) == 0 {
		return nil
	}
	if w.err = fault.At(fault.Write, w.file.Name()); w.err == nil {
		_, w.err = w.file.Write(frame(event(at, step, eventSummary, content)))
	}
	return w.err
}

// tag is a valid tag: protobuf wants UTF-8.
func tag(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

// Path is the file that is written.
func (w *Writer) Path() string { return w.file.Name() }

// Close ends the file.
func (w *Writer) Close() error { return w.file.Close() }
