package cuda

// Scratch is memory on the card that lives for one operation. It grows to what operations need and is reused, since all of them run in
// order.
type Scratch struct {
	card   Card
	chunks []chunk
	at     int // in chunks
	used   int64
}

type chunk struct {
	p     uint64
	bytes int64
}

// scratchAlign is the alignment of everything taken, in bytes.
const scratchAlign = 256

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
}
