package window

const againSize = 9 // was true, last fired

// A rule's own memory for `again:`: was it true at the account's event before, when did it fire last. See View.Again.
var againKind = kind{funcs: []Func{Again}, field: true,
	size:    func(*cell) int { return againSize },
	match:   func(*cell, string) bool { return false },
	observe: func([]byte, *occasion, *cell) note { return note{} },
	read: func(rec []byte, _ *occasion, c *cell, _ note, _ Func) float64 {
		return float64(c.bytes(rec)[0])
	},
}
