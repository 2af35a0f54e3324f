package dicom

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
)

// unpackRLE decodes a frame of RLE Lossless (PS3.5, annex G) of pixels of so many bytes, stored as one segment per
// byte, the most significant first. out is little-endian.
func unpackRLE(packed, out []byte, width int) error {
	const headLength = 64
	if len(packed) < headLength {
		return fmt.Errorf("RLE: %d bytes, expected a header of %d", len(packed), headLength)
	}
	if n := binary.LittleEndian.Uint32(packed); n != uint32(width) {
		return fmt.Errorf("RLE: %d segments, expected %d", n, width)
	}
	for k := range width {
		from := int64(binary.LittleEndian.Uint32(packed[4+4*k:]))
		to := int64(len(packed))
		if k+1 < width {
			to = int64(binary.LittleEndian.Uint32(packed[8+4*k:]))
		}
		if from < headLength || to < from || to > int64(len(packed)) {
			return fmt.Errorf("RLE: segment %d from byte %d to %d of %d", k+1, from, to, len(packed))
		}
		if err := unpackSegment(packed[from:to], out[width-1-k:], width); err != nil {
			return fmt.Errorf("RLE: segment %d: %w", k+1, err)
		}
	}
	return nil
}

// unpackSegment decodes one PackBits segment into every width-th byte of out.
func unpackSegment(packed, out []byte, width int) error {
	n := (len(out) + width - 1) / width
	at := 0
	for at < n && len(packed) > 1 {
		control := int8(packed[0])
		switch {
		case control >= 0: // literal
			count := int(control) + 1
			if count > len(packed)-1 {
				return errTruncated
			}
			for _, b := range packed[1 : 1+min(count, n-at)] {
				out[at*width] = b
				at++
			}
			packed = packed[1+count:]
		case control == -128:
			packed = packed[1:]
		default: // run
			for range min(1-int(control), n-at) {
				out[at*width] = packed[1]
				at++
			}
			packed = packed[2:]
		}
	}
	if at < n {
		return fmt.Errorf("%d of %d bytes: %w", at, n, errTruncated)
	}
	return nil
}

// decodeJPEG decodes a grey image of 8 bits into out.
func decodeJPEG(packed, out []byte, rows, columns int) error {
	c, err := jpeg.DecodeConfig(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("JPEG: %w", err)
	}
	if c.Width != columns || c.Height != rows {
		return fmt.Errorf("JPEG: %d x %d pixels, expected %d x %d", c.Width, c.Height, columns, rows)
	}
	im, err := jpeg.Decode(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("JPEG: %w", err)
	}
	grey, ok := im.(*image.Gray)
	if !ok {
		return fmt.Errorf("JPEG: a colour image, expected grey values")
	}
	for y := range rows {
		copy(out[y*columns:(y+1)*columns], grey.Pix[y*grey.Stride:])
	}
	return nil
}
