package inflate

import (
	"fmt"
	"io"
	"math/bits"
)

// A table entry says what a code stands for:
//
//	bits 0-5   bits of the code
//	bits 8-11  extra bits of a length or distance, or the index bits of a secondary table
//	bits 12-15 flags
//	bits 16-31 the literal, the base length or distance, or where the secondary table starts
const (
	flagLiteral = 1 << 12
	flagSub     = 1 << 13 // a code longer than primary bits: look it up in the secondary table
	flagEnd     = 1 << 14 // end of block
	flagBad     = 1 << 15 // no code
)

const (
	primary    = 11
	maxCode    = 15
	tableSize  = 1<<primary + 288<<(maxCode-primary) // more than any secondary tables need
	maxLit     = 288
	maxDist    = 32
	maxCodeLen = 19
)

type table struct {
	entries [1 << 13]uint32 // a power of two above tableSize
}

var _ [1<<13 - tableSize]struct{} // tableSize fits

// lengthEntries and distEntries hold what each symbol stands for, without its code.
var lengthEntries, distEntries = symbols()

func symbols() (lit [maxLit]uint32, dist [maxDist]uint32) {
	for i := range 256 {
		lit[i] = uint32(i)<<16 | flagLiteral
	}
	lit[256] = flagEnd
	base := 3
	for i := range 28 {
		extra := 0
		if i >= 8 {
			extra = i/4 - 1
		}
		lit[257+i] = uint32(base)<<16 | uint32(extra)<<8
		base += 1 << extra
	}
	lit[285] = 258 << 16
	lit[286], lit[287] = flagBad, flagBad
	base = 1
	for i := range 30 {
		extra := 0
		if i >= 4 {
			extra = i/2 - 1
		}
		dist[i] = uint32(base)<<16 | uint32(extra)<<8
		base += 1 << extra
	}
	dist[30], dist[31] = flagBad, flagBad
	return lit, dist
}

// build fills the table from the code length of each symbol. Codes that claim more than there is are corrupt; codes
// that leave something unused are allowed as zlib allows them: none at all, or one code of one bit.
func (t *table) build(lengths []uint8, symbols []uint32) error {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	left, used := 1, 0
	for n := 1; n <= maxCode; n++ {
		left = left<<1 - count[n]
		used += count[n]
		if left < 0 {
			return fmt.Errorf("%w: too many codes", ErrCorrupt)
		}
	}
	if left > 0 && !(used == 0 || used == 1 && count[1] == 1) {
		return fmt.Errorf("%w: incomplete codes", ErrCorrupt)
	}
	var next [maxCode + 1]uint32
	code := uint32(0)
	for n := 1; n <= maxCode; n++ {
		code = (code + uint32(count[n-1])) << 1
		next[n] = code
	}
	if left > 0 {
		for i := range 1 << primary {
			t.entries[i] = flagBad
		}
	}
	free := uint32(1 << primary)
	if used > 0 {
		for i := range 1 << primary {
			if t.entries[i]&flagSub != 0 {
				t.entries[i] = 0
			}
		}
	}
	longest := maxCode
	for longest > primary && count[longest] == 0 {
		longest--
	}
	for s, n := range lengths {
		if n == 0 {
			continue
		}
		c := bits.Reverse32(next[n]) >> (32 - n)
		next[n]++
		if n <= primary {
			e := symbols[s] | uint32(n)
			for i := c; i < 1<<primary; i += 1 << n {
				t.entries[i] = e
			}
			continue
		}
		sub := uint32(longest - primary)
		head := &t.entries[c&(1<<primary-1)]
		if *head&flagSub == 0 {
			*head = free<<16 | flagSub | sub<<8
			free += 1 << sub
		}
		e := symbols[s] | uint32(n)
		start := *head >> 16
		for i := c >> primary; i < 1<<sub; i += 1 << (uint32(n) - primary) {
			t.entries[start+i] = e
		}
	}
	return nil
}

// order in which the lengths of the code length codes are stored (RFC 1951, 3.2.7).
var order = [maxCodeLen]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// blockHeader reads the header of the next block, and its codes.
func (r *Reader) blockHeader() error {
	h, err := r.take(3)
	if err != nil {
		return err
	}
	r.last = h&1 != 0
	switch h >> 1 {
	case 0:
		r.align()
		n, err := r.take(32)
		if err != nil {
			return err
		}
		if n>>16 != ^n&0xffff {
			return fmt.Errorf("%w: length of a stored block", ErrCorrupt)
		}
		r.align()
		r.stored = int(n & 0xffff)
		r.block = blockStored
		return nil
	case 1:
		var lengths [maxLit + maxDist]uint8
		for i := range lengths {
			switch {
			case i < 144:
				lengths[i] = 8
			case i < 256:
				lengths[i] = 9
			case i < 280:
				lengths[i] = 7
			case i < maxLit:
				lengths[i] = 8
			default:
				lengths[i] = 5
			}
		}
		return r.codes(lengths[:maxLit], lengths[maxLit:])
	case 2:
		return r.dynamic()
	}
	return fmt.Errorf("%w: unknown kind of block", ErrCorrupt)
}

func (r *Reader) codes(lit, dist []uint8) error {
	if err := r.lit.build(lit, lengthEntries[:]); err != nil {
		return err
	}
	if err := r.dist.build(dist, distEntries[:]); err != nil {
		return err
	}
	r.block = blockCoded
	return nil
}

// dynamic reads the code lengths of a block with codes of its own.
func (r *Reader) dynamic() error {
	h, err := r.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, n := int(h&31)+257, int(h>>5&31)+1, int(h>>10)+4
	if nlit > 286 || ndist > 30 {
		return fmt.Errorf("%w: number of codes", ErrCorrupt)
	}
	var lengths [maxLit + maxDist]uint8
	for i := range n {
		v, err := r.take(3)
		if err != nil {
			return err
		}
		lengths[order[i]] = uint8(v)
	}
	var plain [maxCodeLen]uint32
	for i := range plain {
		plain[i] = uint32(i) << 16
	}
	if err := r.lit.build(lengths[:maxCodeLen], plain[:]); err != nil {
		return err
	}
	clear(lengths[:])
	for i := 0; i < nlit+ndist; {
		// A code (at most 7 bits) and its extra bits: behind the end of the stream come zeros, found out below.
		if err := r.need(7); err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		e := r.lit.entries[r.bits&(1<<primary-1)]
		if e&flagBad != 0 || uint(e&63) > r.nbits || e&63 == 0 {
			return fmt.Errorf("%w: code lengths", ErrCorrupt)
		}
		if _, err := r.take(uint(e & 63)); err != nil {
			return err
		}
		symbol := e >> 16
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			i++
			continue
		}
		var value uint8
		extra, base := uint(2), 3
		switch symbol {
		case 16:
			if i == 0 {
				return fmt.Errorf("%w: code lengths", ErrCorrupt)
			}
			value = lengths[i-1]
		case 17:
			extra = 3
		case 18:
			extra, base = 7, 11
		}
		more, err := r.take(extra)
		if err != nil {
			return err
		}
		for range base + int(more) {
			if i >= nlit+ndist {
				return fmt.Errorf("%w: code lengths", ErrCorrupt)
			}
			lengths[i] = value
			i++
		}
	}
	if lengths[256] == 0 {
		return fmt.Errorf("%w: a block without end", ErrCorrupt)
	}
	return r.codes(lengths[:nlit], lengths[nlit:nlit+ndist])
}
