package window

import (
	"math/bits"
	"slices"
)

const (
	slabBytes   = 64 << 10
	leastRecord = 64
	indexSize   = 16 // about what the index costs a record, at its usual load
	slotBits    = 12 // of a ref, the place in the slab; the rest is the slab

	isLive  = 1 // flags of a record
	isDirty = 2
	isPlain = 4 // the caller's mark, see Memory.Plain
)

// table is the records of one key: slabs of records of one size each, and an index by hash. A record is named by its ref, the slab and the
// place in it, until it or another of its size moves or leaves.
type table struct {
	key      int // position in Keys
	budget   int
	presence mine // where others see whether to look here
	log      *log

	index   index
	slabs   []slab
	spare   []int   // slabs that hold nothing
	classes []class // by size
	room    int     // bytes of a slab
	arena   *arena
	paged   int // the last slab that went into a page since the first one did, -1: none
	oldest  oldest
	young   int // how long a new record became last with its first event: the next one gets as much room

	dirty   []uint32 // to be written whole with the next delta
	graves  graves
	evicted uint64
}

type slab struct {
	size  int // of its records, 0: none
	bytes []byte
}

// class is the records of one size. They lie without gaps: the last one moves to where another has left.
type class struct {
	size  int
	slabs []int
	used  int // places
}

