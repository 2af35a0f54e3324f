package inflate

import (
	"encoding/binary"
	"unsafe"
)

// stretch is what the innermost loop works on. Machine code knows where its fields lie.
type stretch struct {
	in, out   *byte // buffers
	lit       *[litSize]uint32
	dist      *[distSize]uint32
	pos, stop int // the next byte of in to load, and the last from which eight may be loaded
	to, limit int // the next byte of out to write, and where no literal or match begins any more
	valid     int // start of the bytes of this member; a match must not reach further back
	bits      uint64
	nbits     uint
}

// outcome says why the innermost loop came back.
type outcome int

const (
	paused outcome = iota // at stop or limit
	ended                 // the block is over
	corrupt
)

// decodePortable decodes literals and matches.
//
// One turn of the loop takes an entry of each table, at most 20 + 28 bits of the 56 or more that a refill gives, and
// writes at most one literal, a match, and what copying in words writes too much: less than outRoom. All addresses
// are below in[stop+8] and out[limit+outRoom].
func decodePortable(s *stretch) (result outcome) {
	in, out := unsafe.Pointer(s.in), unsafe.Pointer(s.out)
	lit, dist := s.lit, s.dist
	pos, stop, to, limit, valid, bits, nbits := s.pos, s.stop, s.to, s.limit, s.valid, s.bits, s.nbits
	for to < limit && pos <= stop {
		bits |= load(in, pos) << (nbits & 63)
		pos += int((63 - nbits) >> 3 & 7)
		nbits |= 56
		e := lit[bits&(1<<litBits-1)]
		binary.LittleEndian.PutUint16((*[2]byte)(unsafe.Add(out, to))[:], uint16(e>>literalShift))
		if e&flagAny != 0 {
			if e&flagLiteral != 0 {
				to += 1 + int(e>>countShift&1)
				bits >>= e & 63
				nbits -= uint(e & 63)
				continue
			}
			if e&flagSub != 0 {
				e = lit[(uint64(e>>subShift)+bits>>litBits&(1<<(e>>codeShift&codeMask)-1))%litSize]
				*(*byte)(unsafe.Add(out, to)) = byte(e >> literalShift)
			}
			if e&flagLiteral != 0 {
				to++
				bits >>= e & 63
				nbits -= uint(e & 63)
				continue
			}
			if e&flagStop != 0 {
				result = ended + outcome(e>>literalShift&1)
				bits >>= e & 63
				nbits -= uint(e & 63)
				break
			}
		}
		to += int(e >> countShift & 1)
		length := minLength + int(e>>secondShift&255) + int(bits&(1<<(e&63)-1)>>(e>>codeShift&codeMask))
		bits >>= e & 63
		nbits -= uint(e & 63)

		f := dist[bits&(1<<distBits-1)]
		if f&flagSub != 0 {
			f = dist[(uint64(f>>subShift)+bits>>distBits&(1<<(f>>codeShift&codeMask)-1))%distSize]
		}
		back := int(f>>baseShift&(1<<16-1)) + int(bits&(1<<(f&63)-1)>>(f>>codeShift&codeMask))
		bits >>= f & 63
		nbits -= uint(f & 63)
		if f&flagStop != 0 || back > to-valid {
			result = corrupt
			break
		}
		if back < 8 {
			matchNear(unsafe.Slice(s.out, limit+outRoom), to, back, length)
		} else {
			store(out, to, load(out, to-back))
			for i := 8; i < length; i += 8 {
				store(out, to+i, load(out, to-back+i))
			}
		}
		to += length
	}
	s.pos, s.to, s.bits, s.nbits = pos, to, bits, nbits
	return result
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
