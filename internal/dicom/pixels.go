package dicom

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/volume"
)

// Volume is a series as an array of voxels.
type Volume struct {
	volume.Geometry
	Int16 []int16   // Z*Y*X, X fastest, if all values are whole numbers in the range of int16; else nil
	Float []float32 // Z*Y*X, X fastest, else
}

// supported says why pixels of the format are not read; "" if they are.
func (f pixelFormat) supported() (kind, reason string) {
	switch {
	case f.samples != 1 || f.photometric != "" && f.photometric != "MONOCHROME1" && f.photometric != "MONOCHROME2":
		return "colour", fmt.Sprintf("colour image (%s, %d samples per pixel), expected one grey value per pixel", f.photometric, f.samples)
	case f.allocated != 8 && f.allocated != 16 && f.allocated != 32:
		return "pixel-format", fmt.Sprintf("%d bits per pixel, expected 8, 16 or 32", f.allocated)
	case f.stored < 1 || f.stored > f.allocated || f.high != f.stored-1: // of other high bits programs make different values
		return "pixel-format", fmt.Sprintf("%d bits stored of %d with %d as the highest, expected %d", f.stored, f.allocated, f.high, f.stored-1)
	}
	return "", ""
}

// frameBytes is the length of an uncompressed frame.
func (f pixelFormat) frameBytes() int64 {
	return int64(f.rows) * int64(f.columns) * int64(f.allocated/8)
}

// limits are the least and the greatest stored value that the format can hold.
func (f pixelFormat) limits() (lo, hi float64) {
	if f.signed {
		return -math.Exp2(float64(f.stored - 1)), math.Exp2(float64(f.stored-1)) - 1
	}
	return 0, math.Exp2(float64(f.stored)) - 1
}

// read reads the pixels of a frame. Bits other than those that the format says are stored, as overlays may be, are left
// out.
func (f pixelFormat) read(raw []byte, order binary.ByteOrder, out []int64) {
	unused := 64 - f.stored
	for i := range out {
		var v uint64
		switch f.allocated {
		case 8:
			v = uint64(raw[i])
		case 16:
			v = uint64(order.Uint16(raw[2*i:]))
		default:
			v = uint64(order.Uint32(raw[4*i:]))
		}
		v <<= unused
		if f.signed {
			out[i] = int64(v) >> unused
		} else {
			out[i] = int64(v >> unused)
		}
	}
}

// pixelProblem says why the pixel data of a file cannot be read, as far as can be told without decoding them; "" if
// nothing does.
func (h *header) pixelProblem() (kind, reason string) {
	if kind, reason = h.format.supported(); reason != "" {
		return kind, reason
	}
	frames := int64(len(h.slices))
	switch h.syntax.compression {
	case unsupported:
		return "compressed", h.syntax.refusal()
	case native:
		want := frames * h.format.frameBytes()
		have := h.pixels.whole.length
		switch {
		case len(h.pixels.fragments) > 0:
			return "broken-file", "compressed pixels in a file of " + h.syntax.name
		case h.pixels.missing > 0:
			return "broken-file", fmt.Sprintf("%v: %d of %d bytes of pixels are missing; copy the file again", errTruncated, h.pixels.missing, have)
		case have < want || have >= want+h.format.frameBytes():
			return "broken-file", fmt.Sprintf("%d bytes of pixels, expected %d", have, want)
		}
	default:
		if h.syntax.compression == jpegBaseline && (h.format.allocated != 8 || h.format.stored != 8 || h.format.signed) {
			return "pixel-format", fmt.Sprintf("JPEG Baseline with %d bits, expected 8 unsigned ones", h.format.stored)
		}
		if _, err := h.frameExtents(); err != nil {
			return "broken-file", err.Error()
		}
	}
	return "", ""
}

