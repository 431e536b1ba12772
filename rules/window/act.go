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
	slot, ok := t.find(m.hash.sum(string(account)))
	if !ok || reflects(t.rec(slot), sequence) {
		return
	}
	rec := t.rec(slot)
	for _, c := range m.layout.byKey[0] {
		switch {
		case !c.kind.keeps:
			clear(c.bytes(rec))
		case !since.IsZero():
			c.kind.forget(rec, c, clampMillis(since))
		}
	}
	if n := newest(rec); n >= 0 {
		setFloor(rec, n)
	}
	setStamp(rec, sequence)
	t.touch(slot)
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
	slot, ok := t.find(h)
	if !ok {
		slot = t.insert(h, sequence, m.now)
	}
	rec := t.rec(slot)
	if reflects(rec, sequence) {
		return
	}
	for _, c := range m.layout.byKey[0] {
		if c.isField(field) {
			c.learn(rec, m.hash.short(value), clampMillis(at)/1000)
		}
	}
	setStamp(rec, sequence)
	t.touch(slot)
}
