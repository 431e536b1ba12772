package window

import "encoding/binary"

// Different values within an account: the 64 values seen last, each with the second it was seen last. So a reading is exact up to 64 and
// 64 beyond. It covers the span and up to a second more.
const (
	distinctMax   = 64
	distinctEntry = 8 // hash, seconds
)

var distinctKind = kind{funcs: []Func{Distinct}, span: true, field: true,
	size: func(*cell) int { return distinctMax * distinctEntry },
	observe: func(rec []byte, o *occasion, c *cell) note {
		if v := o.value(c); v != 0 {
			distinctAdd(c.bytes(rec), v, o.at/1000)
		}
		return note{}
	},
	read: func(rec []byte, o *occasion, c *cell, _ note, _ Func) float64 {
		b, n, from := c.bytes(rec), 0, max(0, (o.now-c.spanned)/1000)
		for ; len(b) > 0 && binary.LittleEndian.Uint32(b) != 0; b = b[distinctEntry:] {
			if seconds(b[4:]) >= from {
				n++
			}
		}
		return float64(n)
	},
}

func distinctAdd(b []byte, v uint32, at int64) {
	oldest := b
	for e := b; len(e) > 0; e = e[distinctEntry:] {
		switch binary.LittleEndian.Uint32(e) {
		case v:
			putSeconds(e[4:], max(at, seconds(e[4:])))
			return
		case 0:
			binary.LittleEndian.PutUint32(e, v)
			putSeconds(e[4:], at)
			return
		}
		if seconds(e[4:]) < seconds(oldest[4:]) {
			oldest = e
		}
	}
	if seconds(oldest[4:]) < at {
		binary.LittleEndian.PutUint32(oldest, v)
		putSeconds(oldest[4:], at)
	}
}
