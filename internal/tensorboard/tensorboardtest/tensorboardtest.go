// Package tensorboardtest reads event files in tests, independently of the code that writes them.
package tensorboardtest

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Content is what an event file holds, scalars and sizes of pictures by tag and step.
type Content struct {
	Scalars map[string]map[int64]float32
	Images  map[string]map[int64]int // bytes
	Steps   []int64                  // of the summaries, in the order of the file
}

// Only reads the one event file of a folder.
func Only(t *testing.T, dir string) Content {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("event files %v (%v), want one", paths, err)
	}
	return Read(t, paths[0])
}

// Read reads an event file up to its end or a record that is cut. A tag with a step twice is an error.
func Read(t *testing.T, path string) Content {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := Content{map[string]map[int64]float32{}, map[string]map[int64]int{}, nil}
	sum := func(b []byte) uint32 {
		v := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		return (v>>15 | v<<17) + 0xa282ead8
	}
	for len(b) >= 12 {
		n := binary.LittleEndian.Uint64(b)
		if sum(b[:8]) != binary.LittleEndian.Uint32(b[8:]) {
			t.Fatalf("%s: checksum of a length", path)
		}
		if uint64(len(b)) < n+16 {
			break
		}
		record := b[12 : 12+n]
		if sum(record) != binary.LittleEndian.Uint32(b[12+n:]) {
			t.Fatalf("%s: checksum of a record", path)
		}
		c.add(t, record)
		b = b[n+16:]
	}
	return c
}

// add takes in an Event message.
func (c *Content) add(t *testing.T, event []byte) {
	t.Helper()
	step, summary := int64(0), []byte(nil)
	each(event, func(field protowire.Number, content []byte, v uint64) {
		switch field {
		case 2:
			step = int64(v)
		case 5:
			summary = content
		}
	})
	if summary == nil {
		return
	}
	c.Steps = append(c.Steps, step)
	each(summary, func(_ protowire.Number, value []byte, _ uint64) {
		tag := ""
		each(value, func(field protowire.Number, content []byte, v uint64) {
			switch field {
			case 1:
				tag = string(content)
			case 2:
				put(t, c.Scalars, tag, step, math.Float32frombits(uint32(v)))
			case 4:
				each(content, func(field protowire.Number, content []byte, _ uint64) {
					if field == 4 {
						put(t, c.Images, tag, step, len(content))
					}
				})
			}
		})
	})
}

func put[V any](t *testing.T, m map[string]map[int64]V, tag string, step int64, v V) {
	t.Helper()
	if _, twice := m[tag][step]; twice {
		t.Errorf("%s: step %d twice", tag, step)
	}
	if m[tag] == nil {
		m[tag] = map[int64]V{}
	}
	m[tag][step] = v
}

// each calls f with every field of a message: the content of those of bytes, the number of the others.
func each(b []byte, f func(field protowire.Number, content []byte, v uint64)) {
	for len(b) > 0 {
		field, wire, n := protowire.ConsumeTag(b)
		b = b[n:]
		switch wire {
		case protowire.BytesType:
			content, _ := protowire.ConsumeBytes(b)
			f(field, content, 0)
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			f(field, nil, v)
		case protowire.Fixed32Type:
			v, _ := protowire.ConsumeFixed32(b)
			f(field, nil, uint64(v))
		case protowire.Fixed64Type:
			v, _ := protowire.ConsumeFixed64(b)
			f(field, nil, v)
		}
		b = b[protowire.ConsumeFieldValue(field, wire, b):]
	}
}
