package window

import "encoding/binary"

// Counts and sums across accounts, one shard's part: a ring of coarse buckets (a 30th of the span, at least one second), and, when a
// bucket is longer than a second, a ring of the last Ahead seconds. What was taken in is added to both.
//
// As of slice s, the owner being at n <= s + Ahead: the coarse buckets from the one that holds s - span + 1, less the seconds in (s, n].
// That is what was added in slices up to s and nothing else, so a reader gets the same from an owner that has moved on.
// Both rings hold the same, already capped, contributions, so that the subtraction is exact even at the cap.

// Ahead is how many slices an owner may have moved on since the slice that it is read as of.
const Ahead = 64

// Kept are the newest slice 6 and the number of coarse entries 2, then of the buckets and seconds in which something happened their place in
// the ring 4 and the count 4 or the sum 8.
const (
	slicesHead = 8
	countEntry = 8
	sumEntry   = 12

	maxCountBucket = 1<<32 - 1
	maxSumBucket   = 1 << 56 // 128 full buckets still fit an int64; 7e16 minor units are beyond any real sum
)

var countAcrossKind = kind{funcs: []Func{Count}, across: true, span: true,
	size: func(c *cell) { slicesSize(c, countEntry) },
	observe: func(w *opened, o *occasion, c *cell) note {
		slicesAdd(w, c, o.at, 1, maxCountBucket, countEntry)
		return note{}
	},
	gather: func(rec []byte, c *cell, r reach, _ note, t *tally) {
		t.sum = addCapped(t.sum, slicesRead(c.bytes(rec), c, r, countEntry))
	},
	total: func(_ *occasion, t *tally) float64 { return float64(t.sum) },
}

var sumAcrossKind = kind{funcs: []Func{Sum}, across: true, span: true,
	size: func(c *cell) { slicesSize(c, sumEntry) },
	observe: func(w *opened, o *occasion, c *cell) note {
		if o.event.HasAmount {
			slicesAdd(w, c, o.at, max(0, o.event.Amount), maxSumBucket, sumEntry)
		}
		return note{}
	},
	gather: func(rec []byte, c *cell, r reach, _ note, t *tally) {
		t.sum = addCapped(t.sum, slicesRead(c.bytes(rec), c, r, sumEntry))
	},
	total: func(_ *occasion, t *tally) float64 { return float64(t.sum) },
}

func slicesSize(c *cell, entry int) {
	c.width = (c.spanned + ringParts - 1) / ringParts
	if c.spanned <= Ahead {
		c.width = 1
	}
	c.buckets = int((c.spanned+Ahead+c.width-1)/c.width) + 2
	n := c.buckets
	if c.width > 1 {
		n += Ahead
	}
	c.list(slicesHead, entry, n)
}

// slicesOf is the newest slice, and the entries of the two rings.
func slicesOf(b []byte, entry int) (newest int64, coarse, fine []byte) {
	head := binary.LittleEndian.Uint64(b)
	n := min(slicesHead+int(head>>48)*entry, len(b))
	return int64(head & (1<<48 - 1)), b[slicesHead:n], b[n:]
}

// ringKeep moves the entries of the last n of a ring together, and gives how many bytes they are.
func ringKeep(ring []byte, newest, oldest, n int64, entry int) (kept int) {
	place := newest % n
	for i := 0; i < len(ring); i += entry {
		if ringNumber(ring[i:], newest, place, n) >= oldest {
			kept += copy(ring[kept:], ring[i:i+entry])
		}
	}
	return kept
}

// ringNumber is the number of the bucket of an entry, the newest one's place being known.
func ringNumber(e []byte, newest, place, n int64) int64 {
	d := place - int64(binary.LittleEndian.Uint32(e))
	if d < 0 {
		d += n
	}
	return newest - d
}

func ringFind(ring []byte, place int64, entry int) []byte {
	for ; len(ring) > 0; ring = ring[entry:] {
		if int64(binary.LittleEndian.Uint32(ring)) == place {
			return ring[:entry]
		}
	}
	return nil
}