// frameExtents are the fragments of every compressed frame.
func (h *header) frameExtents() ([][]extent, error) {
	n, p := len(h.slices), h.pixels
	out := make([][]extent, n)
	switch {
	case len(p.fragments) == 0:
		return nil, errors.New("compressed pixels without a fragment")
	case n == 1:
		out[0] = p.fragments
		return out, nil
	case len(p.fragments) == n:
		for i := range out {
			out[i] = p.fragments[i : i+1]
		}
		return out, nil
	case len(p.offsets) != n:
		return nil, fmt.Errorf("%d frames in %d fragments without a table of where they begin", n, len(p.fragments))
	}
	const itemHead = 8
	first := p.fragments[0].at - itemHead
	frame := -1
	for _, f := range p.fragments {
		if frame+1 < n && f.at-itemHead-first == int64(p.offsets[frame+1]) {
			frame++
		}
		if frame < 0 {
			return nil, errors.New("the table of frames does not begin with the first fragment")
		}
		out[frame] = append(out[frame], f)
	}
	if frame != n-1 {
		return nil, fmt.Errorf("the table of frames fits %d of %d frames", frame+1, n)
	}
	return out, nil
}

// placed is a frame of a file and where it goes in the volume.
type placed struct{ frame, z int }

// byFile lists the frames of every file in their order there.
func (s *Series) byFile() (files []*header, frames map[*header][]placed) {
	frames = map[*header][]placed{}
	for z, c := range s.slices {
		if frames[c.file] == nil {
			files = append(files, c.file)
		}
		frames[c.file] = append(frames[c.file], placed{c.frame, z})
	}
	for _, f := range frames {
		slices.SortFunc(f, func(a, b placed) int { return cmp.Compare(a.frame, b.frame) })
	}
	return files, frames
}

// scale reports whether all values are sure to be whole, and whether they are sure to fit int16.
func (s *Series) scale() (whole, fits bool) {
	whole, fits = true, true
	for _, c := range s.slices {
		lo, hi := c.file.format.limits()
		a, b := lo*c.slope+c.intercept, hi*c.slope+c.intercept
		whole = whole && isWhole(c.slope) && isWhole(c.intercept)
		fits = fits && min(a, b) >= math.MinInt16 && max(a, b) <= math.MaxInt16
	}
	return whole, whole && fits
}

// isWhole reports whether v is a whole number whose product with a stored value stays within 64 bits.
func isWhole(v float64) bool { return v == math.Trunc(v) && math.Abs(v) <= 1<<30 }

// Bytes is the memory that Read takes at most.
func (s *Series) Bytes() int64 {
	const int16Bytes, floatBytes, scratchBytes = 2, 4, 16
	voxels := int64(1)
	for _, n := range s.Geometry.Size {
		voxels *= int64(n)
	}
	plane := int64(s.Geometry.Size[1]) * int64(s.Geometry.Size[2])
	bytes := int64(floatBytes + int16Bytes)
	if whole, fits := s.scale(); fits {
		bytes = int16Bytes
	} else if !whole {
		bytes = floatBytes
	}
	return bytes*voxels + scratchBytes*plane
}

// Read reads the voxels of a series that is not refused, rescaled slice by slice. The values are in the order of the
// slices along the normal of their planes; rows and columns are as stored.
func (s *Series) Read(ctx context.Context) (*Volume, error) {
	if len(s.Refusals) > 0 {
		return nil, s.Refusals[0]
	}
	v := &Volume{Geometry: s.Geometry}
	n := s.Geometry.Voxels()
	if whole, _ := s.scale(); whole {
		v.Int16 = make([]int16, n)
	} else {
		v.Float = make([]float32, n)
	}
	plane := s.Geometry.Size[1] * s.Geometry.Size[2]
	values := make([]int64, plane)
	files, frames := s.byFile()
	for _, h := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := h.readFrames(ctx, frames[h], values, func(z int) { v.put(s.slices[z], z*plane, values) })
		if err != nil {
			return nil, &fileError{h.path, err}
		}
	}
	return v, nil
}

// fileError says which file of the source cannot be read.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return fmt.Sprintf("%s: %v", e.path, e.err) }
func (e *fileError) Unwrap() error { return e.err }

