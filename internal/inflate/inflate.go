// Package inflate decompresses gzip streams faster than byte-at-a-time readers, for files of voxels.
//
// The decoder is table-driven as in libdeflate (Biggers): a 64-bit bit buffer filled once per match, one table look-up for
// a literal and the match or literal behind it, matches copied in words. Formats: RFC 1951 (deflate), RFC 1952 (gzip).
package inflate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unsafe"
)

// ErrCorrupt marks data that no deflate or gzip encoder writes, or whose checksum does not match.
var ErrCorrupt = errors.New("corrupt gzip data")

const (
	window  = 1 << 15 // how far back a match may reach
	outSize = 1 << 16 // decompressed bytes produced at a time
	outRoom = 2 + 258 + 8
	inSize  = 1 << 16
	inPad   = 64 // zeros behind the last byte of input, so that eight bytes can always be loaded
)

// Reader decompresses the members of a gzip stream one after another. Every member's checksum and length is verified
// when its end is read. Memory is constant, about a quarter of a megabyte.
type Reader struct {
	src io.Reader

	in       []byte // buffered input
	pos, end int    // unread part of in
	eof      bool   // src is exhausted; behind end come zeros
	bits     uint64 // bits taken from in and not yet used, lowest first
	nbits    uint   // how many are valid

	out   []byte // a window of what was written, then what was not yet handed out
	from  int    // start of what was not yet handed out
	to    int    // end of what is decompressed
	valid int    // start of the bytes of this member; a match may not reach further back

	crc  uint32
	size uint32 // of this member, modulo 2^32
	crcd int    // out[:crcd] is in crc

	member bool // within a member
	last   bool // the current block is the last of the member
	block  kind
	stored int // bytes left of a stored block
	err    error

	lit  [litSize]uint32
	dist [distSize]uint32
}

type kind byte

const (
	blockNone kind = iota // a block header comes next
	blockStored
	blockCoded
)

// NewReader reads the header of the first member.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: src, in: make([]byte, inSize+inPad), out: make([]byte, window+outSize+outRoom)}
	if err := r.header(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return r, nil
}

// Read implements io.Reader. A stream that ends too early gives io.ErrUnexpectedEOF, a damaged one ErrCorrupt; the
// bytes just before such an error are not to be trusted.
func (r *Reader) Read(p []byte) (int, error) {
	for r.from == r.to {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.produce()
	}
	n := copy(p, r.out[r.from:r.to])
	r.from += n
	return n, nil
}

// produce decompresses until the output buffer is full or the stream ends.
func (r *Reader) produce() error {
	if keep := r.to - window; keep > 0 { // slide the window down
		copy(r.out, r.out[keep:r.to])
		r.to, r.from = window, window
		r.crcd = window
		r.valid = max(r.valid-keep, 0)
	}
	err := r.decompress()
	r.sum()
	return err
}