// place is the ref of a class's n-th place.
func (c *class) place(t *table, n int) uint32 {
	per := len(t.slabs[c.slabs[0]].bytes) / c.size
	return uint32(c.slabs[n/per])<<slotBits | uint32(n%per)
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

func newTable(key, budget int, a *arena, l *log) *table {
	return &table{key: key, budget: max(1, budget), room: slabBytes, paged: -1, log: l, index: newIndex(a), arena: a, graves: graves{byID: map[id][]*grave{}}}
}

// rec is a record and the room behind it.
func (t *table) rec(ref uint32) []byte {
	s := &t.slabs[ref>>slotBits]
	at := int(ref&(1<<slotBits-1)) * s.size
	return s.bytes[at : at+s.size : at+s.size]
}

func (t *table) open(ref uint32) opened { return opened{t, ref, t.rec(ref)} }

// len is how many records there are.
func (t *table) len() int { return t.index.n }

func (t *table) find(h *id) (uint32, bool) {
	tag := h.tag()
	s := t.index.segment(tag)
	mask := len(s.words) - 1
	for i := int(tag) & mask; ; i = (i + 1) & mask {
		w := s.words[i]
		if w == 0 {
			return 0, false
		}
		if uint32(w>>32) == tag {
			if ref := uint32(w) - 1; [16]byte(t.rec(ref)) == *h {
				return ref, true
			}
		}
	}
}

// insert makes an empty record, after evicting the least recently changed ones beyond the budget.
func (t *table) insert(h *id, sequence uint64, now moment) uint32 {
	for t.len() >= t.budget {
		t.evict(sequence, now)
	}
	return t.add(h, t.young)
}

func (t *table) add(h *id, size int) uint32 {
	ref := t.alloc(size)
	rec := t.rec(ref)
	clear(rec[:headerSize])
	copy(rec, h[:])
	setSize(rec, headerSize)
	rec[47] = isLive
	t.presence.note(h)
	t.index.add(h.tag(), ref)
	return ref
}

// classOf: sizes grow by a quarter of a power of two.
func classOf(size int) (n, classSize int) {
	size = max(size, leastRecord)
	step := max(16, 1<<(bits.Len(uint(size-1))-3))
	classSize = (size + step - 1) / step * step
	if classSize <= 128 {
		return (classSize - leastRecord) / 16, classSize
	}
	power := bits.Len(uint(classSize-1)) - 1 // 2^power < classSize <= 2^(power+1)
	return 4 + (power-7)*4 + (classSize-1<<power)/(1<<(power-2)), classSize
}

func (t *table) alloc(size int) uint32 {
	n, size := classOf(size)
	for len(t.classes) <= n {
		t.classes = append(t.classes, class{})
	}
	c := &t.classes[n]
	c.size = size
	per := max(1, t.room/size)
	if c.used == per*len(c.slabs) {
		c.slabs = append(c.slabs, t.slab(size, per))
	}
	c.used++
	return c.place(t, c.used-1)
}

// slab gives an empty slab for records of a size.
func (t *table) slab(size, per int) int {
	if k := len(t.spare); k > 0 && per > 1 {
		n := t.spare[k-1]
		t.spare = t.spare[:k-1]
		t.slabs[n] = slab{size, t.slabs[n].bytes[:per*size]}
		clear(t.slabs[n].bytes)
		return n
	}
	t.slabs = append(t.slabs, slab{size, t.arena.bytes(max(per*size, t.room))[:per*size]})
	return len(t.slabs) - 1
}

// passed: have the pages of a checkpoint passed a place and not yet another. What moves from there to here would be in no page, so it is
// written whole with the next delta.
func (t *table) passed(to, from uint32) bool {
	return int(to>>slotBits) <= t.paged && int(from>>slotBits) > t.paged
}

// release frees a place, and moves the last record of its size there.
func (t *table) release(ref uint32) {
	rec := t.rec(ref)
	n, _ := classOf(len(rec))
	c := &t.classes[n]
	c.used--
	last := c.place(t, c.used)
	end := t.rec(last)
	if last != ref {
		copy(rec, end)
		h := id(rec[:16])
		t.index.move(h.tag(), last, ref)
		if rec[47]&isDirty != 0 || t.passed(ref, last) {
			rec[47] |= isDirty
			t.dirty = append(t.dirty, ref)
		}
	}
	end[47] = 0
	// one empty slab is kept, so that a record that comes and goes at its edge does not make one each time
	if per := max(1, t.room/c.size); (len(c.slabs)-2)*per >= c.used {
		s := c.slabs[len(c.slabs)-1]
		c.slabs = c.slabs[:len(c.slabs)-1]
		t.slabs[s].size = 0
		if cap(t.slabs[s].bytes) == t.room {
			t.spare = append(t.spare, s)
		} else {
			t.slabs[s].bytes = nil
		}
	}
}

// relocate moves a record to where it has room for so many bytes.
func (t *table) relocate(ref uint32, size int) uint32 {
	to := t.alloc(size)
	rec, from := t.rec(to), t.rec(ref)
	copy(rec, from[:sizeOf(from)])
	if from[47]&isDirty != 0 || t.passed(to, ref) {
		rec[47] |= isDirty
		t.dirty = append(t.dirty, to)
	}
	h := id(rec[:16])
	t.index.move(h.tag(), ref, to)
	t.release(ref)
	return to
}

func (t *table) evict(sequence uint64, now moment) {
	ref := t.oldest.next(t)
	rec := t.rec(ref)
	if t.key > 0 {
		t.bury(rec, now)
	}
	h := id(rec[:16])
	t.log.tomb(byte(t.key), &h, sequence)
	t.remove(ref)
	t.evicted++
}

func (t *table) bury(rec []byte, now moment) {
	t.graves.bury(&grave{id: id(rec[:16]), at: now.slice, born: now.tick, rec: slices.Clone(rec[:sizeOf(rec)])})
}

func (t *table) remove(ref uint32) {
	h := id(t.rec(ref)[:16])
	t.index.remove(h.tag(), ref)
	t.release(ref)
}

// touch has a record written whole with the next delta: what no take in the log will give.
func (t *table) touch(ref uint32, rec []byte) {
	if rec[47]&isDirty == 0 {
		rec[47] |= isDirty
		t.dirty = append(t.dirty, ref)
	}
}

// holds reports whether a ref that may be out of date still names a place.
func (t *table) holds(ref uint32) bool {
	s := &t.slabs[ref>>slotBits]
	return s.size > 0 && int(ref&(1<<slotBits-1)) < len(s.bytes)/s.size
}

// live gives every record, in the order of their places.
func (t *table) live(from, to int, each func(rec []byte)) {
	for i := from; i < min(to, len(t.slabs)); i++ {
		s := &t.slabs[i]
		for at := 0; s.size > 0 && at < len(s.bytes); at += s.size {
			if rec := s.bytes[at : at+s.size : at+s.size]; rec[47]&isLive != 0 {
				each(rec)
			}
		}
	}
}

// asOf is the record that another shard sees as of slice s: the live one, or the one that was evicted after s. nil: none.
func (t *table) asOf(h *id, s int64) []byte {
	if rec := t.graves.asOf(*h, s); rec != nil {
		return rec
	}
	if ref, ok := t.find(h); ok {
		return t.rec(ref)
	}
	return nil
}

// bytes is what the records, their slabs and the index take.
func (t *table) bytes() int {
	n := 0
	for _, s := range t.slabs {
		n += cap(s.bytes)
	}
	var before *segment
	for _, s := range t.index.segments {
		if s != before {
			n += 8 * len(s.words)
		}
		before = s
	}
	return n
}
