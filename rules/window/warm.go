package window

import (
	"slices"

	"doorward/rules/event"
)

// warming is what Warm has in hand for one key of one event.
type warming struct {
	t   *table
	id  id
	ref uint32
	has bool
}

// Warm looks ahead to the events that are taken next: it hashes their keys, once for all that is asked of them, and reads the records that
// they will want, so that the processor waits for many of them at once and not for one after the other: most of what an event costs at a
// million accounts is such waiting. A few hundred events at a time do best. It changes nothing, and no reading depends on it; but what it was
// given must stay as it is until all of it is taken, or Warm is called again. No view is good after it.
func (m *Memory) Warm(events []*event.Event) {
	list, v := m.warm[:0], &m.values
	m.batch, m.next = slices.Grow(m.batch[:0], len(events))[:len(events)], 0
	for i, e := range events {
		p := m.plan(string(e.Type))
		h := &m.batch[i]
		v.source.event, v.source.parsed = e, false
		v.keys = h
		h.of(&v.source)
		for k := range keyCount {
			if (k == 0 || p.marks[k]) && v.has(k) {
				list = append(list, warming{t: m.table(k), id: *v.id(k)})
			}
		}
	}
	m.warm, m.warmed = list[:0], touch(list)
	v.keys = &v.own
	v.turn()
}

// ahead is what Warm knows of an event; nil: it was not among those. Events are asked for in their order, more or less.
func (m *Memory) ahead(e *event.Event) *hashed {
	for range m.batch {
		if h := &m.batch[m.next]; h.event == e {
			return h
		}
		if m.next++; m.next == len(m.batch) {
			m.next = 0
		}
	}
	m.batch = m.batch[:0] // these come some other way
	return nil
}

// touch reads the records, and what finds them.
func touch(list []warming) (touched byte) {
	for i := range list {
		w := &list[i]
		tag := w.id.tag()
		words := w.t.index.segment(tag).words
		touched += byte(words[int(tag)&(len(words)-1)])
	}
	for i := range list {
		w := &list[i]
		w.ref, w.has = w.t.guess(&w.id)
		if p := w.t.presence.in; p != nil {
			touched += byte(p.bits(&w.id))
		}
	}
	for i := range list {
		if w := &list[i]; w.has {
			rec := w.t.rec(w.ref)
			touched += rec[0]
			for at := 64; at < len(rec) && at < 320; at += 64 {
				touched += rec[at]
			}
		}
	}
	return touched
}

// guess is where a record probably is: by its tag, without looking at it.
func (t *table) guess(h *id) (uint32, bool) {
	tag := h.tag()
	s := t.index.segment(tag)
	mask := len(s.words) - 1
	for i := int(tag) & mask; ; i = (i + 1) & mask {
		w := s.words[i]
		if w == 0 {
			return 0, false
		}
		if uint32(w>>32) == tag {
			return uint32(w) - 1, true
		}
	}
}
