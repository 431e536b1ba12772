package detect

import (
	"context"

	"doorward/rules/window"
)

// Sizes is what a shard's memory takes.
type Sizes struct {
	Keys    []KeySize
	Repeats int // identities remembered
}

// KeySize is what the records of one key of windows take.
type KeySize struct {
	Key     window.Key
	Records int
	Bytes   int // with their room to grow and their index
}

// Sizes asks Run; false when ctx ended first, as it does while the memory is being loaded.
func (s *Shard) Sizes(ctx context.Context) (Sizes, bool) {
	to := make(chan Sizes, 1)
	select {
	case <-ctx.Done():
		return Sizes{}, false
	case s.sizes <- to:
		return <-to, true
	}
}

// measure is Sizes, in Run's goroutine.
func (s *Shard) measure() Sizes {
	m := s.evaluator.memory
	size := Sizes{Repeats: len(s.evaluator.seen.ring)}
	for _, k := range window.Keys {
		if n := m.Len(k); n > 0 {
			size.Keys = append(size.Keys, KeySize{k, n, m.Bytes(k)})
		}
	}
	return size
}
