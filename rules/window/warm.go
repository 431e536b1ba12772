package window

import "doorward/rules/event"

// warming is what Warm has in hand for one key of one event.
type warming struct {
	t   *table
	id  id
	ref uint32
	has bool
}

// Warm reads ahead the records that Takes of these events will want, so that the processor waits for many of them at once and not for one
// after the other: most of what an event costs at a million accounts is such waiting. A few hundred events at a time do best. It is a hint:
// it changes nothing, and no reading depends on it.
func (m *Memory) Warm(events []*event.Event) {
	list := m.warm[:0]
	for _, e := range events {
		p := m.plan(string(e.Type))
		m.values.source.event, m.values.source.parsed = e, false
		m.values.turn()
		for k := range Keys {
			if (k == 0 || p.marks[k]) && m.values.has(k) {
				list = append(list, warming{t: m.table(k), id: *m.values.id(k)})
			}
		}
	}
	m.warm, m.warmed = list[:0], touch(list)
	m.values.turn()
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
