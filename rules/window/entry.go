package window

import (
	"encoding/binary"
	"fmt"
)

// entry is an entry of a frame, read.
type entry struct {
	tag    byte
	key    int
	rec    []byte // of a record or grave, under the layout it was written in
	packed []byte // room for it under another
	slice  int64  // of a grave
	born   int64
	moment moment
	logged         // a take, or of a tomb its hash and stamp
	take   walking // what a log's entries go on from
}

// walking is where the reading of a frame's log stands.
type walking struct {
	types    []*replay
	sequence uint64
	at       int64
	slice    int64
}

// walk gives the entries of a frame under the layout they were written in. What it gives is good until the next.
func (m *Memory) walk(version byte, b []byte, each func(*entry)) error {
	e := entry{rec: m.replays.rec, packed: m.replays.packed}
	e.take.types = m.replays.types[:0]
	for len(b) > 0 {
		n := e.read(m, version, b)
		if n < 0 {
			return fmt.Errorf("%w: an entry is cut off, of no kind, or of another layout", ErrDamaged)
		}
		b = b[n:]
		if e.tag != tagType {
			each(&e)
		}
	}
	m.replays.rec, m.replays.packed, m.replays.types = e.rec, e.packed, e.take.types
	return nil
}

// read says how many bytes of b the entry took, -1: there is none.
func (e *entry) read(m *Memory, version byte, b []byte) int {
	e.tag = b[0]
	r := numbers{b: b, at: 1}
	switch e.tag {
	case tagRecord, tagTomb, tagGrave:
		if e.key = int(r.byte()); e.key >= len(Keys) {
			return -1
		}
		if e.tag == tagTomb {
			r.id(&e.ids[0])
			e.sequence = r.fixed64()
			return r.end()
		}
		stored := m.replays.stored
		if e.tag == tagGrave {
			e.slice, e.born = int64(r.fixed64()), 0
			if version != frameUnmarked {
				e.born = int64(r.uvarint())
			}
		}
		if r.end() < 0 {
			return -1
		}
		var n int
		if e.rec, n = readRecord(e.rec, b[r.at:], stored.sizes[e.key], version); n < 0 || !sound(e.rec, stored.byKey[e.key]) {
			return -1
		}
		return r.at + n
	}
	if version == frameUnmarked {
		return -1
	}
	switch e.tag {
	case tagMoment:
		e.moment = moment{r.time(), r.time(), r.time(), r.time()}
	case tagType:
		name := r.bytes(r.uvarint())
		if r.end() < 0 {
			return -1
		}
		e.take.types = append(e.take.types, m.replays.plan(m, string(name)))
	case tagMark:
		e.mark = r.byte()&1 + markOff
	case tagTake:
		if !e.readTake(m, &r) {
			return -1
		}
	default:
		return -1
	}
	return r.end()
}

func (e *entry) readTake(m *Memory, r *numbers) bool {
	w := &e.take
	flags, changed := r.byte(), r.byte()
	w.sequence += r.uvarint()
	named := r.uvarint()
	w.at += r.varint()
	w.slice += r.varint()
	const times = 1 << 48
	if r.end() < 0 || named >= uint64(len(w.types)) || changed>>keyCount != 0 || w.at < 0 || w.at >= times || w.slice < 0 || w.slice >= times {
		return false
	}
	l := &e.logged
	l.plan = w.types[named]
	l.sequence, l.at, l.slice, l.changed, l.mark = w.sequence, w.at, w.slice, changed, markNone
	l.flags = flags
	for k := range l.ids {
		if changed>>k&1 != 0 {
			r.id(&l.ids[k])
		}
	}
	l.readValues(r, len(m.layout.fields))
	l.amount = 0
	if flags&logAmount != 0 {
		l.amount = int64(r.uvarint() & (1<<63 - 1))
	}
	if flags&logPlace != 0 {
		l.lat, l.lon = r.fixed32(), r.fixed32()
	}
	return r.end() >= 0
}

// readValues reads the hashes of fields to where the layout that they are put into has them.
func (l *logged) readValues(r *numbers, fields int) {
	if cap(l.values) < fields {
		l.values = make([]uint32, fields)
	}
	l.values = l.values[:fields]
	clear(l.values)
	bits := r.bytes(uint64(len(l.plan.fields)+7) / 8)
	if bits == nil {
		return
	}
	for i, f := range l.plan.fields {
		v := uint32(0)
		switch {
		case bits[i/8]>>(i%8)&1 != 0:
			v = r.fixed32()
		case f.key >= 0 && l.changed>>f.key&1 != 0:
			v = l.ids[f.key].short()
		}
		if f.to >= 0 {
			l.values[f.to] = v
		}
	}
}

// numbers reads what an entry is made of; past the end everything is zero, and end says so.
type numbers struct {
	b  []byte
	at int
}

var zeros [16]byte

// bytes gives n bytes; nil: there are not so many.
func (r *numbers) bytes(n uint64) []byte {
	if r.at > len(r.b) || n > uint64(len(r.b)-r.at) {
		r.at = len(r.b) + 1
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

func (r *numbers) some(n uint64) []byte {
	if b := r.bytes(n); b != nil {
		return b
	}
	return zeros[:n]
}

func (r *numbers) byte() byte      { return r.some(1)[0] }
func (r *numbers) fixed32() uint32 { return binary.LittleEndian.Uint32(r.some(4)) }
func (r *numbers) fixed64() uint64 { return binary.LittleEndian.Uint64(r.some(8)) }
func (r *numbers) id(h *id)        { copy(h[:], r.some(16)) }

func (r *numbers) uvarint() uint64 {
	x, n := binary.Uvarint(r.b[min(r.at, len(r.b)):])
	if n <= 0 {
		r.at = len(r.b) + 1
		return 0
	}
	r.at += n
	return x
}

func (r *numbers) varint() int64 {
	x := r.uvarint()
	return int64(x>>1) ^ -int64(x&1)
}

// time is a number that a slice or a tick can be.
func (r *numbers) time() int64 { return int64(r.uvarint() & (1<<48 - 1)) }

// end is how many bytes were read, -1: more than there are.
func (r *numbers) end() int {
	if r.at > len(r.b) {
		return -1
	}
	return r.at
}
