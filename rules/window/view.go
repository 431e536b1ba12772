package window

import "time"

// View is the windows as of one event. It belongs to its Memory and is good until the next Take.
type View struct {
	m         *Memory
	in        *Input
	at, slice occasion // of the account; across accounts
	recs      [][]byte // by position in Keys; nil: there is none
	found     []bool   // recs has it, or that there is none
	account   opened
	other     opened // the record across accounts in hand
	passed    bool   // the account's record reflects the event already
	logged    bool   // the log holds the event, as a change of the account's record
	notes     []note // by cell
	noted     []bool
	tally     tally
}

func (v *View) begin(in *Input) {
	m := v.m
	v.in, v.logged = in, false
	m.values.set(in.Event, &in.Place, m.ahead(in.Event))
	clear(v.noted)
	clear(v.recs)
	clear(v.found)
	v.at.event, v.at.place = in.Event, &in.Place
	v.slice.event, v.slice.place = in.Event, &in.Place
	v.slice.now = m.clock.Load() / 1000
	v.slice.at = v.slice.now
}

func (v *View) note(c *cell, n note) { v.notes[c.index], v.noted[c.index] = n, true }

// noteOf is what observing c found; for an event that did not count there, what it finds now, as nothing has changed.
func (v *View) noteOf(c *cell, rec []byte, o *occasion) note {
	switch {
	case v.noted[c.index]:
		return v.notes[c.index]
	case c.kind.peek != nil && rec != nil:
		return c.kind.peek(rec, o, c)
	}
	return note{a: -1}
}

// Timing is where the event lies in its account's time.
func (v *View) Timing() Timing { return v.at.timing }

// Newest is the time of the account's newest event, this one included: where its windows end.
func (v *View) Newest() time.Time { return time.UnixMilli(v.at.now).UTC() }

// Read is the value of a slot, this event included.
func (v *View) Read(slot int) Reading {
	r := &v.m.layout.readings[slot]
	c := r.cell
	if c.kind.across {
		return v.readAcross(slot, r)
	}
	rec := v.recs[0]
	return Reading{Value: c.kind.read(rec, &v.at, c, v.noteOf(c, rec, &v.at), r.spec.Func), Known: v.at.now > v.m.knownFrom[slot]}
}

// rec is this shard's record of a key of the event.
func (v *View) rec(k int) []byte {
	if !v.found[k] {
		v.found[k] = true
		if v.m.values.has(k) {
			if ref, ok := v.m.across[k].find(v.m.values.id(k)); ok {
				v.recs[k] = v.m.across[k].rec(ref)
			}
		}
	}
	return v.recs[k]
}

// readAcross merges the own part as it is with the others' as of their slices. The window ends at the own slice, or at another shard's
// where that one is ahead.
func (v *View) readAcross(slot int, r *reading) Reading {
	m, c, o := v.m, r.cell, &v.slice
	v.tally = tally{set: v.tally.set[:0]}
	out := Reading{Known: o.now > m.knownFrom[slot], Across: true, AsOf: o.now}
	if rec := v.rec(c.key); rec != nil {
		c.kind.gather(rec, c, reach{o.now - c.spanned + 1, o.now, true}, v.noteOf(c, rec, o), &v.tally)
	}
	may := uint32(0)
	if m.board != nil && m.values.has(c.key) {
		may = m.board.presence[c.key].bits(m.values.id(c.key))
	}
	for i, s := range m.asOf {
		if i == m.shard || s == Nothing {
			continue
		}
		out.AsOf = min(out.AsOf, s)
		if may>>(i%8)&1 != 0 {
			m.gatherOf(i, m.values.id(c.key), c, reach{max(o.now, s) - c.spanned + 1, s, false}, &v.tally)
		}
	}
	out.Value = c.kind.total(o, &v.tally)
	return out
}

// gatherOf adds another shard's part. During a change of rules that shard may have another layout, or not know the window yet.
func (m *Memory) gatherOf(shard int, h *id, c *cell, r reach, t *tally) {
	if shard >= len(m.board.members) {
		return
	}
	other := m.board.members[shard].Load()
	if other == nil {
		return
	}
	if other.layout != m.layout {
		if c = other.layout.states[c.text]; c == nil {
			return
		}
	}
	other.mu.RLock()
	defer other.mu.RUnlock()
	if rec := other.across[c.key].asOf(h, r.to); rec != nil {
		c.kind.gather(rec, c, r, note{a: -1}, t)
	}
}
