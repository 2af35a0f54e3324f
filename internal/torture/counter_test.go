package torture

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/weights"
)

// counter numbers operations from 0, and keeps their kinds.
type counter struct {
	mu   sync.Mutex
	seen []string
}

func (c *counter) next(op fault.Op) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, string(op))
	return len(c.seen) - 1
}

// write keeps the kinds of all operations in a file, a line each.
func (c *counter) write(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return os.WriteFile(path, []byte(strings.Join(c.seen, "\n")), 0o600)
}

// takesSpace reports whether a full disk may fail the operation.
func takesSpace(op fault.Op) bool {
	return slices.Contains([]fault.Op{fault.Create, fault.Write, fault.Sync, fault.Mkdir}, op)
}

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
