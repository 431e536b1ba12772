package window

// Time since the newest earlier event of some types: within an account its event time, across accounts a [trace] of its slices.

var sinceKind = kind{funcs: []Func{Since},
	size: func(*cell) int { return 8 },
	observe: func(rec []byte, o *occasion, c *cell) note {
		n := sincePeek(rec, o, c)
		if b := c.bytes(rec); o.at > millis(b) {
			putMillis(b, o.at)
		}
		return n
	},
	peek: sincePeek,
	read: func(_ []byte, o *occasion, _ *cell, n note, _ Func) float64 {
		if !n.ok {
			return -1
		}
		return float64(max(0, o.now-n.a)) / 1000
	},
}

func sincePeek(rec []byte, _ *occasion, c *cell) note {
	at := millis(c.bytes(rec))
	return note{a: at, ok: at >= 0}
}

var sinceAcrossKind = kind{funcs: []Func{Since}, across: true,
	size: func(*cell) int { return traceSize },
	observe: func(rec []byte, o *occasion, c *cell) note {
		n := sinceAcrossPeek(rec, o, c)
		traceAdd(c.bytes(rec), o.at)
		return n
	},
	peek: sinceAcrossPeek,
	gather: func(rec []byte, c *cell, r reach, n note, t *tally) {
		at := n.a
		if !r.own {
			at = traceAsOf(c.bytes(rec), r.to)
		}
		if at >= 0 && (!t.has || at > t.last) {
			t.last, t.has = at, true
		}
	},
	total: func(o *occasion, t *tally) float64 {
		if !t.has {
			return -1
		}
		return float64(max(0, o.now-t.last))
	},
}

func sinceAcrossPeek(rec []byte, _ *occasion, c *cell) note {
	return note{a: traceNewest(c.bytes(rec)), ok: true}
}
