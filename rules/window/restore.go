package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// ErrDamaged says that a page or delta is not as it was written.
var ErrDamaged = errors.New("damaged")

// Restore puts in what Dirty or Page wrote under the stored layout (nil: m's own); several frames may follow one another. Windows are
// matched by their canonical text, an Again by its rule's earlier ids too; new ones start empty. Nothing is evicted before the next Take.
// On ErrDamaged nothing of the damaged frame was put in.
func (m *Memory) Restore(b []byte, stored *Layout) error {
	if stored == nil {
		stored = m.layout
	}
	moves := m.layout.movesFrom(stored)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loose = true
	for len(b) > 0 {
		entries, rest, err := openFrame(b)
		if err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		if err := walk(entries, stored, func(byte, int, int64, []byte) {}); err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		err = walk(entries, stored, func(tag byte, k int, slice int64, body []byte) { m.table(k).restore(tag, slice, body, moves[k]) })
		if err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		b = rest
	}
	return nil
}

func openFrame(b []byte) (entries, rest []byte, err error) {
	if len(b) < frameHead+frameTail || b[0] != frameVersion {
		return nil, nil, fmt.Errorf("%w: no frame of version %d", ErrDamaged, frameVersion)
	}
	n := int64(binary.LittleEndian.Uint32(b[1:]))
	if int64(len(b)) < frameHead+n+frameTail {
		return nil, nil, fmt.Errorf("%w: a frame of %d bytes is cut off", ErrDamaged, n)
	}
	end := frameHead + int(n)
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, nil, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	return b[frameHead:end], b[end+frameTail:], nil
}

// walk gives the entries of a frame under the layout they were written in: of a record its bytes, of a grave its slice too. What it gives
// is good until the next.
func walk(b []byte, stored *Layout, each func(tag byte, key int, slice int64, body []byte)) error {
	rec := make([]byte, slices.Max(stored.sizes))
	for len(b) > 0 {
		if len(b) < 2+8 || int(b[1]) >= len(Keys) {
			return fmt.Errorf("%w: an entry of no key", ErrDamaged)
		}
		tag, key, slice := b[0], int(b[1]), int64(0)
		body := rec[:stored.sizes[key]]
		b = b[2:]
		switch {
		case tag == tagTomb && len(b) >= 24:
			body, b = b[:24], b[24:]
		case tag == tagRecord || tag == tagGrave:
			if tag == tagGrave {
				slice, b = int64(binary.LittleEndian.Uint64(b)), b[8:]
			}
			n := readSparse(body, b)
			if n < 0 {
				return fmt.Errorf("%w: a record is cut off, or of another layout", ErrDamaged)
			}
			b = b[n:]
		default:
			return fmt.Errorf("%w: an entry of no kind", ErrDamaged)
		}
		each(tag, key, slice, body)
	}
	return nil
}

// move copies one window from a record of another layout.
type move struct{ to, from, size int }

// movesFrom says by key which bytes of a record of stored go where.
func (l *Layout) movesFrom(stored *Layout) [][]move {
	moves := make([][]move, len(Keys))
	for k := range moves {
		moves[k] = []move{{0, 0, headerSize}}
	}
	for _, c := range l.cells {
		if f := stored.cellFor(c); f != nil && f.size == c.size {
			moves[c.key] = append(moves[c.key], move{c.at, f.at, c.size})
		}
	}
	return moves
}

// cellFor finds the window that c continues.
func (l *Layout) cellFor(c *cell) *cell {
	if f := l.states[c.text]; f != nil {
		return f
	}
	for _, was := range c.spec.Was {
		s := c.spec
		s.Field = was
		if f := l.states[s.Text()]; f != nil {
			return f
		}
	}
	return nil
}

func (t *table) restore(tag byte, slice int64, body []byte, moves []move) {
	t.loose, t.graves.loose = true, true
	switch tag {
	case tagTomb:
		if slot, ok := t.find(id(body[:16])); ok && stamp(t.rec(slot)) <= binary.LittleEndian.Uint64(body[16:]) {
			t.remove(slot)
		}
	case tagGrave:
		d := &grave{id: id(body[:16]), at: slice, rec: make([]byte, t.size), written: true}
		copyMoves(d.rec, body, moves)
		t.graves.bury(d)
	case tagRecord:
		h := id(body[:16])
		slot, ok := t.find(h)
		if ok && stamp(t.rec(slot)) > stamp(body) {
			return
		}
		if !ok {
			slot = t.add(h)
		}
		clear(t.rec(slot))
		copyMoves(t.rec(slot), body, moves)
	}
}

func copyMoves(to, from []byte, moves []move) {
	for _, v := range moves {
		copy(to[v.to:v.to+v.size], from[v.from:v.from+v.size])
	}
}

// Relaid is m's records under another layout, for a changed rule set; m must not be used after it. The slots it adds start empty; say
// from when they are known with KnownFrom. The order of evictions, the clock and what is read of other shards stay.
func (m *Memory) Relaid(l *Layout) (*Memory, error) {
	r := NewMemory(l, m.key, m.shard, m.budget, m.board)
	for n, more := 0, true; more; n++ {
		var page []byte
		page, more = m.Page(n)
		if err := r.Restore(page, m.layout); err != nil {
			return nil, fmt.Errorf("lay out windows anew: %w", err)
		}
	}
	for i, reading := range l.readings {
		if was := m.layout.Slot(reading.spec); was >= 0 {
			r.knownFrom[i] = m.knownFrom[was]
		}
	}
	r.Read(m.asOf)
	r.SetClock(m.Clock())
	return r, nil
}
