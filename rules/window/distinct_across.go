package window

import "encoding/binary"

// Different values across accounts, one shard's part: 64 values, each a [trace], and one trace more for values that found no room.
//
// A value leaves only when it is older than span + Ahead, so that nobody who reads as of a slice up to Ahead ago can miss it; while all 64
// are younger, a new value goes into the last trace alone, and the reading is 64 (or more, with other shards) until span has passed since.
// So a reading as of slice s depends on slices up to s only. Exact as long as no shard has more than 64 within span + Ahead.
const distinctAcrossEntry = 4 + traceSize

var distinctAcrossKind = kind{funcs: []Func{Distinct}, across: true, span: true, field: true,
	size: func(*cell) int { return (distinctMax + 1) * distinctAcrossEntry },
	observe: func(rec []byte, o *occasion, c *cell) note {
		if v := o.value(c); v != 0 {
			distinctAcrossAdd(c.bytes(rec), v, o.at, c.spanned)
		}
		return note{}
	},
	gather: func(rec []byte, c *cell, r reach, _ note, t *tally) {
		b := c.bytes(rec)
		for i := range distinctMax {
			e := b[i*distinctAcrossEntry:]
			v := binary.LittleEndian.Uint32(e)
			if v == 0 {
				return // places are taken in order and never given back empty
			}
			if at := traceAsOf(e[4:], r.to); at >= 0 && at >= r.from {
				t.set = append(t.set, v)
			}
		}
		at := traceAsOf(b[distinctMax*distinctAcrossEntry+4:], r.to)
		t.full = t.full || at >= 0 && at >= r.from
	},
	total: func(_ *occasion, t *tally) float64 {
		n := countDistinct(t.set)
		if t.full {
			n = max(n, distinctMax)
		}
		return float64(n)
	},
}

func distinctAcrossAdd(b []byte, v uint32, at, span int64) {
	free := -1
	for i := range distinctMax {
		e := b[i*distinctAcrossEntry:]
		h := binary.LittleEndian.Uint32(e)
		if h == v {
			traceAdd(e[4:], at)
			return
		}
		if free < 0 && (h == 0 || traceNewest(e[4:]) <= at-Ahead-span) {
			free = i
		}
		if h == 0 {
			break
		}
	}
	if free < 0 {
		traceAdd(b[distinctMax*distinctAcrossEntry+4:], at)
		return
	}
	e := b[free*distinctAcrossEntry : (free+1)*distinctAcrossEntry]
	clear(e)
	binary.LittleEndian.PutUint32(e, v)
	traceAdd(e[4:], at)
}
