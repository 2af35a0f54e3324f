package torture

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync/atomic"

	"github.com/universal-classifier/uc/internal/weights"
)

// counter numbers operations from 0.
type counter struct{ n atomic.Int64 }

func newCounter() *counter { return new(counter) }

func (c *counter) next() int  { return int(c.n.Add(1) - 1) }
func (c *counter) total() int { return int(c.n.Load()) }

// hash is a digest of a tensor's values.
func hash(t *weights.Tensor) [32]byte {
	var b []byte
	for _, v := range t.F32 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	for _, v := range t.I64 {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return sha256.Sum256(b)
}
