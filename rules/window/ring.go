package window

import "encoding/binary"

// Counts and sums within an account: a ring of 32 buckets of a 30th of the span (rounded up to a millisecond) by event time, and the
// number of its newest bucket. A reading is the buckets that touch (newest - span, newest]: never less than the span, at most one bucket
// more. A late event lands in its own bucket; one older than the ring changes nothing.
const (
	ringBuckets = 32
	ringParts   = 30
)

var countKind = kind{funcs: []Func{Count}, span: true,
	size: func(c *cell) int { return ringSize(c, 2) },
	observe: func(rec []byte, o *occasion, c *cell) note {
		if p := ringSlot(c.bytes(rec), c, o.at, 2); p != nil {
			// 65,535 in a 30th of the span reads as that many: far above what any rule asks
			if n := binary.LittleEndian.Uint16(p); n < 1<<16-1 {
				binary.LittleEndian.PutUint16(p, n+1)
			}
		}
		return note{}
	},
	read: func(rec []byte, o *occasion, c *cell, _ note, _ Func) float64 {
		sum := uint64(0)
		ringRead(c.bytes(rec), c, o.now, 2, func(p []byte) { sum += uint64(binary.LittleEndian.Uint16(p)) })
		return float64(sum)
	},
}

var sumKind = kind{funcs: []Func{Sum}, span: true,
	size: func(c *cell) int { return ringSize(c, 8) },
	observe: func(rec []byte, o *occasion, c *cell) note {
		if !o.event.HasAmount {
			return note{}
		}
		if p := ringSlot(c.bytes(rec), c, o.at, 8); p != nil {
			sum := addCapped(int64(binary.LittleEndian.Uint64(p)), max(0, o.event.Amount))
			binary.LittleEndian.PutUint64(p, uint64(sum))
		}
		return note{}
	},
	read: func(rec []byte, o *occasion, c *cell, _ note, _ Func) float64 {
		sum := int64(0)
		ringRead(c.bytes(rec), c, o.now, 8, func(p []byte) { sum = addCapped(sum, int64(binary.LittleEndian.Uint64(p))) })
		return float64(sum)
	},
}

func ringSize(c *cell, entry int) int {
	c.width = (c.spanned + ringParts - 1) / ringParts
	c.buckets = ringBuckets
	return 8 + ringBuckets*entry
}

// ringSlot is the entry of the bucket of at, the ring moved on to it when it is newer; nil when the ring has passed it.
func ringSlot(b []byte, c *cell, at int64, entry int) []byte {
	n := int64(c.buckets)
	bucket := at / c.width
	newest := int64(binary.LittleEndian.Uint64(b)) - 1 // -1: empty
	ring := b[8 : 8+c.buckets*entry]
	if bucket > newest {
		for i := max(newest+1, bucket-n+1); i <= bucket; i++ {
			clear(ring[int(i%n)*entry : int(i%n+1)*entry])
		}
		binary.LittleEndian.PutUint64(b, uint64(bucket)+1)
	} else if bucket <= newest-n {
		return nil
	}
	return ring[int(bucket%n)*entry : int(bucket%n+1)*entry]
}

// ringRead gives the entries of the buckets that touch (now - span, now].
func ringRead(b []byte, c *cell, now int64, entry int, each func([]byte)) {
	n := int64(c.buckets)
	newest := int64(binary.LittleEndian.Uint64(b)) - 1
	ring := b[8 : 8+c.buckets*entry]
	for i := max(0, newest-n+1, (now-c.spanned)/c.width); i <= newest; i++ {
		each(ring[int(i%n)*entry : int(i%n+1)*entry])
	}
}
