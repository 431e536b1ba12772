package window

import "encoding/binary"

// Different values across accounts, one shard's part: 64 values, each a [trace], and one trace more (of the value 0) for values that found
// no room: places are taken in order and never given back empty, so it is the last.
//
// A value leaves only when it is older than span + Ahead, so that nobody who reads as of a slice up to Ahead ago can miss it; while all 64
// are younger, a new value goes into the last trace alone, and the reading is 64 (or more, with other shards) until span has passed since.
// So a reading as of slice s depends on slices up to s only. Exact as long as no shard has more than 64 within span + Ahead.
const distinctAcrossEntry = 4 + traceSize

var distinctAcrossKind = kind{funcs: []Func{Distinct}, across: true, span: true, field: true,
	size: func(c *cell) { c.list(0, distinctAcrossEntry, distinctMax+1) },
	observe: func(w *opened, o *occasion, c *cell) note {
		if v := o.value(c); v != 0 {
			distinctAcrossAdd(w, c, v, o.at)
		}
		return note{}
	},
	gather: func(rec []byte, c *cell, r reach, _ note, t *tally) {
		b := c.bytes(rec)
		for e := b; len(e) > 0; e = e[distinctAcrossEntry:] {
			v := binary.LittleEndian.Uint32(e)
			if at := traceAsOf(e[4:], r.to); at >= 0 && at >= r.from {
				if v == 0 {
					t.full = true
				} else {
					t.set = append(t.set, v)
				}
			}
		}
	},
	total: func(_ *occasion, t *tally) float64 {
		n := countDistinct(t.set)
		if t.full {
			n = max(n, distinctMax)
		}
		return float64(n)
	},
}

func distinctAcrossAdd(w *opened, c *cell, v uint32, at int64) {
	b := c.bytes(w.rec)
	var free []byte
	for i := 0; i < min(len(b), distinctMax*distinctAcrossEntry); i += distinctAcrossEntry {
		e := b[i : i+distinctAcrossEntry]
		if binary.LittleEndian.Uint32(e) == v {
			traceAdd(e[4:], at)
			return
		}
		if free == nil && traceNewest(e[4:]) <= at-Ahead-c.spanned {
			free = e
		}
	}
	n := len(b)
	switch {
	case free != nil:
		clear(free)
	case n > distinctMax*distinctAcrossEntry:
		free, v = b[distinctMax*distinctAcrossEntry:], 0
	default:
		free = w.resize(c, n+distinctAcrossEntry)[n:]
		if n == distinctMax*distinctAcrossEntry {
			v = 0
		}
	}
	binary.LittleEndian.PutUint32(free, v)
	traceAdd(free[4:], at)
}
