package tensorboard

import (
	"fmt"
	"math"
	"time"

	"github.com/universal-classifier/uc/internal/numeric"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of tensorboard/compat/proto/{event,summary}.proto.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	sessionStatus = 1
	sessionStart  = 1 // SessionLog.START

	summaryValue     = 1
	valueTag         = 1
	valueSimple      = 2
	valueImage       = 4
	imageHeight      = 1
	imageWidth       = 2
	imageColourspace = 3
	imageEncoded     = 4

	rgba = 4 // of Image.colorspace
)

// fileVersion is what the first event of a file says.
const fileVersion = "brain.Event:2"

// Scalar is a number of a step.
type Scalar struct {
	Tag   string
	Value float64
}

// Image is a picture of a step.
type Image struct {
	Tag           string
	Width, Height int
	PNG           []byte
}

// event is an Event message of a step with a field of bytes.
func event(at time.Time, step int64, field protowire.Number, content []byte) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixNano())/1e9))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(step))
	return appendBytes(b, field, content)
}

func appendBytes(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

func appendInt(b []byte, field protowire.Number, v int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

// summary is a Summary message. Scalars that are not finite are left out: TensorBoard has no place for them.
func summary(scalars []Scalar, images []Image) []byte {
	var b []byte
	for _, s := range scalars {
		if !numeric.Finite(s.Value) {
			continue
		}
		v := appendBytes(nil, valueTag, []byte(s.Tag))
		v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
		v = protowire.AppendFixed32(v, math.Float32bits(float32(s.Value)))
		b = appendBytes(b, summaryValue, v)
	}
	for _, i := range images {
		picture := appendInt(nil, imageHeight, i.Height)
		picture = appendInt(picture, imageWidth, i.Width)
		picture = appendInt(picture, imageColourspace, rgba)
		picture = appendBytes(picture, imageEncoded, i.PNG)
		v := appendBytes(nil, valueTag, []byte(i.Tag))
		b = appendBytes(b, summaryValue, appendBytes(v, valueImage, picture))
	}
	return b
}

// kind is what a message of an event file is, as far as continuing one needs to know.
type kind struct {
	step    int64
	content bool // it has a summary
}

// look reads step and kind of an Event message.
func look(b []byte) (kind, error) {
	var k kind
	for len(b) > 0 {
		field, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return kind{}, fmt.Errorf("%w: %w", ErrDamaged, protowire.ParseError(n))
		}
		b = b[n:]
		if field == eventStep && wire == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b)
			k.step = int64(v)
		}
		k.content = k.content || field == eventSummary
		if n = protowire.ConsumeFieldValue(field, wire, b); n < 0 {
			return kind{}, fmt.Errorf("%w: %w", ErrDamaged, protowire.ParseError(n))
		}
		b = b[n:]
	}
	return k, nil
}
