package window

import "encoding/binary"

// A log is what a shard has taken in since its last Dirty, in order, as Restore needs it to take the same in again: a few dozen bytes an
// event, where the records it changed have hundreds. Ids and values are in it as hashes only, and of the event only what the layout's windows
// look at. Entries, with times and numbers as differences from the take before (the first of a frame: from 0):
//
//	take: flags 1, records changed 1 (a bit for each position in Keys); sequence, type, time (signed), slice (signed; varints); the hash of
//	      each changed record's key 16; a bit for each field that the type's windows look at, in whole bytes; the hashes of those fields 4 each;
//	      amount (varint), latitude 4, longitude 4 where the flags say so
//	type: length (varint), text: from here on the frame's next number of a type, counted from 0
//	mark: 0 or 1, the plain mark that the last take left
//
// and tombs, as in a frame. A field whose value is the key of a record that changed has the hash of that key.
type log struct {
	b        []byte
	frame    uint64
	types    uint64 // named in this frame
	sequence uint64
	at       int64
	slice    int64
}

const (
	logLate = 1 << iota // flags of a take
	logIn
	logOut
	logHasAmount
	logAmount
	logPlace
)

// begin starts a frame.
func (g *log) begin() { *g = log{b: g.b[:0], frame: g.frame + 1} }

func (g *log) take(v *View, p *plan, changed byte) {
	if p.frame != g.frame {
		p.frame, p.named = g.frame, g.types
		g.types++
		g.b = append(binary.AppendUvarint(append(g.b, tagType), uint64(len(p.name))), p.name...)
	}
	e, vs := v.in.Event, &v.m.values
	flags := logFlags(v, p)
	b := append(g.b, tagTake, flags, changed)
	b = binary.AppendUvarint(b, v.in.Sequence-g.sequence)
	b = binary.AppendUvarint(b, p.named)
	b = binary.AppendVarint(b, v.at.at-g.at)
	b = binary.AppendVarint(b, v.slice.at-g.slice)
	g.sequence, g.at, g.slice = v.in.Sequence, v.at.at, v.slice.at
	for k := range keyCount {
		if changed>>k&1 != 0 {
			b = append(b, vs.id(k)[:]...)
		}
	}
	b = vs.log(b, p.fields, changed)
	if flags&logAmount != 0 {
		b = binary.AppendUvarint(b, uint64(max(0, e.Amount)))
	}
	if flags&logPlace != 0 {
		b = binary.LittleEndian.AppendUint32(b, microdegrees(v.in.Place.Lat))
		b = binary.LittleEndian.AppendUint32(b, microdegrees(v.in.Place.Lon))
	}
	g.b = b
	v.logged = changed&1 != 0
}

func logFlags(v *View, p *plan) (flags byte) {
	e := v.in.Event
	if v.at.timing == Late {
		flags = logLate
	}
	switch e.Direction {
	case "in":
		flags |= logIn
	case "out":
		flags |= logOut
	}
	if e.HasAmount {
		flags |= logHasAmount
		if p.amount {
			flags |= logAmount
		}
	}
	if p.place && v.at.timing == OnTime && v.in.Place.HasPoint {
		flags |= logPlace
	}
	return flags
}

// log appends the hashes of the fields that observing has asked for.
func (v *values) log(b []byte, fields []int, changed byte) []byte {
	bits := len(b)
	for range (len(fields) + 7) / 8 {
		b = append(b, 0)
	}
	for i, f := range fields {
		if v.ready[f] != v.round || v.h[f] == 0 || v.keyed[f] >= 0 && changed>>v.keyed[f]&1 != 0 {
			continue
		}
		b[bits+i/8] |= 1 << (i % 8)
		b = binary.LittleEndian.AppendUint32(b, v.h[f])
	}
	return b
}

func (g *log) mark(on bool) {
	b := byte(0)
	if on {
		b = 1
	}
	g.b = append(g.b, tagMark, b)
}

func (g *log) tomb(key byte, h *id, stamp uint64) {
	g.b = append(append(g.b, tagTomb, key), h[:]...)
	g.b = binary.LittleEndian.AppendUint64(g.b, stamp)
}

// logged is an entry of a log, read: a take, or a tomb where plan is nil.
type logged struct {
	plan     *replay
	key      int // of a tomb
	sequence uint64
	at       int64
	slice    int64
	flags    byte
	changed  byte
	mark     byte // markNone, or the plain mark that the event left
	lat, lon uint32
	amount   int64
	ids      [keyCount]id
	values   []uint32 // by field of the layout that it is put into
}

const (
	markNone = iota
	markOff
	markOn
)
