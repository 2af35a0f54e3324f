package torch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/weights"
)

// Values that the pickle writer knows besides nil, bool, int, int64, float64, string, []any (a list) and
// *weights.Tensor.
type (
	// Tuple is a Python tuple.
	Tuple []any
	// Dict is a dict with its entries in order.
	Dict []Item
	// OrderedDict is a collections.OrderedDict.
	OrderedDict []Item
	// Item is an entry of a Dict or an OrderedDict; the key is a string or an int.
	Item struct{ Key, Value any }
	// Array is a one-dimensional numpy.ndarray of float64.
	Array []float64
)

// pickler writes protocol 2, the one of torch.save, without memo: nothing that we write is shared or refers to itself.
type pickler struct {
	out bytes.Buffer
	// storage places a tensor's values outside the pickle and returns their key; nil where no tensor may occur.
	storage func(t *weights.Tensor) (key string, err error)
}

// encode returns a whole pickle of v.
func (p *pickler) encode(v any) ([]byte, error) {
	p.out.WriteString("\x80\x02")
	if err := p.value(v); err != nil {
		return nil, err
	}
	p.out.WriteByte('.')
	return p.out.Bytes(), nil
}

func (p *pickler) value(v any) error {
	switch v := v.(type) {
	case nil:
		p.out.WriteByte('N')
	case bool:
		if v {
			p.out.WriteByte(0x88)
		} else {
			p.out.WriteByte(0x89)
		}
	case int:
		p.integer(int64(v))
	case int64:
		p.integer(v)
	case float64:
		p.out.WriteByte('G')
		p.out.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case string:
		p.text(v)
	case []any:
		p.out.WriteByte(']')
		return p.items('e', v)
	case Tuple:
		return p.tuple(v)
	case Dict:
		p.out.WriteByte('}')
		return p.entries(v)
	case OrderedDict:
		p.out.WriteString("ccollections\nOrderedDict\n)R")
		return p.entries(v)
	case Array:
		return p.array(v)
	case *weights.Tensor:
		return p.tensor(v)
	default:
		return fmt.Errorf("a %T cannot be pickled", v)
	}
	return nil
}

func (p *pickler) integer(v int64) {
	switch {
	case v >= 0 && v < 1<<8:
		p.out.Write([]byte{'K', byte(v)})
	case v >= 0 && v < 1<<16:
		p.out.WriteByte('M')
		p.out.Write(binary.LittleEndian.AppendUint16(nil, uint16(v)))
	case v == int64(int32(v)):
		p.out.WriteByte('J')
		p.out.Write(binary.LittleEndian.AppendUint32(nil, uint32(v)))
	default:
		p.out.WriteString("\x8a\x08")
		p.out.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	}
}

func (p *pickler) text(s string) {
	p.out.WriteByte('X')
	p.out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.out.WriteString(s)
}

// items writes values between a mark and the operation that takes them.
func (p *pickler) items(op byte, values []any) error {
	if len(values) == 0 && op == 'e' {
		return nil
	}
	p.out.WriteByte('(')
	for _, v := range values {
		if err := p.value(v); err != nil {
			return err
		}
	}
	p.out.WriteByte(op)
	return nil
}

func (p *pickler) tuple(t Tuple) error {
	if len(t) == 0 {
		p.out.WriteByte(')')
		return nil
	}
	return p.items('t', t)
}

func (p *pickler) entries(items []Item) error {
	if len(items) == 0 {
		return nil
	}
	flat := make([]any, 0, 2*len(items))
	for _, it := range items {
		flat = append(flat, it.Key, it.Value)
	}
	return p.items('u', flat)
}

// array writes what numpy.ndarray.__reduce__ returns. The bytes go through _codecs.encode, as protocol 2 has no bytes.
func (p *pickler) array(a Array) error {
	p.out.WriteString("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85")
	p.latin1([]byte{'b'})
	p.out.WriteString("tR(K\x01")
	if err := p.tuple(Tuple{len(a)}); err != nil {
		return err
	}
	p.out.WriteString("cnumpy\ndtype\n(")
	p.text("f8")
	p.out.WriteString("\x89\x88tR(K\x03")
	p.text("<")
	p.out.WriteString("NNN")
	p.integer(-1)
	p.integer(-1)
	p.out.WriteString("K\x00tb\x89")
	var data []byte
	for _, v := range a {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	p.latin1(data)
	p.out.WriteString("tb")
	return nil
}

// latin1 writes bytes as a call of _codecs.encode with one character per byte.
func (p *pickler) latin1(b []byte) {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	p.out.WriteString("c_codecs\nencode\n(")
	p.text(string(runes))
	p.text("latin1")
	p.out.WriteString("tR")
}

// tensor writes a contiguous tensor as torch.save does: a view of a storage that lies outside the pickle.
func (p *pickler) tensor(t *weights.Tensor) error {
	if p.storage == nil {
		return fmt.Errorf("a tensor in a plain pickle")
	}
	if err := t.Check(); err != nil {
		return err
	}
	key, err := p.storage(t)
	if err != nil {
		return err
	}
	class := "FloatStorage"
	if t.I64 != nil {
		class = "LongStorage"
	}
	p.out.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
	p.text("storage")
	p.out.WriteString("ctorch\n" + class + "\n")
	p.text(key)
	p.text("cpu")
	p.integer(int64(t.Len()))
	p.out.WriteString("tQK\x00")
	shape, stride := make(Tuple, len(t.Shape)), make(Tuple, len(t.Shape))
	step := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		shape[i], stride[i] = t.Shape[i], step
		step *= t.Shape[i]
	}
	if err := p.tuple(shape); err != nil {
		return err
	}
	if err := p.tuple(stride); err != nil {
		return err
	}
	p.out.WriteString("\x89ccollections\nOrderedDict\n)RtR")
	return nil
}
