package tensorboard

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// maxRecord bounds a record that is read: no picture of a training is larger.
const maxRecord = 64 << 20

// ErrDamaged is wrapped by the error about a record whose length, checksum or content is not right, as at the end of a
// file whose process was killed.
var ErrDamaged = errors.New("damaged event file")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of a TFRecord: CRC-32C, rotated by 15 bits, plus a constant.
func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// frame is data as a TFRecord: length, its checksum, the data, their checksum; little-endian.
func frame(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(data))
}

// readRecord reads the data of the next record. At the end it is io.EOF.
func readRecord(r *bufio.Reader) ([]byte, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if masked(head[:8]) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, fmt.Errorf("%w: checksum of a length", ErrDamaged)
	}
	if n > maxRecord {
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrDamaged, n)
	}
	data := make([]byte, n)
	var tail [4]byte
	for _, part := range [][]byte{data, tail[:]} {
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	if masked(data) != binary.LittleEndian.Uint32(tail[:]) {
		return nil, fmt.Errorf("%w: checksum of a record", ErrDamaged)
	}
	return data, nil
}
