package inflate

import (
	"fmt"
	"io"
	"math/bits"
)

// A table entry says what the next bits of a block stand for. Every entry has
//
//	bits 0-5   how many bits it takes in all
//	bits 8-11  how many of them come before the extra bits of a length or distance
//	bits 29-31 flags
//
// and in the table of literals and lengths, which also holds pairs that fit in litBits (a literal and a length, or two
// literals),
//
//	bits 12-19 the first literal; with flagStop, 1 where there is no code and 0 where the block ends
//	bits 20-27 the second literal or, of entries without flags (one literal or none), the base length less minLength
//	bit 28     whether there is a second literal or, of entries without flags, a first one
//
// in the table of distances
//
//	bits 12-27 the base distance
//
// and with flagSub bits 8-11 are the index bits of a secondary table and bits 12-24 say where it starts.
const (
	flagLiteral = 1 << 29 // one or two literals, nothing else
	flagSub     = 1 << 30 // a code longer than the table's bits: look it up in the secondary table
	flagStop    = 1 << 31 // end of block, or no code
	flagAny     = 7 << 29

	codeShift    = 8
	codeMask     = 15
	literalShift = 12
	secondShift  = 20
	countShift   = 28
	baseShift    = 12
	subShift     = 12

	flagBad   = flagStop | 1<<literalShift
	minLength = 3
)

const (
	litBits    = 12
	distBits   = 9
	lengthBits = 7 // of the code that code lengths are written in
	maxCode    = 15
	maxLit     = 288
	maxDist    = 32
	maxCodeLen = 19
)

// Secondary tables exist only in complete codes, where every one of them holds two codes at least; so these powers of
// two are enough.
const (
	litSize  = 1 << 13
	distSize = 1 << 11
)

var (
	_ [litSize - (1<<litBits + maxLit/2<<(maxCode-litBits))]struct{}
	_ [distSize - (1<<distBits + maxDist/2<<(maxCode-distBits))]struct{}
)

// lengthEntries and distEntries hold what each symbol stands for, without its code: bits 0-5 hold the extra bits alone.
var lengthEntries, distEntries = symbols()

func symbols() (lit [maxLit]uint32, dist [maxDist]uint32) {
	for i := range 256 {
		lit[i] = uint32(i)<<literalShift | flagLiteral
	}
	lit[256] = flagStop
	base := 0
	for i := range 28 {
		extra := 0
		if i >= 8 {
			extra = i/4 - 1
		}
		lit[257+i] = uint32(base)<<secondShift | uint32(extra)
		base += 1 << extra
	}
	lit[285] = (258 - minLength) << secondShift
	lit[286], lit[287] = flagBad, flagBad
	base = 1
	for i := range 30 {
		extra := 0
		if i >= 4 {
			extra = i/2 - 1
		}
		dist[i] = uint32(base)<<baseShift | uint32(extra)
		base += 1 << extra
	}
	dist[30], dist[31] = flagBad, flagBad
	return lit, dist
}

// build fills a table, whose first 1 << primary entries are indexed by the next bits, from the code length of each
// symbol. Codes that claim more than there is are corrupt; codes that leave something unused are allowed as zlib allows
// them: none at all, or one code of one bit.
func build(entries []uint32, primary int, lengths []uint8, symbols []uint32) error {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n&maxCode]++
	}
	count[0] = 0
	left, used := 1, 0
	var first [maxCode + 2]int // where the symbols of each code length start in sorted
	for n := 1; n <= maxCode; n++ {
		first[n] = used
		left = left<<1 - count[n]
		used += count[n]
		if left < 0 {
			return fmt.Errorf("%w: too many codes", ErrCorrupt)
		}
	}
	if left > 0 && !(used == 0 || used == 1 && count[1] == 1) {
		return fmt.Errorf("%w: incomplete codes", ErrCorrupt)
	}
	var sorted [maxLit]uint16
	next := first
	for s, n := range lengths {
		if n != 0 {
			sorted[next[n&maxCode]] = uint16(s)
			next[n&maxCode]++
		}
	}

	// A table of n bits is that of n-1 bits twice, but for the codes of n bits.
	entries[0] = flagBad
	code := uint16(0)
	for n := 1; n <= primary; n++ {
		copy(entries[1<<(n-1):1<<n], entries[:1<<(n-1)])
		code <<= 1
		for _, s := range sorted[first[n] : first[n]+count[n]] {
			entries[bits.Reverse16(code)>>(16-n)] = symbols[s] + uint32(n)*(1<<codeShift|1)
			code++
		}
	}
	longest := maxCode
	for longest > primary && count[longest] == 0 {
		longest--
	}
	sub := longest - primary
	start, head := 1<<primary-1<<sub, -1
	for n := primary + 1; n <= longest; n++ {
		code <<= 1
		for _, s := range sorted[first[n] : first[n]+count[n]] {
			c := int(bits.Reverse16(code) >> (16 - n))
			code++
			if h := c & (1<<primary - 1); h != head {
				head = h
				start += 1 << sub
				entries[h] = flagSub | uint32(start)<<subShift | uint32(sub)<<codeShift
			}
			e := symbols[s] + uint32(n)*(1<<codeShift|1)
			for i := c >> primary; i < 1<<sub; i += 1 << (n - primary) {
				entries[start+i] = e
			}
		}
	}
	return nil
}

