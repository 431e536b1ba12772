package window

import "encoding/binary"

// Version 2 of a stored layout, which is read and never written: what rules remember was a cell for each rule, was true 1, last fired 8
// (putMillis), and 3 of nothing. The other windows are as they are now.
const (
	layoutEach = 2
	eachSize   = 12
)

// eachKind is what one rule remembered in version 2.
var eachKind = kind{funcs: []Func{Again}, field: true,
	size:    func(c *cell) { c.fixed(eachSize) },
	match:   func(*cell, string) bool { return false },
	observe: func(*opened, *occasion, *cell) note { return note{} },
	read:    func([]byte, *occasion, *cell, note, Func) float64 { return 0 }, // nothing is read under a stored layout
}

// eachOf are, by the numbers of l's rules, the cells in which a stored layout of version 2 remembers them; nil: in none.
func (l *Layout) eachOf(stored *Layout) []*cell {
	cells := make([]*cell, l.again.rules)
	for n := range cells {
		if was := stored.recalledAs(l.readings[l.firstAgain+n].spec); was >= 0 {
			cells[n] = stored.readings[was].cell
		}
	}
	return cells
}

// listed is the list of what is remembered in those cells of a record.
func listed(rec []byte, cells []*cell) (list []byte) {
	for n, c := range cells {
		if c == nil {
			continue
		}
		b := c.bytes(rec)
		if b == nil {
			continue
		}
		r := Recall{Slot: n, True: b[0] != 0, Last: millis(b[1:])}
		if r.kept() {
			list = binary.LittleEndian.AppendUint64(list, r.entry(0))
		}
	}
	return list
}
