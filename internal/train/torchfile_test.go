package train

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/universal-classifier/uc/internal/weights"
)

// torchForm says how PyTorch wrote a file.
type torchForm struct {
	old     bool   // before PyTorch 1.6: pickles and elements one behind the other
	ancient bool   // before 0.4: tensors without gradients' flags
	wrapped bool   // the state dictionary lies under "state_dict" of another
	prefix  string // of every name
}

// writeTorch writes what torch.save would: a pickle of protocol 2 whose tensors refer to storages.
func writeTorch(t *testing.T, path string, sd *weights.StateDict, form torchForm) {
	t.Helper()
	var program bytes.Buffer
	program.WriteString("\x80\x02")
	if form.wrapped {
		program.WriteString("}(")
		text(&program, "epoch")
		program.WriteString("K\x07")
		text(&program, "state_dict")
	}
	program.WriteString("ccollections\nOrderedDict\n)R(")
	for i, name := range sd.Names() {
		text(&program, form.prefix+name)
		tensor(&program, i, sd.Get(name), form.ancient)
	}
	program.WriteString("u")
	if form.wrapped {
		program.WriteString("u")
	}
	program.WriteString(".")
	var out bytes.Buffer
	if form.old {
		out.WriteString("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}(")
		text(&out, "protocol_version")
		out.WriteString("M\xe9\x03")
		text(&out, "little_endian")
		out.WriteString("\x88u.")
		out.Write(program.Bytes())
		out.WriteString("\x80\x02](")
		for i := range sd.Len() {
			text(&out, fmt.Sprint(i))
		}
		out.WriteString("e.")
		for _, name := range sd.Names() {
			out.Write(binary.LittleEndian.AppendUint64(nil, uint64(sd.Get(name).Len())))
			out.Write(elements(sd.Get(name)))
		}
	} else {
		z := zip.NewWriter(&out)
		put := func(name string, b []byte) {
			w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		put("data.pkl", program.Bytes())
		for i, name := range sd.Names() {
			put(fmt.Sprintf("data/%d", i), elements(sd.Get(name)))
		}
		put("version", []byte("3\n"))
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func text(b *bytes.Buffer, s string) {
	b.WriteByte('X')
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	b.WriteString(s)
}

func integer(b *bytes.Buffer, v int) {
	b.WriteByte('J')
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(v)))
}

// tensor calls _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks), or, before 0.4, without the
// last two.
func tensor(b *bytes.Buffer, key int, t *weights.Tensor, ancient bool) {
	class, function := "FloatStorage", "_rebuild_tensor_v2"
	if t.I64 != nil {
		class = "LongStorage"
	}
	if ancient {
		function = "_rebuild_tensor"
	}
	b.WriteString("ctorch._utils\n" + function + "\n((")
	text(b, "storage")
	b.WriteString("ctorch\n" + class + "\n")
	text(b, fmt.Sprint(key))
	text(b, "cpu")
	integer(b, t.Len())
	if ancient {
		b.WriteByte('N')
	}
	b.WriteString("tQK\x00(")
	for _, n := range t.Shape {
		integer(b, n)
	}
	b.WriteString("t(")
	stride := t.Len()
	for _, n := range t.Shape {
		stride /= n
		integer(b, stride)
	}
	b.WriteString("t")
	if !ancient {
		b.WriteString("\x89ccollections\nOrderedDict\n)R")
	}
	b.WriteString("tR")
}

func elements(t *weights.Tensor) []byte {
	var out []byte
	for _, v := range t.F32 {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	for _, v := range t.I64 {
		out = binary.LittleEndian.AppendUint64(out, uint64(v))
	}
	return out
}
