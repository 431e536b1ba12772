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
// matched by their canonical text, an Again by its rule's earlier ids too; new ones start empty, and stay so through the events that a
// frame tells of: those came under the stored layout. Nothing is evicted before the next Take. On ErrDamaged nothing of the damaged frame was
// put in.
func (m *Memory) Restore(b []byte, stored *Layout) error {
	if stored == nil {
		stored = m.layout
	}
	m.replays.of(m, stored)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loose = true
	for len(b) > 0 {
		version, entries, rest, err := openFrame(b)
		if err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		if err := m.walk(version, entries, func(*entry) {}); err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		if err := m.walk(version, entries, m.put); err != nil {
			return fmt.Errorf("restore windows: %w", err)
		}
		m.replays.flush(m)
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

// moves says which cells of a record of another layout continue in one of this, in their order. nil: they are the same.
type moves []move

type move struct {
	to, from *cell
	rules    [][]int // again: by the number of a stored rule, those that continue it
	each     []*cell // again, of version 2: by the number of a rule, what it continues
}

// bytes is what of a stored record continues.
func (v *move) bytes(from []byte) []byte {
	if v.each != nil {
		return listed(from, v.each)
	}
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
		case c == l.again && stored.each:
			all[c.key] = append(all[c.key], move{to: c, each: l.eachOf(stored)})
		case c == l.again:
			all[c.key] = append(all[c.key], move{to: c, from: f, rules: l.renumbered(stored)})
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

// put puts an entry in.
func (m *Memory) put(e *entry) {
	switch e.tag {
	case tagMoment:
		m.now = e.moment
	case tagTomb, tagTake, tagMark:
		m.replays.put(m, e)
	default:
		m.replays.flush(m)
		m.table(e.key).put(e, m.replays.moves[e.key])
	}
}

func (t *table) put(e *entry, m moves) {
	t.graves.loose = true
	t.oldest.forget()
	h := id(e.rec[:16])
	if e.tag == tagGrave {
		t.presence.note(&h)
		t.graves.bury(&grave{id: h, at: e.slice, born: e.born, rec: m.pack(nil, e.rec), written: true})
		return
	}
	ref, ok := t.find(&h)
	if ok && stamp(t.rec(ref)) > stamp(e.rec) {
		return
	}
	e.packed = m.pack(e.packed[:0], e.rec)
	if !ok {
		ref = t.add(&h, len(e.packed))
	}
	w := t.open(ref)
	if len(e.packed) > len(w.rec) {
		w.move(len(e.packed))
	}
	flags := w.rec[47]&^isPlain | e.packed[47]&isPlain
	copy(w.rec, e.packed)
	w.rec[47] = flags
	w.shrink()
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
