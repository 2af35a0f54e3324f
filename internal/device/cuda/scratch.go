package cuda

import "errors"

// Scratch is memory on the card that lives for one operation. It grows to what operations need and is reused, since all
// of them run in order.
type Scratch struct {
	card       Card
	chunks     []chunk
	at         int // in chunks
	used       int64
	generation int
	frozen     bool
}

type chunk struct {
	p     uint64
	bytes int64
}

// scratchAlign is the alignment of everything taken, in bytes.
const scratchAlign = 256

// ErrFrozen is returned by what cannot be done while launches are captured.
var ErrFrozen = errors.New("not possible while launches are recorded")

// NewScratch returns scratch memory of a card.
func NewScratch(c Card) *Scratch { return &Scratch{card: c} }

// Begin makes all of it free for the next operation, in one piece.
func (s *Scratch) Begin() error {
	s.at, s.used = 0, 0
	if len(s.chunks) < 2 {
		return nil
	}
	total := s.Bytes()
	s.Close()
	p, err := s.card.Alloc(total)
	if err == nil {
		s.chunks = []chunk{{p, total}}
	}
	return err
}

// Take returns memory that is not initialised.
func (s *Scratch) Take(bytes int64) (uint64, error) {
	bytes = (max(bytes, 1) + scratchAlign - 1) / scratchAlign * scratchAlign
	for ; s.at < len(s.chunks); s.at, s.used = s.at+1, 0 {
		if c := s.chunks[s.at]; s.used+bytes <= c.bytes {
			s.used += bytes
			return c.p + uint64(s.used-bytes), nil
		}
	}
	if s.frozen {
		return 0, ErrFrozen
	}
	p, err := s.card.Alloc(bytes)
	if err != nil {
		return 0, err
	}
	s.chunks = append(s.chunks, chunk{p, bytes})
	s.at, s.used = len(s.chunks)-1, bytes
	return p, nil
}

// Mark remembers what has been taken so far; Release frees what was taken since.
func (s *Scratch) Mark() (release func()) {
	at, used := s.at, s.used
	return func() { s.at, s.used = at, used }
}

// Freeze keeps the memory where and as large as it is, or ends that. While it is frozen, a Tuner has no choices to make
// either.
func (s *Scratch) Freeze(frozen bool) { s.frozen = frozen }

// Generation changes whenever memory that was handed out earlier has been released.
func (s *Scratch) Generation() int { return s.generation }

// Bytes is all of it.
func (s *Scratch) Bytes() (n int64) {
	for _, c := range s.chunks {
		n += c.bytes
	}
	return n
}

// Close gives the memory back.
func (s *Scratch) Close() {
	for _, c := range s.chunks {
		s.card.Free(c.p)
	}
	s.chunks = nil
	s.generation++
}
