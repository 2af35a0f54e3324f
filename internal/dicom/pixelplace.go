package dicom

import (
	"errors"
	"fmt"
)

// extent is a part of a file's content.
type extent struct{ at, length int64 }

// pixelPlace is where the pixel data of a file lie.
type pixelPlace struct {
	found     bool
	ow        bool     // 16-bit words
	whole     extent   // native
	missing   int64    // bytes that the file lacks
	fragments []extent // encapsulated: items without the first, the offset table
	offsets   []uint32 // the offset table, from the first fragment's item
}

// fragments goes through the items of an encapsulated value.
func (w *walker) fragments(room int64) ([]extent, error) {
	var out []extent
	end := w.src.at + room
	for {
		i, err := w.head(true)
		switch {
		case err != nil:
			return nil, err
		case i.tag == sequenceEnd:
			return out, nil
		case i.tag != item || i.undefined:
			return nil, fmt.Errorf("element %v in place of a fragment of pixel data", i.tag)
		case i.length > end-w.src.at:
			return nil, fmt.Errorf("a fragment of pixel data claims %d bytes: %w", i.length, errTruncated)
		case len(out) == maxItems:
			return nil, fmt.Errorf("pixel data in more than %d fragments", maxItems)
		}
		out = append(out, extent{w.src.at, i.length})
		if err := w.src.skip(i.length); err != nil {
			return nil, err
		}
	}
}

// pixelData notes where the pixel data lie.
func (w *walker) pixelData(e element) error {
	w.pixels.found = true
	if !e.undefined {
		w.pixels.ow = e.vr != "OB" // implicit VR is OW
		w.pixels.whole = extent{w.src.at, e.length}
		w.pixels.missing = max(e.length-w.src.left(), 0)
		return nil
	}
	var table extent
	if first := w.src.peek(8); len(first) == 8 { // the offset table is read again below
		length := int64(w.order.Uint32(first[4:]))
		if length%4 == 0 && length/4 <= maxItems && length <= w.src.left()-8 {
			table = extent{w.src.at + 8, length}
		}
	}
	all, err := w.fragments(w.src.left())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("encapsulated pixel data without an offset table")
	}
	w.pixels.fragments = all[1:]
	if table.length > 0 && w.src.end >= 0 {
		b := make([]byte, table.length)
		if _, err := w.src.file.ReadAt(b, table.at); err != nil {
			return err
		}
		for i := 0; i < len(b); i += 4 {
			w.pixels.offsets = append(w.pixels.offsets, w.order.Uint32(b[i:]))
		}
	}
	return nil
}
