package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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
	var scratch []byte
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loose = true
	for len(b) > 0 {
		version, entries, rest, err := openFrame(b)
		if err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		if err := walk(version, entries, stored, func(byte, int, int64, []byte) {}); err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		err = walk(version, entries, stored, func(tag byte, k int, slice int64, body []byte) {
			scratch = m.table(k).restore(tag, slice, body, moves[k], scratch)
		})
		if err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		b = rest
	}
	return nil
}

func openFrame(b []byte) (version byte, entries, rest []byte, err error) {
	if len(b) < frameHead+frameTail || b[0] != frameVersion && b[0] != frameUnmarked {
		return 0, nil, nil, fmt.Errorf("%w: no frame of version %d", ErrDamaged, frameVersion)
	}
	n := int64(binary.LittleEndian.Uint32(b[1:]))
	if int64(len(b)) < frameHead+n+frameTail {
		return 0, nil, nil, fmt.Errorf("%w: a frame of %d bytes is cut off", ErrDamaged, n)
	}
	end := frameHead + int(n)
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return 0, nil, nil, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	return b[0], b[frameHead:end], b[end+frameTail:], nil
}

// walk gives the entries of a frame under the layout they were written in: of a record its bytes, of a grave its slice too. What it gives
// is good until the next.
func walk(version byte, b []byte, stored *Layout, each func(tag byte, key int, slice int64, body []byte)) error {
	var rec []byte
	for len(b) > 0 {
		if len(b) < 2 || int(b[1]) >= len(Keys) {
			return fmt.Errorf("%w: an entry of no key", ErrDamaged)
		}
		tag, key, slice := b[0], int(b[1]), int64(0)
		b = b[2:]
		body := b
		switch {
		case tag == tagTomb && len(b) >= 24:
			body, b = b[:24], b[24:]
		case tag == tagRecord || tag == tagGrave && len(b) >= 8:
			if tag == tagGrave {
				slice, b = int64(binary.LittleEndian.Uint64(b)), b[8:]
			}
			var read int
			if rec, read = readRecord(rec, b, stored.sizes[key], version); read < 0 || !sound(rec, stored.byKey[key]) {
				return fmt.Errorf("%w: a record is cut off, or of another layout", ErrDamaged)
			}
			body, b = rec, b[read:]
		default:
			return fmt.Errorf("%w: an entry of no kind", ErrDamaged)
		}
		each(tag, key, slice, body)
	}
	return nil
}

// moves says which cells of a record of another layout continue in one of this, in their order. nil: they are the same.
type moves []move

type move struct {
	to, from *cell
	rules    [][]int // again: by the number of a stored rule, those that continue it
}

// bytes is what of a stored record continues.
func (v *move) bytes(from []byte) []byte {
	b := v.from.bytes(from)
	if v.to.kind == &againKind {
		return renumber(b, v.rules)
	}
	return b
}

func (l *Layout) movesFrom(stored *Layout) []moves {
	all := make([]moves, len(Keys))
	if l.Equal(stored) {
		return all
	}
	for k := range all {
		all[k] = moves{}
	}
	for _, c := range l.cells {
		switch f := stored.states[c.text]; {
		case f == nil:
		case c == l.again:
			all[c.key] = append(all[c.key], move{c, f, l.renumbered(stored)})
		case f.most == c.most:
			all[c.key] = append(all[c.key], move{to: c, from: f})
		}
	}
	return all
}

// pack appends to dst what of a stored record continues.
func (m moves) pack(dst, from []byte) []byte {
	if m == nil {
		return append(dst, from...)
	}
	at, end, cells := len(dst), 0, 0
	dst = append(dst, from[:headerSize]...)
	for i := range m {
		if m[i].bytes(from) != nil {
			cells++
		}
	}
	dst = append(dst, make([]byte, cells*entrySize)...)
	setCellsIn(dst[at:], cells)
	cells = 0
	for i := range m {
		v := &m[i]
		if b := v.bytes(from); b != nil {
			dst = append(dst, b...)
			end += len(b)
			putEntryOf(dst[at:], cells, v.to.number, end)
			cells++
		}
	}
	setSize(dst[at:], len(dst)-at)
	return dst
}

func (t *table) restore(tag byte, slice int64, body []byte, m moves, scratch []byte) []byte {
	t.graves.loose = true
	t.oldest.forget()
	h := id(body[:16])
	switch tag {
	case tagTomb:
		if ref, ok := t.find(&h); ok && stamp(t.rec(ref)) <= binary.LittleEndian.Uint64(body[16:]) {
			t.remove(ref)
		}
	case tagGrave:
		t.presence.note(&h)
		t.graves.bury(&grave{id: h, at: slice, rec: m.pack(nil, body), written: true})
	case tagRecord:
		ref, ok := t.find(&h)
		if ok && stamp(t.rec(ref)) > stamp(body) {
			return scratch
		}
		scratch = m.pack(scratch[:0], body)
		if !ok {
			ref = t.add(&h, len(scratch))
		}
		w := t.open(ref)
		if len(scratch) > len(w.rec) {
			w.move(len(scratch))
		}
		flags := w.rec[47]&^isPlain | scratch[47]&isPlain
		copy(w.rec, scratch)
		w.rec[47] = flags
		w.shrink()
	}
	return scratch
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