// slicesAdd adds x to slice at. Slices never go back: a shard's clock is a running maximum.
func slicesAdd(w *opened, c *cell, at, x, limit int64, entry int) {
	n := int64(c.buckets)
	b := c.bytes(w.rec)
	nc, nf := 0, 0
	if b != nil {
		newest, coarse, fine := slicesOf(b, entry)
		nc, nf = len(coarse), len(fine)
		if at = max(at, newest); at > newest {
			nc = ringKeep(coarse, newest/c.width, at/c.width-n+1, n, entry)
			nf = ringKeep(fine, newest, at-Ahead+1, Ahead, entry)
			copy(b[slicesHead+nc:], fine[:nf])
		}
	}
	// what there is lies together now; room for what is new is made behind it
	bucket := at / c.width % n
	inCoarse, inFine := []byte(nil), []byte(nil)
	if b != nil {
		inCoarse = ringFind(b[slicesHead:slicesHead+nc], bucket, entry)
		inFine = ringFind(b[slicesHead+nc:slicesHead+nc+nf], at%Ahead, entry)
	}
	more, moreFine := 0, 0
	if inCoarse == nil {
		more = entry
	}
	if c.width > 1 && inFine == nil {
		moreFine = entry
	}
	if size := slicesHead + nc + more + nf + moreFine; size != len(b) {
		fineAt := slicesHead + nc
		if size < len(b) {
			// shrinks: move within what there is first
			copy(b[fineAt+more:], b[fineAt:fineAt+nf])
			b = w.resize(c, size)
		} else {
			b = w.resize(c, size)
			copy(b[fineAt+more:], b[fineAt:fineAt+nf])
		}
	} else if more > 0 {
		copy(b[slicesHead+nc+more:], b[slicesHead+nc:slicesHead+nc+nf])
	}
	coarse := b[slicesHead : slicesHead+nc+more]
	fine := b[slicesHead+nc+more:]
	if more > 0 {
		newEntry(coarse[nc:], bucket)
	}
	if moreFine > 0 {
		newEntry(fine[nf:], at%Ahead)
	}
	e := ringFind(coarse, bucket, entry)
	x = min(x, limit-entryAt(e))
	putEntry(e, entryAt(e)+x)
	if c.width > 1 {
		e = ringFind(fine, at%Ahead, entry)
		putEntry(e, entryAt(e)+x)
	}
	binary.LittleEndian.PutUint64(b, uint64(at)|uint64(len(coarse)/entry)<<48)
}

// slicesRead is the sum over r.
func slicesRead(b []byte, c *cell, r reach, entry int) (sum int64) {
	if b == nil || r.from > r.to {
		return 0
	}
	newest, coarse, fine := slicesOf(b, entry)
	n, last := int64(c.buckets), newest/c.width
	place, from, to := last%n, max(0, r.from)/c.width, last
	if c.width == 1 {
		to = min(last, r.to)
	}
	for ; len(coarse) > 0; coarse = coarse[entry:] {
		if i := ringNumber(coarse, last, place, n); i >= from && i <= to {
			sum += entryAt(coarse[:entry])
		}
	}
	if r.to < newest {
		place = newest % Ahead
		for ; len(fine) > 0; fine = fine[entry:] {
			if ringNumber(fine, newest, place, Ahead) > r.to {
				sum -= entryAt(fine[:entry])
			}
		}
	}
	return max(0, sum)
}

func newEntry(e []byte, place int64) {
	clear(e)
	binary.LittleEndian.PutUint32(e, uint32(place))
}

// entryAt is what an entry holds, in the 4 or 8 bytes behind its place.
func entryAt(e []byte) int64 {
	if len(e) == countEntry {
		return int64(binary.LittleEndian.Uint32(e[4:]))
	}
	return int64(binary.LittleEndian.Uint64(e[4:]))
}

func putEntry(e []byte, v int64) {
	if len(e) == countEntry {
		binary.LittleEndian.PutUint32(e[4:], uint32(v))
		return
	}
	binary.LittleEndian.PutUint64(e[4:], uint64(v))
}
