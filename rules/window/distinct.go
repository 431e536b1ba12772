package window

import "encoding/binary"

// Different values within an account: the 64 values seen last, each with the second it was seen last. So a reading is exact up to 64 and
// 64 beyond. It covers the span and up to a second more.
const (
	distinctMax   = 64
	distinctEntry = 8 // hash, seconds
)

var distinctKind = kind{funcs: []Func{Distinct}, span: true, field: true,
	size: func(c *cell) { c.list(0, distinctEntry, distinctMax) },
	observe: func(w *opened, o *occasion, c *cell) note {
		if v := o.value(c); v != 0 {
			distinctAdd(w, c, v, o.at/1000)
		}
		return note{}
	},
	read: func(rec []byte, o *occasion, c *cell, _ note, _ Func) float64 {
		b, n, from := c.bytes(rec), 0, max(0, (o.now-c.spanned)/1000)
		for ; len(b) > 0; b = b[distinctEntry:] {
			if seconds(b[4:]) >= from {
				n++
			}
		}
		return float64(n)
	},
}

func distinctAdd(w *opened, c *cell, v uint32, at int64) {
	b := c.bytes(w.rec)
	oldest := b
	for e := b; len(e) > 0; e = e[distinctEntry:] {
		if binary.LittleEndian.Uint32(e) == v {
			putSeconds(e[4:], max(at, seconds(e[4:])))
			return
		}
		if seconds(e[4:]) < seconds(oldest[4:]) {
			oldest = e
		}
	}
	if n := len(b); n < distinctMax*distinctEntry {
		oldest = w.resize(c, n+distinctEntry)[n:]
	} else if seconds(oldest[4:]) >= at {
		return
	}
	binary.LittleEndian.PutUint32(oldest, v)
	putSeconds(oldest[4:], at)
}
