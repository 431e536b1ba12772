package window

import (
	"doorward/auth"
	"doorward/rules/event"
)

// The plain mark is one bit that the caller keeps in an account's record, where it costs nothing to ask: what it says is the caller's alone.
// It is written with an event's windows, is always that of the record's last change, goes through pages, deltas and another layout, and
// leaves with the record.

// Plain reports whether the record of the event's account is here and marked. Between the event's Warm and its Take that costs next to
// nothing.
func (m *Memory) Plain(e *event.Event) bool {
	t := m.account
	var h *id
	if a := m.ahead(e); a != nil && a.made&1 != 0 {
		h = &a.ids[0]
	} else {
		sum := m.hash.sum(string(e.Account))
		h = &sum
	}
	ref, ok := t.find(h)
	return ok && t.rec(ref)[47]&isPlain != 0
}

// SetPlain marks the record of the event's account or takes the mark off, as part of the event: when the record reflects the event already,
// its mark is as the event left it and stays.
func (v *View) SetPlain(on bool) {
	w := &v.account
	if v.passed || on == (w.rec[47]&isPlain != 0) {
		return
	}
	w.rec[47] ^= isPlain
	if v.logged {
		v.m.log.mark(on)
		return
	}
	setStamp(w.rec, max(v.in.Sequence, stamp(w.rec)))
	w.t.touch(w.ref, w.rec)
}

// ClearPlain takes the mark off an account's record, between events. It goes out with the next Dirty.
func (m *Memory) ClearPlain(account auth.AccountID) {
	t, h := m.account, m.hash.sum(string(account))
	ref, ok := t.find(&h)
	if !ok {
		return
	}
	if rec := t.rec(ref); rec[47]&isPlain != 0 {
		rec[47] &^= isPlain
		t.touch(ref, rec)
	}
}
