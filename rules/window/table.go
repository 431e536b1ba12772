package window

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// Header of a record: hash of its key 16, stamp 8 (sequence of its last change), newest 8 and first 8 (event time, or slice), floor 8
// (newest event time at the last Forget: what is older counts no more).
const (
	headerSize = 48
	slabBytes  = 256 << 10
	// indexSize is about what the index and the order of changes cost a record: a map entry at its usual load, two links, flags.
	indexSize = 48
)

func stamp(rec []byte) uint64        { return binary.LittleEndian.Uint64(rec[16:]) }
func setStamp(rec []byte, s uint64)  { binary.LittleEndian.PutUint64(rec[16:], s) }
func newest(rec []byte) int64        { return millis(rec[24:]) }
func setNewest(rec []byte, at int64) { putMillis(rec[24:], at) }
func first(rec []byte) int64         { return millis(rec[32:]) }
func setFirst(rec []byte, at int64)  { putMillis(rec[32:], at) }
func floor(rec []byte) int64         { return millis(rec[40:]) }
func setFloor(rec []byte, at int64)  { putMillis(rec[40:], at) }

// reflects reports whether rec has taken in what came with this sequence. 0 is no sequence.
func reflects(rec []byte, sequence uint64) bool {
	s := stamp(rec)
	return s > 0 && s >= sequence
}

const (
	isLive  = 1
	isDirty = 2
	none    = ^uint32(0)
)

// table is the records of one key: slabs, an index by hash, and their order by last change, oldest first.
type table struct {
	size, perSlab, budget int
	graveyard             bool

	index      map[id]uint32
	slabs      [][]byte
	used       int // slots ever handed out
	free       []uint32
	flags      []uint8
	prev, next []uint32
	head, tail uint32
	loose      bool // the order is not the stamps' yet: after Restore

	dirty   []uint32
	tombs   []tomb
	graves  graves
	evicted uint64
}

// moment is where a shard's clock stands.
type moment struct {
	slice, tick int64
	jumpFrom    int64 // the slice before the last jump
	jumpEnds    int64 // tick at which nobody can read as of then any more
}

// move goes on to a slice.
func (n *moment) move(slice int64) {
	d := slice - n.slice
	if d > jump {
		n.jumpFrom, n.jumpEnds = n.slice, n.tick+1+Ahead
		d = 1
	}
	n.slice, n.tick = slice, n.tick+d
}

// jumped: has rec not changed since a jump that somebody may still read as of before.
func (n *moment) jumped(rec []byte) bool { return n.tick < n.jumpEnds && newest(rec) <= n.jumpFrom }

// tomb is a record that left.
type tomb struct {
	id    id
	stamp uint64 // of what made it leave
}

func newTable(size, budget int, graveyard bool) *table {
	return &table{size: size, perSlab: max(1, slabBytes/size), budget: max(1, budget), graveyard: graveyard, index: map[id]uint32{}, head: none, tail: none,
		graves: graves{byID: map[id][]*grave{}}}
}

func (t *table) rec(slot uint32) []byte {
	at := int(slot) % t.perSlab * t.size
	return t.slabs[int(slot)/t.perSlab][at : at+t.size : at+t.size]
}

func (t *table) find(h id) (uint32, bool) {
	slot, ok := t.index[h]
	return slot, ok
}

// insert makes a zeroed record, after evicting the least recently changed ones beyond the budget.
func (t *table) insert(h id, sequence uint64, now moment) uint32 {
	for len(t.index) >= t.budget {
		t.evict(sequence, now)
	}
	return t.add(h)
}

func (t *table) add(h id) uint32 {
	var slot uint32
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
		clear(t.rec(slot))
	} else {
		slot = uint32(t.used)
		if t.used%t.perSlab == 0 {
			t.slabs = append(t.slabs, make([]byte, t.perSlab*t.size))
		}
		t.used++
		t.flags, t.prev, t.next = append(t.flags, 0), append(t.prev, none), append(t.next, none)
	}
	copy(t.rec(slot), h[:])
	t.flags[slot] = t.flags[slot]&isDirty | isLive
	t.index[h] = slot
	t.append(slot)
	return slot
}

func (t *table) evict(sequence uint64, now moment) {
	slot := t.head
	rec := t.rec(slot)
	h := id(rec[:16])
	if t.graveyard {
		t.bury(rec, now)
	}
	t.tombs = append(t.tombs, tomb{h, sequence})
	t.remove(slot)
	t.evicted++
}

func (t *table) bury(rec []byte, now moment) {
	t.graves.bury(&grave{id: id(rec[:16]), at: now.slice, born: now.tick, rec: slices.Clone(rec)})
}

func (t *table) remove(slot uint32) {
	delete(t.index, id(t.rec(slot)[:16]))
	t.unlink(slot)
	t.flags[slot] &^= isLive
	t.free = append(t.free, slot)
}

// touch makes a record the most recently changed one, to be written with the next delta.
func (t *table) touch(slot uint32) {
	if t.tail != slot {
		t.unlink(slot)
		t.append(slot)
	}
	if t.flags[slot]&isDirty == 0 {
		t.flags[slot] |= isDirty
		t.dirty = append(t.dirty, slot)
	}
}

func (t *table) append(slot uint32) {
	t.prev[slot], t.next[slot] = t.tail, none
	if t.tail == none {
		t.head = slot
	} else {
		t.next[t.tail] = slot
	}
	t.tail = slot
}

func (t *table) unlink(slot uint32) {
	p, n := t.prev[slot], t.next[slot]
	if p == none {
		t.head = n
	} else {
		t.next[p] = n
	}
	if n == none {
		t.tail = p
	} else {
		t.prev[n] = p
	}
}

// settle orders the records by stamp: the order of changes is theirs, so it need not be stored. Equal stamps, which a growing sequence
// never makes within a key, go by hash.
func (t *table) settle() {
	if !t.loose {
		return
	}
	t.loose = false
	order := make([]uint32, 0, len(t.index))
	for _, slot := range t.index {
		order = append(order, slot)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		ra, rb := t.rec(a), t.rec(b)
		return cmp.Or(cmp.Compare(stamp(ra), stamp(rb)), bytes.Compare(ra[:16], rb[:16]))
	})
	t.head, t.tail = none, none
	for _, slot := range order {
		t.append(slot)
	}
	t.graves.settle()
}

// asOf is the record that another shard sees as of slice s: the live one, or the one that was evicted after s. nil: none.
func (t *table) asOf(h id, s int64) []byte {
	if rec := t.graves.asOf(h, s); rec != nil {
		return rec
	}
	if slot, ok := t.index[h]; ok {
		return t.rec(slot)
	}
	return nil
}
