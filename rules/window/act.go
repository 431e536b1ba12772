package window

import (
	"time"

	"doorward/auth"
)

// Forget is what a recovery does to an account's windows: counts, sums, distinct values, sequences, last places, times since and the
// rules' own memories start anew, and late events from before do not enter them again. Of the known sets, what was first seen at or after
// since (zero: nothing) is no longer known. Age and older known values stay.
func (m *Memory) Forget(account auth.AccountID, sequence uint64, since time.Time) {
	m.settle()
	t := m.account
	h := m.hash.sum(string(account))
	ref, ok := t.find(&h)
	if !ok || reflects(t.rec(ref), sequence) {
		return
	}
	w := t.open(ref)
	for _, c := range m.layout.byKey[0] {
		switch {
		case !c.kind.keeps:
			w.resize(c, 0)
		case !since.IsZero():
			c.kind.forget(&w, c, clampMillis(since))
		}
	}
	if n := newest(w.rec); n >= 0 {
		setFloor(w.rec, n)
	}
	setStamp(w.rec, sequence)
	w.shrink()
	t.touch(w.ref, w.rec)
}

// Learn makes a value of a field known to an account, as if it had been seen at that time: a device that its owner trusts.
func (m *Memory) Learn(account auth.AccountID, field, value string, at time.Time, sequence uint64) {
	m.settle()
	switch field {
	case "ip":
		value = canonicalIP(value)
	case "network":
		value = network(canonicalIP(value))
	}
	if value == "" {
		return
	}
	t, h := m.account, m.hash.sum(string(account))
	ref, ok := t.find(&h)
	if !ok {
		ref = t.insert(&h, sequence, m.now)
	}
	w := t.open(ref)
	if reflects(w.rec, sequence) {
		return
	}
	for _, c := range m.layout.byKey[0] {
		if c.isField(field) {
			c.learn(&w, m.hash.short(value), clampMillis(at)/1000)
		}
	}
	setStamp(w.rec, sequence)
	t.touch(w.ref, w.rec)
}
