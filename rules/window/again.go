package window

const againSize = 12 // was true 1, last fired 8

// A rule's own memory for `again:`: was it true at the account's event before, when did it fire last. See View.Again.
var againKind = kind{funcs: []Func{Again}, field: true,
	size:    func(c *cell) { c.fixed(againSize) },
	match:   func(*cell, string) bool { return false },
	observe: func(*opened, *occasion, *cell) note { return note{} },
	read: func(rec []byte, _ *occasion, c *cell, _ note, _ Func) float64 {
		if b := c.bytes(rec); b != nil {
			return float64(b[0])
		}
		return 0
	},
}
