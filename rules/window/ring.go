package window

import "encoding/binary"

// Counts and sums within an account: a ring of 32 buckets of a 30th of the span (rounded up to a millisecond) by event time, and the
// number of its newest bucket. A reading is the buckets that touch (newest - span, newest]: never less than the span, at most one bucket
// more. A late event lands in its own bucket; one older than the ring changes nothing. Kept are the newest 8, and of the buckets in which
// something happened their place in the ring and the count, 2 bytes each, or the sum, 4 and 8.
const (
	ringBuckets = 32
	ringParts   = 30
	ringHead    = 8
)

var countKind = kind{funcs: []Func{Count}, span: true,
	size: func(c *cell) { ringSize(c, 4) },
	observe: func(w *opened, o *occasion, c *cell) note {
		if p := ringSlot(w, c, o.at, 4); p != nil {
			// 65,535 in a 30th of the span reads as that many: far above what any rule asks
			if n := binary.LittleEndian.Uint16(p[2:]); n < 1<<16-1 {
				binary.LittleEndian.PutUint16(p[2:], n+1)
			}
		}
		return note{}
	},
	read: func(rec []byte, o *occasion, c *cell, _ note, _ Func) float64 {
		b, newest, from := ringRead(rec, o, c)
		sum := uint64(0)
		for ; len(b) > 0; b = b[4:] {
			if ringBucket(b, newest) >= from {
				sum += uint64(binary.LittleEndian.Uint16(b[2:]))
			}
		}
		return float64(sum)
	},
}

var sumKind = kind{funcs: []Func{Sum}, span: true,
	size: func(c *cell) { ringSize(c, 12) },
	observe: func(w *opened, o *occasion, c *cell) note {
		if !o.event.HasAmount {
			return note{}
		}
		if p := ringSlot(w, c, o.at, 12); p != nil {
			sum := addCapped(int64(binary.LittleEndian.Uint64(p[4:])), max(0, o.event.Amount))
			binary.LittleEndian.PutUint64(p[4:], uint64(sum))
		}
		return note{}
	},
	read: func(rec []byte, o *occasion, c *cell, _ note, _ Func) float64 {
		b, newest, from := ringRead(rec, o, c)
		sum := int64(0)
		for ; len(b) > 0; b = b[12:] {
			if ringBucket(b, newest) >= from {
				sum = addCapped(sum, int64(binary.LittleEndian.Uint64(b[4:])))
			}
		}
		return float64(sum)
	},
}

func ringSize(c *cell, entry int) {
	c.width = (c.spanned + ringParts - 1) / ringParts
	c.buckets = ringBuckets
	c.list(ringHead, entry, ringBuckets)
}

// ringBucket is the bucket of an entry of a ring.
func ringBucket(e []byte, newest int64) int64 {
	return newest - (newest-int64(binary.LittleEndian.Uint16(e)))&(ringBuckets-1)
}

// ringSlot is the entry of the bucket of at, the ring moved on to it when it is newer; nil when the ring has passed it.
func ringSlot(w *opened, c *cell, at int64, entry int) []byte {
	bucket := at / c.width
	b := c.bytes(w.rec)
	n := ringHead
	if b != nil {
		newest := int64(binary.LittleEndian.Uint64(b))
		switch {
		case bucket <= newest-ringBuckets:
			return nil
		case bucket <= newest:
			for e := b[ringHead:]; len(e) > 0; e = e[entry:] {
				if ringBucket(e, newest) == bucket {
					return e[:entry]
				}
			}
			n, bucket = len(b), newest
		default:
			for i := ringHead; i < len(b); i += entry {
				if ringBucket(b[i:], newest) > bucket-ringBuckets {
					n += copy(b[n:], b[i:i+entry])
				}
			}
		}
	}
	b = w.resize(c, n+entry)
	binary.LittleEndian.PutUint64(b, uint64(bucket))
	e := b[n : n+entry]
	clear(e)
	binary.LittleEndian.PutUint16(e, uint16(at/c.width&(ringBuckets-1)))
	return e
}

// ringRead gives the entries of a ring, its newest bucket and the first that touches (now - span, now].
func ringRead(rec []byte, o *occasion, c *cell) (entries []byte, newest, from int64) {
	b := c.bytes(rec)
	if b == nil {
		return nil, 0, 0
	}
	return b[ringHead:], int64(binary.LittleEndian.Uint64(b)), (o.now - c.spanned) / c.width
}