func (r *Reader) decompress() error {
	for r.to < window+outSize {
		if !r.member {
			if err := r.header(); err != nil {
				return err
			}
		}
		var err error
		switch r.block {
		case blockNone:
			if r.last {
				err = r.trailer()
			} else {
				err = r.blockHeader()
			}
		case blockStored:
			err = r.storedBlock()
		case blockCoded:
			err = r.codedBlock()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sum takes what was decompressed since the last call into the checksum.
func (r *Reader) sum() {
	r.crc = crc32.Update(r.crc, crc32.IEEETable, r.out[r.crcd:r.to])
	r.size += uint32(r.to - r.crcd)
	r.crcd = r.to
}

// more makes at least inPad bytes available, real ones or, behind the end of the stream, zeros.
func (r *Reader) more() error {
	if r.end-r.pos >= inPad || r.eof {
		if r.pos > r.end+8 { // more zeros used than the bit buffer can hold unused
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	keep := max(r.pos-8, 0) // align may give back up to seven bytes
	r.end = copy(r.in, r.in[keep:r.end])
	r.pos -= keep
	for r.end < inSize {
		n, err := r.src.Read(r.in[r.end:inSize])
		r.end += n
		if err == io.EOF {
			r.eof = true
			clear(r.in[r.end : r.end+inPad])
			return nil
		}
		if err != nil {
			return err
		}
		if r.end-r.pos >= inPad {
			break
		}
	}
	return nil
}

// need makes n <= 32 bits available.
func (r *Reader) need(n uint) error {
	if r.nbits >= n {
		return nil
	}
	if err := r.more(); err != nil {
		return err
	}
	for r.nbits < n {
		r.bits |= uint64(r.in[r.pos]) << r.nbits
		r.pos++
		r.nbits += 8
	}
	if r.spent() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// spent tells whether bits behind the end of the stream were used.
func (r *Reader) spent() bool { return r.eof && r.pos-int(r.nbits/8) > r.end }

// take returns n <= 32 bits.
func (r *Reader) take(n uint) (uint32, error) {
	if err := r.need(n); err != nil {
		return 0, err
	}
	v := uint32(r.bits & (1<<n - 1))
	r.bits >>= n
	r.nbits -= n
	if r.spent() {
		return 0, io.ErrUnexpectedEOF
	}
	return v, nil
}

// align drops bits up to the next byte and gives whole bytes back to the input.
func (r *Reader) align() {
	r.pos -= int(r.nbits / 8)
	r.bits, r.nbits = 0, 0
}

// header reads a member's header; io.EOF where the stream ends instead. Zeros behind the last member are padding.
func (r *Reader) header() error {
	r.align()
	if err := r.more(); err != nil {
		return err
	}
	padding := r.to > 0
	for padding && r.pos < r.end && r.in[r.pos] == 0 {
		r.pos++
		if err := r.more(); err != nil {
			return err
		}
	}
	if r.pos >= r.end {
		return io.EOF
	}
	var head [10]uint32
	for i := range head {
		b, err := r.take(8)
		if err != nil {
			return err
		}
		head[i] = b
	}
	if head[0] != 0x1f || head[1] != 0x8b || head[2] != 8 {
		return fmt.Errorf("%w: bad header", ErrCorrupt)
	}
	flags := head[3]
	if flags&4 != 0 { // extra field
		n, err := r.take(16)
		for ; err == nil && n > 0; n-- {
			_, err = r.take(8)
		}
		if err != nil {
			return err
		}
	}
	for _, flag := range []uint32{8, 16} { // name, comment
		for flags&flag != 0 {
			b, err := r.take(8)
			if err != nil {
				return err
			}
			if b == 0 {
				break
			}
		}
	}
	if flags&2 != 0 { // checksum of the header
		if _, err := r.take(16); err != nil {
			return err
		}
	}
	r.member, r.last, r.block = true, false, blockNone
	r.valid, r.crcd, r.crc, r.size = r.to, r.to, 0, 0
	return nil
}

// trailer verifies a member's checksum and length.
func (r *Reader) trailer() error {
	r.align()
	r.sum()
	crc, err := r.take(32)
	if err != nil {
		return err
	}
	size, err := r.take(32)
	if err != nil {
		return err
	}
	if crc != r.crc || size != r.size {
		return fmt.Errorf("%w: the checksum does not match", ErrCorrupt)
	}
	r.member = false
	return nil
}

// storedBlock copies bytes that were not compressed.
func (r *Reader) storedBlock() error {
	for r.stored > 0 && r.to < window+outSize {
		if err := r.more(); err != nil {
			return err
		}
		if r.pos >= r.end {
			return io.ErrUnexpectedEOF
		}
		n := min(r.stored, r.end-r.pos, window+outSize-r.to)
		copy(r.out[r.to:], r.in[r.pos:r.pos+n])
		r.pos += n
		r.to += n
		r.stored -= n
	}
	if r.stored == 0 {
		r.block = blockNone
	}
	return nil
}

// codedBlock decodes literals and matches until the block ends or the output buffer is full.
//
// One turn of the loop takes an entry of each table, at most 20 + 28 bits of the 56 or more that a refill gives, and
// writes at most one literal, a match, and what copying in words writes too much: less than outRoom. All addresses
// are below in[stop+8] and out[limit+outRoom].
func (r *Reader) codedBlock() error {
	const limit = window + outSize
	for r.to < limit {
		if err := r.more(); err != nil {
			return err
		}
		stop := r.end - 8
		if r.eof {
			stop = r.end + 8
		}
		in, out := unsafe.Pointer(unsafe.SliceData(r.in[:stop+8])), unsafe.Pointer(unsafe.SliceData(r.out[:limit+outRoom]))
		lit, dist := &r.lit, &r.dist
		pos, to, valid, bits, nbits := r.pos, r.to, r.valid, r.bits, r.nbits
		var err error
		done := false
		for to < limit && pos <= stop {
			bits |= load(in, pos) << (nbits & 63)
			pos += int((63 - nbits) >> 3 & 7)
			nbits |= 56
			e := lit[bits&(1<<litBits-1)]
			*(*byte)(unsafe.Add(out, to)) = byte(e >> literalShift)
			if e&flagAny != 0 {
				if e&flagLiteral != 0 {
					*(*byte)(unsafe.Add(out, to+1)) = byte(e >> secondShift)
					to += int(e >> countShift & 3)
					bits >>= e & 63
					nbits -= uint(e & 63)
					continue
				}
				if e&flagSub != 0 {
					e = lit[(uint64(e>>subShift&(1<<18-1))+bits>>litBits&(1<<(e>>codeShift&15)-1))%litSize]
					*(*byte)(unsafe.Add(out, to)) = byte(e >> literalShift)
				}
				if e&flagLiteral != 0 {
					to++
					bits >>= e & 63
					nbits -= uint(e & 63)
					continue
				}
				if e&flagAny != 0 {
					if e&flagBad != 0 {
						err = ErrCorrupt
					}
					bits >>= e & 63
					nbits -= uint(e & 63)
					done = true
					break
				}
			}
			to += int(e >> countShift & 1)
			length := int(e>>lengthShift&511) + int(bits&(1<<(e&63)-1)>>(e>>codeShift&15))
			bits >>= e & 63
			nbits -= uint(e & 63)

			d := dist[bits&(1<<distBits-1)]
			if d&flagSub != 0 {
				d = dist[(uint64(d>>subShift&(1<<18-1))+bits>>distBits&(1<<(d>>codeShift&15)-1))%distSize]
			}
			back := int(d>>baseShift&(1<<16-1)) + int(bits&(1<<(d&63)-1)>>(d>>codeShift&15))
			bits >>= d & 63
			nbits -= uint(d & 63)
			if d&flagBad != 0 || back > to-valid {
				err = ErrCorrupt
				done = true
				break
			}
			if back < 8 {
				matchNear(r.out, to, back, length)
			} else {
				store(out, to, load(out, to-back))
				for i := 8; i < length; i += 8 {
					store(out, to+i, load(out, to-back+i))
				}
			}
			to += length
		}
		r.pos, r.to, r.bits, r.nbits = pos, to, bits&(1<<(nbits&63)-1), nbits
		if r.spent() {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if done {
			r.block = blockNone
			return nil
		}
	}
	return nil
}

func load(p unsafe.Pointer, at int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, at))[:])
}

func store(p unsafe.Pointer, at int, v uint64) {
	binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(p, at))[:], v)
}

// matchNear copies length bytes from back < 8 bytes before to.
func matchNear(out []byte, to, back, length int) {
	if back == 1 {
		v := out[to-1]
		dst := out[to : to+length]
		for i := range dst {
			dst[i] = v
		}
		return
	}
	for i := to; i < to+length; i++ {
		out[i] = out[i-back]
	}
}
