package fingerprint

import (
	"encoding/binary"
	"errors"
)

// errDamaged is what Decode makes of bytes that Encode did not write.
var errDamaged = errors.New("not a distribution of intensities")

// Encode is the distribution as bytes, for another process to decode: pairs of varints, the difference to the key
// before and the count. Whole-number images, as CT is, take some two or three bytes per distinct value.
func (d Distribution) Encode() []byte {
	var b []byte
	var last uint32
	for i, k := range d.key {
		b = binary.AppendUvarint(b, uint64(k-last))
		b = binary.AppendUvarint(b, uint64(d.count[i]))
		last = k
	}
	return b
}

// Decode reads what Encode wrote, and refuses what no sample of a case can be.
func Decode(b []byte) (Distribution, error) {
	var d Distribution
	var last uint64
	for first := true; len(b) > 0; first = false {
		step, n := binary.Uvarint(b)
		if n <= 0 {
			return Distribution{}, errDamaged
		}
		count, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return Distribution{}, errDamaged
		}
		b = b[n+m:]
		const most = 1<<32 - 1
		if step > most || last+step > most || step == 0 && !first || count == 0 || count > most {
			return Distribution{}, errDamaged
		}
		last += step
		d.key, d.count = append(d.key, uint32(last)), append(d.count, uint32(count))
	}
	if len(d.key) == 0 {
		return Distribution{}, errDamaged
	}
	return d, nil
}
