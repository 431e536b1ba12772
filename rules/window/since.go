package window

// Time since the newest earlier event of some types: within an account its event time, across accounts a [trace] of its slices.

var sinceKind = kind{funcs: []Func{Since},
	size: func(c *cell) { c.fixed(8) },
	observe: func(w *opened, o *occasion, c *cell) note {
		n := sincePeek(w.rec, o, c)
		if b := w.ready(c, 8); o.at > millis(b) {
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
	b := c.bytes(rec)
	if b == nil {
		return note{a: -1}
	}
	at := millis(b)
	return note{a: at, ok: at >= 0}
}

var sinceAcrossKind = kind{funcs: []Func{Since}, across: true,
	size: func(c *cell) { c.fixed(traceSize) },
	observe: func(w *opened, o *occasion, c *cell) note {
		n := sinceAcrossPeek(w.rec, o, c)
		traceAdd(w.ready(c, traceSize), o.at)
		return n
	},
	peek: sinceAcrossPeek,
	gather: func(rec []byte, c *cell, r reach, n note, t *tally) {
		at := n.a
		if !r.own {
			at = -1
			if b := c.bytes(rec); b != nil {
				at = traceAsOf(b, r.to)
			}
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
	if b := c.bytes(rec); b != nil {
		return note{a: traceNewest(b), ok: true}
	}
	return note{a: -1, ok: true}
}
