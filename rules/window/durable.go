package window

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// A frame is what Dirty and Page write: version 1, length of the entries 4, entries, CRC-32C 4 of all before. An entry is a tag 1, the
// position of its key in Keys 1 (so Keys only grows at its end), and
//
//	record: hash 16; stamp, newest + 1, newest - first (signed), floor + 1, 2 * cells + mark, bytes of them (varints); those bytes
//	        (packed.go), sparse. Version 2: cells without the mark
//	tomb:   hash 16, stamp 8
//	grave:  slice 8, tick (varint; not in version 2), then as a record
//
// or, without a key, a moment (slice, tick, the jump's slice and the tick at which it ends, varints), or an entry of a log (log.go).
//
// Crash story: a page must be committed with or after the delta that holds what was taken in before the page was made; then what a store
// holds is never ahead of its sequence. The pages of one checkpoint (from Page(0) on), then the deltas since its Page(0) in their order, give
// the memory as of the last delta, record by record:
//
//   - A record that was written whole replaces what is not newer. A take changes only what its stamp says has not had it. So a page may have been
//     made at any time, and an event may be in its account's record and not in its address's: each record takes in just what it lacks, in
//     order, and what a window does depends on its own bytes, the record's header and the event. Where the event lay in its account's time,
//     and which records it changed, was decided when it came and is written: an event too late is not in a log.
//   - Nothing leaves because of a take that is put in again; what left has its tomb at its place among the takes. What was taken in before it
//     is gone with it, what came after it begins a new record. A page with the later record has a stamp that tomb and takes do not reach.
//   - A record that was in no page because it left before its page was made, and one that moved to where the pages had passed, comes back
//     wrongly short from the takes; the tomb takes the one out, and the other was written whole with the next delta (table.passed). Until
//     then nobody reads it. A record that moved the other way is in two pages, and the newer wins.
//   - What acts do (Forget, Learn, ClearPlain), what rules remember, and the mark that an event too late leaves, is written as whole records.
//     Within a delta those come first: they are as of its end, so its takes pass them by.
//   - Graves are what other shards see of the past; they are written as they are, with the shard's moment, so that a jump of the clock
//     before a crash is one after it.
//   - A log is read under the layout it was written under. Its takes change the windows that both layouts have, as they did then; windows
//     that are new are empty until the first Take, as in a record written whole; one that a layout in between did not have is emptied.
//     Windows do not look at one another, so leaving some out changes nothing of the others.
//
// Order of evictions, room and readings follow from the records and their stamps. crash_test.go holds all of it together.
const (
	frameVersion  = 3
	frameUnmarked = 2 // is still read
	frameHead     = 5
	frameTail     = 4

	tagRecord = 0
	tagTomb   = 1
	tagGrave  = 2
	tagMoment = 3
	tagTake   = 4
	tagType   = 5
	tagMark   = 6

	gravesPerPage = 256
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func beginFrame(dst []byte) []byte { return append(dst, frameVersion, 0, 0, 0, 0) }

func endFrame(dst []byte, at int) []byte {
	binary.LittleEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-frameHead))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// Dirty appends what changed since the last call as one frame; nothing changed: nothing. It names no layout: store Layout.Marshal beside.
// Who keeps no store calls it too, now and then: what was taken in is kept until it does.
func (m *Memory) Dirty(dst []byte) []byte {
	at := len(dst)
	dst = beginFrame(dst)
	if m.written != m.now {
		m.written = m.now
		dst = m.now.append(dst)
	}
	for k := range Keys {
		dst = m.table(k).appendDirty(dst, byte(k))
	}
	dst = append(dst, m.log.b...)
	m.log.begin()
	m.view.logged = false
	if len(dst) == at+frameHead {
		return dst[:at]
	}
	return endFrame(dst, at)
}

func (n *moment) append(dst []byte) []byte {
	dst = append(dst, tagMoment)
	for _, x := range [...]int64{n.slice, n.tick, n.jumpFrom, n.jumpEnds} {
		dst = binary.AppendUvarint(dst, uint64(x))
	}
	return dst
}

func (m *Memory) table(k int) *table {
	if k == 0 {
		return m.account
	}
	return m.across[k]
}

func (t *table) appendDirty(dst []byte, key byte) []byte {
	for i := len(t.graves.queue) - 1; i >= 0 && !t.graves.queue[i].written; i-- {
		dst = t.graves.queue[i].append(dst, key)
		t.graves.queue[i].written = true
	}
	for _, ref := range t.dirty { // one that has moved or left since is no longer there
		if !t.holds(ref) {
			continue
		}
		if rec := t.rec(ref); rec[47]&isDirty != 0 {
			rec[47] &^= isDirty
			dst = appendRecord(append(dst, tagRecord, key), rec)
		}
	}
	t.dirty = t.dirty[:0]
	return dst
}

