package window

// Age needs no bytes of its own: every record's header holds when its key was first met (event time, or slice).

var ageKind = kind{funcs: []Func{Age}, keeps: true,
	size:    func(*cell) {},
	match:   func(*cell, string) bool { return false },
	observe: func(*opened, *occasion, *cell) note { return note{} },
	read: func(rec []byte, o *occasion, _ *cell, _ note, _ Func) float64 {
		return float64(max(0, o.now-first(rec))) / 1000
	},
	forget: func(*opened, *cell, int64) {},
}

var ageAcrossKind = kind{funcs: []Func{Age}, across: true, keeps: true,
	size:    func(*cell) {},
	match:   func(*cell, string) bool { return false },
	observe: func(*opened, *occasion, *cell) note { return note{} },
	gather: func(rec []byte, _ *cell, r reach, _ note, t *tally) {
		if f := first(rec); f <= r.to && (!t.has || f < t.first) {
			t.first, t.has = f, true
		}
	},
	total: func(o *occasion, t *tally) float64 {
		if !t.has {
			return 0
		}
		return float64(max(0, o.now-t.first))
	},
}
