package window

import (
	"encoding/binary"
	"slices"
	"time"
)

// The rules' own memory for `again:` is one list in an account's record: of every rule that was true when it was asked last, or whose last
// firing still counts, its number among the rules of the layout, whether it was true, and when it fired last; in the order of their numbers.
// So a record is as long as what is true of its account, and what an event costs does not grow with the rules that are not.
//
// An entry is one number of 64 bits: the rule's 16, true 1, the time of its last firing plus one 47 (0: never).
const (
	againEntry = 8
	againTrue  = 1 << 47
	againTimes = againTrue - 1
	maxAgain   = 1 << 16 // rules of a layout that remember
)

// Never is the Last of a rule that has not fired.
const Never = -1

// Recall is what is remembered of one rule and account.
type Recall struct {
	Slot int   // of its Again spec
	True bool  // it was true when it was asked last
	Last int64 // when it fired last, ms of event time since 1970; Never
}

// kept reports whether there is anything to remember.
func (r *Recall) kept() bool { return r.True || r.Last >= 0 }

func (r *Recall) entry(first int) uint64 {
	e := uint64(r.Slot-first)<<48 | uint64(min(max(r.Last+1, 0), againTimes))
	if r.True {
		e |= againTrue
	}
	return e
}

func recallOf(e uint64, first int) Recall {
	return Recall{first + int(e>>48), e&againTrue != 0, int64(e&againTimes) - 1}
}

var againKind = kind{funcs: []Func{Again}, field: true,
	size:    func(c *cell) { c.list(0, againEntry, c.rules) },
	match:   func(*cell, string) bool { return false },
	observe: func(*opened, *occasion, *cell) note { return note{} },
	read: func(rec []byte, _ *occasion, c *cell, _ note, _ Func) float64 { // how many rules are remembered; of one, View.Again
		return float64(len(c.bytes(rec)) / againEntry)
	},
	sound: func(c *cell, b []byte) bool {
		before := -1
		for ; len(b) >= againEntry; b = b[againEntry:] {
			n := int(binary.LittleEndian.Uint64(b) >> 48)
			if n <= before || n >= c.rules {
				return false
			}
			before = n
		}
		return true
	},
}

// Recalled appends what is remembered of the account's rules before this event, in the order of their slots.
func (v *View) Recalled(dst []Recall) []Recall {
	l := v.m.layout
	if l.again == nil {
		return dst
	}
	for b := l.again.bytes(v.recs[0]); len(b) >= againEntry; b = b[againEntry:] {
		dst = append(dst, recallOf(binary.LittleEndian.Uint64(b), l.firstAgain))
	}
	return dst
}

// Again is what is remembered of one rule: was it true at the event before, and when did it fire last (zero: never, or that counts no more).
// The slot must be of an Again spec.
func (v *View) Again(slot int) (wasTrue bool, last time.Time) {
	for b := v.m.layout.again.bytes(v.recs[0]); len(b) >= againEntry; b = b[againEntry:] {
		r := recallOf(binary.LittleEndian.Uint64(b), v.m.layout.firstAgain)
		if r.Slot == slot {
			if r.Last >= 0 {
				last = time.UnixMilli(r.Last).UTC()
			}
			return r.True, last
		}
	}
	return false, last
}

// SetAgain writes what Again reads at the account's next event, of some rules in the order of their slots; one that is not true and has
// never fired is remembered no more. When the account's record reflects the event already, nothing is written again. This is the one place
// where what rules remember is written.
func (v *View) SetAgain(changes ...Recall) {
	if v.passed || len(changes) == 0 {
		return
	}
	w := &v.account
	if !v.m.layout.recall(w, changes, &v.m.list) {
		return
	}
	v.recs[0] = w.rec
	setStamp(w.rec, max(v.in.Sequence, stamp(w.rec)))
	w.t.touch(w.ref, w.rec)
}

// recall puts changes into a record's list; scratch holds the list in the making. It reports whether anything is not as it was.
func (l *Layout) recall(w *opened, changes []Recall, scratch *[]byte) bool {
	before := l.again.bytes(w.rec)
	list, rest := (*scratch)[:0], before
	for i := range changes {
		c := &changes[i]
		n := uint64(c.Slot - l.firstAgain)
		for len(rest) > 0 && binary.LittleEndian.Uint64(rest)>>48 < n {
			list, rest = append(list, rest[:againEntry]...), rest[againEntry:]
		}
		if len(rest) > 0 && binary.LittleEndian.Uint64(rest)>>48 == n {
			rest = rest[againEntry:]
		}
		if c.kept() {
			list = binary.LittleEndian.AppendUint64(list, c.entry(l.firstAgain))
		}
	}
	list = append(list, rest...)
	*scratch = list
	if slices.Equal(list, before) {
		return false
	}
	copy(w.resize(l.again, len(list)), list)
	w.shrink()
	return true
}

// renumbered says which rules of l continue each of another layout's: its own id, else one it had before.
func (l *Layout) renumbered(stored *Layout) [][]int {
	to := make([][]int, stored.again.rules)
	for n := range l.again.rules {
		if was := stored.recalledAs(l.readings[l.firstAgain+n].spec); was >= 0 {
			to[was-stored.firstAgain] = append(to[was-stored.firstAgain], n)
		}
	}
	return to
}

// recalledAs is the slot under which stored remembers a rule; -1: under none.
func (l *Layout) recalledAs(s Spec) int {
	if slot := l.Slot(s); slot >= 0 {
		return slot
	}
	for _, was := range s.Was {
		s.Field = was
		if slot := l.Slot(s); slot >= 0 {
			return slot
		}
	}
	return -1
}

// renumber is a list of another layout in the numbers of this one.
func renumber(list []byte, to [][]int) []byte {
	var all []uint64
	for ; len(list) >= againEntry; list = list[againEntry:] {
		e := binary.LittleEndian.Uint64(list)
		for _, n := range to[e>>48] {
			all = append(all, uint64(n)<<48|e&(againTrue|againTimes))
		}
	}
	slices.Sort(all)
	var b []byte
	for _, e := range all {
		b = binary.LittleEndian.AppendUint64(b, e)
	}
	return b
}