// put stores the rescaled values of a slice.
func (v *Volume) put(c *slice, at int, values []int64) {
	if v.Int16 != nil {
		slope, intercept := int64(c.slope), int64(c.intercept)
		out := v.Int16[at : at+len(values)]
		fits := true
		for i, x := range values {
			x = x*slope + intercept
			out[i] = int16(x)
			fits = fits && int64(int16(x)) == x
		}
		if fits {
			return
		}
		v.widen()
	}
	for i, x := range values {
		v.Float[at+i] = float32(float64(x)*c.slope + c.intercept)
	}
}

// widen turns int16 into float32, which holds each of them.
func (v *Volume) widen() {
	v.Float = make([]float32, len(v.Int16))
	for i, x := range v.Int16 {
		v.Float[i] = float32(x)
	}
	v.Int16 = nil
}

// readFrames decodes frames of a file in their order; got is called for each after its pixels are in values.
func (h *header) readFrames(ctx context.Context, frames []placed, values []int64, got func(z int)) error {
	src, err := openSource(h.path)
	if err != nil {
		return err
	}
	defer src.Close()
	if n := src.file.Size(); n != h.size {
		return fmt.Errorf("%d bytes, but %d when the folder was looked through; do not change the source during the conversion", n, h.size)
	}
	d := &decoder{h: h, src: src, order: binary.LittleEndian}
	if h.syntax.bigEndian {
		d.order = binary.BigEndian
	}
	if h.syntax.deflated {
		if err := d.toDeflated(); err != nil {
			return err
		}
	}
	if h.syntax.compression != native {
		if d.extents, err = h.frameExtents(); err != nil {
			return err
		}
	}
	for _, p := range frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := d.frame(p.frame)
		if err != nil {
			return fmt.Errorf("frame %d: %w", p.frame+1, err)
		}
		h.format.read(raw, d.order, values)
		got(p.z)
	}
	return nil
}

// decoder reads the frames of an open file.
type decoder struct {
	h       *header
	src     *source
	order   binary.ByteOrder // of the frames that it returns
	extents [][]extent
	raw     []byte // of the last frame
}

// toDeflated goes to the beginning of the deflated part.
func (d *decoder) toDeflated() error {
	w := &walker{src: d.src, order: binary.LittleEndian}
	_, err := w.begin()
	return err
}

// frame returns the pixels of a frame as they are stored, uncompressed. The slice is valid until the next call.
func (d *decoder) frame(i int) ([]byte, error) {
	n := d.h.format.frameBytes()
	if d.raw == nil {
		d.raw = make([]byte, n)
	}
	if d.h.syntax.compression == native {
		if err := d.src.seekTo(d.h.pixels.whole.at + int64(i)*n); err != nil {
			return nil, err
		}
		if err := d.src.read(d.raw); err != nil {
			return nil, err
		}
		if d.h.syntax.bigEndian && d.h.format.allocated == 8 && d.h.pixels.ow {
			for k := 0; k+1 < len(d.raw); k += 2 { // words of two pixels
				d.raw[k], d.raw[k+1] = d.raw[k+1], d.raw[k]
			}
		}
		return d.raw, nil
	}
	packed, err := d.packed(d.extents[i])
	if err != nil {
		return nil, err
	}
	if d.h.syntax.compression == rle {
		return d.raw, unpackRLE(packed, d.raw, d.h.format.allocated/8)
	}
	return d.raw, decodeJPEG(packed, d.raw, d.h.format.rows, d.h.format.columns)
}

// packed reads the fragments of a frame.
func (d *decoder) packed(fragments []extent) ([]byte, error) {
	const spare = 1 << 20
	total := int64(0)
	for _, f := range fragments {
		total += f.length
	}
	if most := 4*d.h.format.frameBytes() + spare; total > most {
		return nil, fmt.Errorf("%d bytes of compressed pixels for %d uncompressed ones", total, d.h.format.frameBytes())
	}
	out := make([]byte, total)
	at := int64(0)
	for _, f := range fragments {
		if err := d.src.seekTo(f.at); err != nil {
			return nil, err
		}
		if err := d.src.read(out[at : at+f.length]); err != nil {
			return nil, err
		}
		at += f.length
	}
	return out, nil
}
