package window

import "encoding/binary"

// The known set of a field of an account: its values with the seconds when each was seen first and last. When it is full, the one not seen
// for longest leaves.
//
// An attacker's failures must not make his device known, so without types of its own a set learns from every event but failures and
// reports. first_seen is 1 when the event's value was not known before it, whether the event teaches it or not.
const knownEntry = 12 // hash, first, last

// knownMax is how many values a set holds, by field; 16 for the others.
var knownMax = map[string]int{"counterparty": 64, "ip": 32, "network": 32}

const knownDefault = 16

var unteaching = newMatcher([]string{"login.failed", "login.challenged", "login.mfa.failed", "login.mfa.denied", "report.*"})

var knownKind = kind{funcs: []Func{Known, FirstSeen, KnownFor}, field: true, keeps: true,
	size: func(c *cell) {
		c.buckets = knownDefault
		if n, ok := knownMax[c.spec.Field]; ok {
			c.buckets = n
		}
		c.list(0, knownEntry, c.buckets)
	},
	match: func(c *cell, eventType string) bool {
		return c.types.match(eventType) && (len(c.spec.Types) > 0 || !unteaching.match(eventType))
	},
	observe: func(w *opened, o *occasion, c *cell) note {
		v := o.value(c)
		if v == 0 {
			return knownPeek(w.rec, o, c)
		}
		return c.learn(w, v, o.at/1000)
	},
	peek: knownPeek,
	read: func(_ []byte, o *occasion, c *cell, n note, f Func) float64 {
		has := o.value(c) != 0
		switch {
		case f == Known:
			return float64(n.b)
		case f == FirstSeen && has && !n.ok:
			return 1
		case f == FirstSeen:
			return 0
		case !has:
			return -1
		case !n.ok:
			return 0
		}
		return float64(max(0, o.now/1000-n.a))
	},
	forget: func(w *opened, c *cell, since int64) {
		b := c.bytes(w.rec)
		kept := 0
		for e := b; len(e) > 0; e = e[knownEntry:] {
			if seconds(e[4:]) < since/1000 {
				copy(b[kept:kept+knownEntry], e[:knownEntry])
				kept += knownEntry
			}
		}
		w.resize(c, kept)
	},
}

func knownPeek(rec []byte, o *occasion, c *cell) note {
	n, _ := knownFind(c.bytes(rec), o.value(c))
	return n
}

// knownFind: a: when v was first seen, ok: it is known, and its entry; b: how many values are. 0 is never known.
func knownFind(b []byte, v uint32) (n note, entry []byte) {
	for ; len(b) >= knownEntry; b = b[knownEntry:] {
		h := binary.LittleEndian.Uint32(b)
		n.b++
		if h == v {
			n.a, n.ok, entry = seconds(b[4:]), true, b[:knownEntry]
		}
	}
	return n, entry
}

// learn notes that v was seen and gives what was known before.
func (c *cell) learn(w *opened, v uint32, at int64) note {
	n, e := knownFind(c.bytes(w.rec), v)
	if n.ok {
		putSeconds(e[4:], min(at, seconds(e[4:])))
		putSeconds(e[8:], max(at, seconds(e[8:])))
	} else {
		knownAdd(w, c, v, at)
	}
	return n
}

// knownAdd puts v, which is not known, in a free place or in that of the value not seen for longest.
func knownAdd(w *opened, c *cell, v uint32, at int64) {
	b := c.bytes(w.rec)
	oldest := b
	if n := len(b); n < c.most {
		oldest = w.resize(c, n+knownEntry)[n:]
	} else {
		for e := b; len(e) > 0; e = e[knownEntry:] {
			if seconds(e[8:]) < seconds(oldest[8:]) {
				oldest = e
			}
		}
		if seconds(oldest[8:]) > at {
			return
		}
	}
	binary.LittleEndian.PutUint32(oldest, v)
	putSeconds(oldest[4:], at)
	putSeconds(oldest[8:], at)
}

// isField reports whether a known set is of field, for Learn.
func (c *cell) isField(field string) bool {
	return c.kind == &knownKind && c.spec.Field == field
}