func (d *grave) append(dst []byte, key byte) []byte {
	dst = append(dst, tagGrave, key)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(d.at))
	dst = binary.AppendUvarint(dst, uint64(d.born))
	return appendRecord(dst, d.rec)
}

// appendRecord appends a record without what is the table's: its header as small numbers, its cells as they are.
func appendRecord(dst, rec []byte) []byte {
	n := sizeOf(rec)
	dst = append(dst, rec[:16]...)
	dst = binary.AppendUvarint(dst, stamp(rec))
	dst = binary.AppendUvarint(dst, uint64(newest(rec)+1))
	dst = binary.AppendVarint(dst, newest(rec)-first(rec))
	dst = binary.AppendUvarint(dst, uint64(floor(rec)+1))
	dst = binary.AppendUvarint(dst, uint64(cellsIn(rec))<<1|uint64(rec[47]&isPlain)/isPlain)
	dst = binary.AppendUvarint(dst, uint64(n-headerSize))
	return appendSparse(dst, rec[headerSize:n])
}

// readRecord reads what appendRecord wrote, of at most so many bytes, into rec, and gives it and how much of b it took; -1: b is no record.
func readRecord(rec, b []byte, most int, version byte) ([]byte, int) {
	if len(b) < 16 {
		return rec, -1
	}
	at := 16
	next := func() (x uint64) {
		x, n := binary.Uvarint(b[min(at, len(b)):])
		if n <= 0 {
			at = len(b) + 1 // past the end, and stays there
			return 0
		}
		at += n
		return x
	}
	stamp, newest, behind, floor, cells, size := next(), next(), next(), next(), next(), next()
	flags := byte(0)
	if version != frameUnmarked {
		flags, cells = byte(cells&1)*isPlain, cells>>1
	}
	first := int64(newest) - 1 - (int64(behind>>1) ^ -int64(behind&1))
	const times = 1 << 48
	if at > len(b) || newest >= times || floor >= times || first < -1 || first >= times-1 || cells > 1<<16-1 || size > uint64(most-headerSize) {
		return rec, -1
	}
	rec = slices.Grow(rec[:0], headerSize+int(size))[:headerSize+int(size)]
	clear(rec[:headerSize])
	copy(rec, b[:16])
	setStamp(rec, stamp)
	setNewest(rec, int64(newest)-1)
	setFirst(rec, first)
	setFloor(rec, int64(floor)-1)
	setCellsIn(rec, int(cells))
	setSize(rec, len(rec))
	rec[47] = flags
	n := readSparse(rec[headerSize:], b[at:])
	if n < 0 {
		return rec, -1
	}
	return rec, at + n
}

// Page is the n-th page of all records, about 64 KiB, possibly empty; more: there is one after it. Takes may lie between the pages of a
// checkpoint. Page n is always the same
// places: what moves to an earlier one meanwhile is in a delta.
func (m *Memory) Page(n int) (page []byte, more bool) {
	k, chunk := n%len(Keys), n/len(Keys)
	page = beginFrame(nil)
	if n == 0 && m.now != (moment{}) {
		page = m.now.append(page)
	}
	page = m.table(k).appendPage(page, byte(k), chunk)
	for j := range Keys {
		t := m.table(j)
		c := chunk
		if j <= k {
			c++
		}
		more = more || t.hasPage(c)
	}
	if !more { // what moves from now on is in a page already
		for j := range Keys {
			m.table(j).paged = -1
		}
	}
	if len(page) == frameHead {
		return nil, more
	}
	return endFrame(page, 0), more
}

func (t *table) hasPage(chunk int) bool {
	return chunk < len(t.slabs) || chunk*gravesPerPage < len(t.graves.queue)+t.graves.gone-t.graves.base
}

func (t *table) appendPage(dst []byte, key byte, chunk int) []byte {
	g := &t.graves
	if chunk == 0 {
		g.base = g.gone
	}
	for i := chunk * gravesPerPage; i < (chunk+1)*gravesPerPage; i++ {
		if at := i + g.base - g.gone; at >= 0 && at < len(g.queue) {
			dst = g.queue[at].append(dst, key)
		}
	}
	t.paged = chunk
	t.live(chunk, chunk+1, func(rec []byte) { dst = appendRecord(append(dst, tagRecord, key), rec) })
	return dst
}