// buildPairs fills the table of literals and lengths; a literal and what follows it become one entry where both codes
// fit.
func buildPairs(entries *[litSize]uint32, lengths []uint8) error {
	if err := build(entries[:], litBits, lengths, lengthEntries[:]); err != nil {
		return err
	}
	// second holds the entries of codes as they look behind a literal; those that cannot be there get a code too long.
	var second [1 << (litBits - 1)]uint32
	for i, e := range entries[:len(second)] {
		if e&(flagSub|flagStop) != 0 {
			second[i] = maxCode << codeShift
			continue
		}
		if e&flagLiteral != 0 {
			e = e&^(0xff<<literalShift) | e<<(secondShift-literalShift)&(0xff<<secondShift)
		}
		second[i] = e | 1<<countShift
	}
	// The literals' codes come in the order of their lengths and values (RFC 1951, 3.2.2).
	var count, next [maxCode + 1]uint16
	for _, n := range lengths {
		count[n&maxCode]++
	}
	count[0] = 0
	for n := 1; n <= maxCode; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	for _, n := range lengths[:256] {
		code := next[n&maxCode]
		next[n&maxCode]++
		if n == 0 || n >= litBits {
			continue
		}
		first := bits.Reverse16(code) >> (16 - n)
		room := litBits - uint32(n)
		e := entries[first%litSize]
		add := e&(0xff<<literalShift) + uint32(n)*(1<<codeShift|1)
		at := uint32(first)
		for _, s := range second[:1<<room] {
			pair := e
			if s>>codeShift&maxCode <= room {
				pair = s + add
			}
			entries[at%litSize] = pair
			at += 1 << n
		}
	}
	return nil
}

// order in which the lengths of the code length codes are stored (RFC 1951, 3.2.7).
var order = [maxCodeLen]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// plain are the symbols of the code that code lengths are written in.
var plain = func() (p [maxCodeLen]uint32) {
	for i := range p {
		p[i] = uint32(i) << baseShift
	}
	return p
}()

var fixedLengths = func() (lengths [maxLit + maxDist]uint8) {
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
	return lengths
}()

// blockHeader reads the header of the next block, and its codes.
func (d *decoder) blockHeader() error {
	h, err := d.take(3)
	if err != nil {
		return err
	}
	d.last = h&1 != 0
	switch h >> 1 {
	case 0:
		d.align()
		n, err := d.take(32)
		if err != nil {
			return err
		}
		if n>>16 != ^n&0xffff {
			return fmt.Errorf("%w: length of a stored block", ErrCorrupt)
		}
		d.align()
		d.stored = int(n & 0xffff)
		d.block = blockStored
		return nil
	case 1:
		return d.codes(fixedLengths[:maxLit], fixedLengths[maxLit:])
	case 2:
		return d.dynamic()
	}
	return fmt.Errorf("%w: unknown kind of block", ErrCorrupt)
}

func (d *decoder) codes(lit, dist []uint8) error {
	if err := buildPairs(&d.lit, lit); err != nil {
		return err
	}
	if err := build(d.dist[:], distBits, dist, distEntries[:]); err != nil {
		return err
	}
	d.block = blockCoded
	return nil
}

// dynamic reads the code lengths of a block with codes of its own.
func (d *decoder) dynamic() error {
	h, err := d.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, n := int(h&31)+257, int(h>>5&31)+1, int(h>>10)+4
	if nlit > 286 || ndist > 30 {
		return fmt.Errorf("%w: number of codes", ErrCorrupt)
	}
	var lengths [maxLit + maxDist]uint8
	for i := range n {
		v, err := d.take(3)
		if err != nil {
			return err
		}
		lengths[order[i]] = uint8(v)
	}
	var code [1 << lengthBits]uint32
	if err := build(code[:], lengthBits, lengths[:maxCodeLen], plain[:]); err != nil {
		return err
	}
	clear(lengths[:maxCodeLen])
	for i := 0; i < nlit+ndist; {
		// A code (at most 7 bits) and its extra bits: behind the end of the stream come zeros, found out below.
		if err := d.need(lengthBits); err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		e := code[d.bits&(1<<lengthBits-1)]
		if e&flagStop != 0 || uint(e&63) > d.nbits {
			return fmt.Errorf("%w: code lengths", ErrCorrupt)
		}
		if _, err := d.take(uint(e & 63)); err != nil {
			return err
		}
		symbol := e >> baseShift
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
		more, err := d.take(extra)
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
	return d.codes(lengths[:nlit], lengths[nlit:nlit+ndist])
}
