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

const (
	maxCountBucket = 1<<32 - 1
	maxSumBucket   = 1 << 56 // 128 full buckets still fit an int64; 7e16 minor units are beyond any real sum
)

var countAcrossKind = kind{funcs: []Func{Count}, across: true, span: true,
	size: func(c *cell) int { return slicesSize(c, 4) },
	observe: func(rec []byte, o *occasion, c *cell) note {
		slicesAdd(c.bytes(rec), c, o.at, 1, maxCountBucket, 4)
		return note{}
	},
	gather: func(rec []byte, c *cell, r reach, _ note, t *tally) {
		t.sum = addCapped(t.sum, slicesRead(c.bytes(rec), c, r, 4))
	},
	total: func(_ *occasion, t *tally) float64 { return float64(t.sum) },
}

var sumAcrossKind = kind{funcs: []Func{Sum}, across: true, span: true,
	size: func(c *cell) int { return slicesSize(c, 8) },
	observe: func(rec []byte, o *occasion, c *cell) note {
		if o.event.HasAmount {
			slicesAdd(c.bytes(rec), c, o.at, max(0, o.event.Amount), maxSumBucket, 8)
		}
		return note{}
	},
	gather: func(rec []byte, c *cell, r reach, _ note, t *tally) {
		t.sum = addCapped(t.sum, slicesRead(c.bytes(rec), c, r, 8))
	},
	total: func(_ *occasion, t *tally) float64 { return float64(t.sum) },
}

func slicesSize(c *cell, entry int) int {
	c.width = (c.spanned + ringParts - 1) / ringParts
	if c.spanned <= Ahead {
		c.width = 1
	}
	c.buckets = int((c.spanned+Ahead+c.width-1)/c.width) + 2
	if c.width == 1 {
		return 8 + c.buckets*entry
	}
	return 8 + (c.buckets+Ahead)*entry
}

// slicesAdd adds x to slice at. Slices never go back: a shard's clock is a running maximum.
func slicesAdd(b []byte, c *cell, at, x, limit int64, entry int) {
	newest := int64(binary.LittleEndian.Uint64(b)) - 1
	at = max(at, newest)
	n := int64(c.buckets)
	bucket, coarse := at/c.width, b[8:8+c.buckets*entry]
	if newest < at {
		from := bucket - n + 1
		if newest >= 0 {
			from = max(from, newest/c.width+1)
		}
		for i := max(0, from); i <= bucket; i++ {
			putEntry(coarse, i%n, entry, 0)
		}
	}
	x = min(x, limit-entryAt(coarse, bucket%n, entry))
	putEntry(coarse, bucket%n, entry, entryAt(coarse, bucket%n, entry)+x)
	if c.width > 1 {
		fine := b[8+c.buckets*entry:]
		for i := max(0, newest+1, at-Ahead+1); i <= at; i++ {
			putEntry(fine, i%Ahead, entry, 0)
		}
		putEntry(fine, at%Ahead, entry, entryAt(fine, at%Ahead, entry)+x)
	}
	binary.LittleEndian.PutUint64(b, uint64(at)+1)
}

// slicesRead is the sum over r.
func slicesRead(b []byte, c *cell, r reach, entry int) (sum int64) {
	newest := int64(binary.LittleEndian.Uint64(b)) - 1
	if newest < 0 || r.from > r.to {
		return 0
	}
	n := int64(c.buckets)
	coarse := b[8 : 8+c.buckets*entry]
	last := newest / c.width
	if c.width == 1 {
		last = min(last, r.to)
	}
	for i := max(0, newest/c.width-n+1, max(0, r.from)/c.width); i <= last; i++ {
		sum += entryAt(coarse, i%n, entry)
	}
	if c.width > 1 {
		fine := b[8+c.buckets*entry:]
		for i := max(0, r.to+1, newest-Ahead+1); i <= newest; i++ {
			sum -= entryAt(fine, i%Ahead, entry)
		}
	}
	return max(0, sum)
}

func entryAt(ring []byte, i int64, entry int) int64 {
	if entry == 4 {
		return int64(binary.LittleEndian.Uint32(ring[i*4:]))
	}
	return int64(binary.LittleEndian.Uint64(ring[i*8:]))
}

func putEntry(ring []byte, i int64, entry int, v int64) {
	if entry == 4 {
		binary.LittleEndian.PutUint32(ring[i*4:], uint32(v))
		return
	}
	binary.LittleEndian.PutUint64(ring[i*8:], uint64(v))
}
