package window

import (
	"encoding/binary"
	"sort"
)

// A record is as long as what it remembers. Header, 48 bytes: hash of its key 16, stamp 8 (sequence of its last change), newest 6 and
// first 6 (event time, or slice), floor 6 (newest event time at the last Forget: what is older counts no more), cells 2, size 3, flags 1
// (of the table and not written, but for the caller's mark). Then an entry for each cell that has bytes, in their order: its number 2 and where its bytes end 3, in
// units of 4 bytes from the end of the entries. Then the bytes.
const (
	headerSize = 48
	entrySize  = 5
	entryMask  = 1<<40 - 1
)

func stamp(rec []byte) uint64        { return binary.LittleEndian.Uint64(rec[16:]) }
func setStamp(rec []byte, s uint64)  { binary.LittleEndian.PutUint64(rec[16:], s) }
func newest(rec []byte) int64        { return int64(binary.LittleEndian.Uint64(rec[24:])&(1<<48-1)) - 1 }
func setNewest(rec []byte, at int64) { put48(rec[24:], at) }
func first(rec []byte) int64         { return int64(binary.LittleEndian.Uint64(rec[30:])&(1<<48-1)) - 1 }
func setFirst(rec []byte, at int64)  { put48(rec[30:], at) }
func floor(rec []byte) int64         { return int64(binary.LittleEndian.Uint64(rec[36:])&(1<<48-1)) - 1 }
func setFloor(rec []byte, at int64)  { put48(rec[36:], at) }

// put48 puts a time plus one, so that zeroed bytes mean never; ends in the year 10889, which no event reaches.
func put48(b []byte, at int64) {
	binary.LittleEndian.PutUint32(b, uint32(at+1))
	binary.LittleEndian.PutUint16(b[4:], uint16((at+1)>>32))
}

func cellsIn(rec []byte) int       { return int(binary.LittleEndian.Uint16(rec[42:])) }
func setCellsIn(rec []byte, n int) { binary.LittleEndian.PutUint16(rec[42:], uint16(n)) }
func sizeOf(rec []byte) int        { return int(binary.LittleEndian.Uint32(rec[44:]) & (1<<24 - 1)) }
func setSize(rec []byte, n int) {
	binary.LittleEndian.PutUint32(rec[44:], uint32(rec[47])<<24|uint32(n))
}

// reflects reports whether rec has taken in what came with this sequence. 0 is no sequence.
func reflects(rec []byte, sequence uint64) bool {
	s := stamp(rec)
	return s > 0 && s >= sequence
}

// entryOf is the number of the i-th cell in rec, and where its bytes end. Bytes follow every entry, so that 8 can be read.
func entryOf(rec []byte, i int) (number, end int) {
	e := binary.LittleEndian.Uint64(rec[headerSize+i*entrySize:])
	return int(e & 0xffff), int(e&entryMask>>16) * 4
}

func putEntryOf(rec []byte, i, number, end int) {
	e := rec[headerSize+i*entrySize:]
	binary.LittleEndian.PutUint16(e, uint16(number))
	e[2], e[3], e[4] = byte(end>>2), byte(end>>10), byte(end>>18)
}

// search is the position of the first entry of rec whose number is not less, and whether it is that number.
func search(rec []byte, number int) (int, bool) {
	n, i := cellsIn(rec), 0
	if n > 32 {
		i = sort.Search(n, func(i int) bool { at, _ := entryOf(rec, i); return at >= number })
	}
	for ; i < n; i++ {
		if at, _ := entryOf(rec, i); at >= number {
			return i, at == number
		}
	}
	return n, false
}

// span is where the bytes of the i-th cell lie.
func span(rec []byte, i int) (from, to int) {
	base := headerSize + cellsIn(rec)*entrySize
	if i > 0 {
		_, from = entryOf(rec, i-1)
	}
	_, to = entryOf(rec, i)
	return base + from, base + to
}

// bytes is what rec remembers for c; nil: nothing yet.
func (c *cell) bytes(rec []byte) []byte {
	i, ok := search(rec, c.number)
	if !ok {
		return nil
	}
	from, to := span(rec, i)
	return rec[from:to:to]
}

// sound reports whether rec is a record with these cells, of lengths that they can have.
func sound(rec []byte, cells []*cell) bool {
	if len(rec) < headerSize {
		return false
	}
	n := cellsIn(rec)
	base := headerSize + n*entrySize
	if sizeOf(rec) != len(rec) || base > len(rec) || n > 0 && base+3 > len(rec) || n > len(cells) {
		return false
	}
	before, from := -1, 0
	for i := range n {
		number, end := entryOf(rec, i)
		if number <= before || number >= len(cells) || end <= from || base+end > len(rec) || !cells[number].fits(end-from) {
			return false
		}
		if of := cells[number].kind.sound; of != nil && !of(cells[number], rec[base+from:base+end]) {
			return false
		}
		before, from = number, end
	}
	return base+from == len(rec)
}

// opened is a record that is being changed. Its bytes are good until the next resize of it, and until its shrink.
type opened struct {
	t   *table
	ref uint32
	rec []byte
}

// resize gives c so many bytes, a multiple of 4; those beyond what it had are zero. 0 takes the cell out.
func (w *opened) resize(c *cell, n int) []byte {
	i, has := search(w.rec, c.number)
	size, cells := sizeOf(w.rec), cellsIn(w.rec)
	from, to := headerSize+cells*entrySize, 0
	if has {
		from, to = span(w.rec, i)
	} else {
		if n == 0 {
			return nil
		}
		if i > 0 {
			_, end := entryOf(w.rec, i-1)
			from += end
		}
		to = from
	}
	grown := n - (to - from)
	entries := 0
	switch {
	case !has:
		entries = entrySize
	case n == 0:
		entries = -entrySize
	}
	if size+grown+entries > len(w.rec) {
		w.move(size + grown + entries)
	}
	rec := w.rec[:max(size, size+grown+entries)]
	at := headerSize + i*entrySize
	if entries < 0 {
		copy(rec[from:], rec[to:size])
		copy(rec[at:], rec[at+entrySize:size-(to-from)])
		cells--
	} else {
		copy(rec[from+n+entries:], rec[to:size])
		if entries > 0 {
			copy(rec[at+entrySize:], rec[at:from])
			cells++
		}
		if grown > 0 {
			clear(rec[to+entries : from+n+entries])
		}
	}
	size += grown + entries
	setCellsIn(rec, cells)
	setSize(rec, size)
	if entries > 0 {
		end := 0
		if i > 0 {
			_, end = entryOf(rec, i-1)
		}
		putEntryOf(rec, i, c.number, end)
	}
	for j := i; j < cells; j++ {
		number, end := entryOf(rec, j)
		putEntryOf(rec, j, number, end+grown)
	}
	from += entries
	return rec[from : from+n : from+n]
}

// ready is c's bytes, so many when it had none.
func (w *opened) ready(c *cell, n int) []byte {
	if b := c.bytes(w.rec); b != nil {
		return b
	}
	return w.resize(c, n)
}

// shrink moves a record that has become small to where it takes less room.
func (w *opened) shrink() {
	if n := sizeOf(w.rec); len(w.rec) > leastRecord && n*2 < len(w.rec) {
		w.move(n)
	}
}

func (w *opened) move(size int) {
	w.ref = w.t.relocate(w.ref, size)
	w.rec = w.t.rec(w.ref)
}
