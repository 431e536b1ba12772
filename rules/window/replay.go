package window

import (
	"slices"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// replays puts a log's takes into a memory again. A record that reflects a take already stays as it is, so it may come from a page that was
// made at any time; see durable.go for why that gives what there was.
type replays struct {
	stored *Layout // under which the log was written
	moves  []moves
	plans  map[string]*replay

	list   []logged // waiting, so that their records are read ahead together
	event  event.Event
	place  geo.Place
	values values

	rec, packed []byte // room
	types       []*replay
	touched     byte
}

// replay is what an event type changes here of what it changed under the stored layout.
type replay struct {
	name   string
	cells  [][]*cell // by position in Keys: windows that continue one of the stored layout
	fields []field   // of a take, in their order
}

// field is where a field of a take goes: its position among this layout's (-1: none looks at it), and the key it is.
type field struct{ to, key int }

// replayed is how many takes are put in at once.
const replayed = 256

// of makes r ready for logs of a layout.
func (r *replays) of(m *Memory, stored *Layout) {
	if r.stored == stored {
		return
	}
	if r.stored != nil {
		m.drop(r.stored, stored)
	}
	v := newValues(m.hash, m.layout.fields)
	v.turn()
	for i := range v.ready {
		v.ready[i] = v.round
	}
	*r = replays{stored: stored, moves: m.layout.movesFrom(stored), plans: map[string]*replay{}, values: v}
	r.list = make([]logged, 0, replayed)
}

func (r *replays) plan(m *Memory, eventType string) *replay {
	if p := r.plans[eventType]; p != nil {
		return p
	}
	if len(r.plans) >= maxPlans {
		clear(r.plans)
	}
	was := r.stored.plan(eventType)
	p := &replay{name: was.name, cells: make([][]*cell, len(Keys))}
	for _, f := range was.fields {
		name := r.stored.fields[f]
		p.fields = append(p.fields, field{slices.Index(m.layout.fields, name), slices.Index(keyFields[:], name)})
	}
	for _, c := range m.layout.cells {
		if from := r.stored.states[c.text]; from != nil && from.most == c.most && c.changedBy(eventType) {
			p.cells[c.key] = append(p.cells[c.key], c)
		}
	}
	r.plans[p.name] = p
	return p
}

// put adds an entry to those that wait.
func (r *replays) put(m *Memory, e *entry) {
	if e.tag == tagMark {
		for i := len(r.list) - 1; i >= 0; i-- {
			if r.list[i].plan != nil {
				r.list[i].mark = e.mark
				return
			}
		}
		return
	}
	if len(r.list) == replayed {
		r.flush(m)
	}
	r.list = r.list[:len(r.list)+1]
	l := &r.list[len(r.list)-1]
	room := l.values
	*l = e.logged
	l.values = append(room[:0], e.values...)
	if e.tag == tagTomb {
		l.plan, l.key = nil, e.key
	}
}

// flush takes in what waits.
func (r *replays) flush(m *Memory) {
	r.warm(m)
	for i := range r.list {
		if l := &r.list[i]; l.plan == nil {
			m.table(l.key).bar(l)
		} else {
			m.retake(l)
		}
	}
	r.list = r.list[:0]
}

// warm reads the records ahead.
func (r *replays) warm(m *Memory) {
	list := m.warm[:0]
	for i := range r.list {
		l := &r.list[i]
		if l.plan == nil {
			list = append(list, warming{t: m.table(l.key), id: l.ids[0]})
			continue
		}
		for k := range keyCount {
			if l.changed>>k&1 != 0 {
				list = append(list, warming{t: m.table(k), id: l.ids[k]})
			}
		}
	}
	r.touched = touch(list)
	m.warm = list[:0]
}

// bar takes out a record that left then.
func (t *table) bar(l *logged) {
	t.oldest.forget()
	if ref, ok := t.find(&l.ids[0]); ok && stamp(t.rec(ref)) <= l.sequence {
		t.remove(ref)
	}
}

// retake takes an event in as it was taken in: into the records that it changed then.
func (m *Memory) retake(l *logged) {
	r := &m.replays
	e := &r.event
	e.Type, e.Direction, e.HasAmount, e.Amount = event.Type(l.plan.name), "", l.flags&logHasAmount != 0, l.amount
	if l.flags&logIn != 0 {
		e.Direction = "in"
	}
	if l.flags&logOut != 0 {
		e.Direction = "out"
	}
	r.place = geo.Place{HasPoint: l.flags&logPlace != 0, Lat: float64(int32(l.lat)) / microdeg, Lon: float64(int32(l.lon)) / microdeg}
	r.values.h = l.values
	o := occasion{event: e, place: &r.place, at: l.at, now: l.at, values: &r.values}
	if l.flags&logLate != 0 {
		o.timing = Late
	}
	for k := range keyCount {
		if l.changed>>k&1 == 0 {
			continue
		}
		if k > 0 {
			o.at, o.now = l.slice, l.slice
		}
		m.table(k).retake(l, &o)
	}
}

func (t *table) retake(l *logged, o *occasion) {
	t.oldest.forget()
	h := &l.ids[t.key]
	ref, ok := t.find(h)
	if !ok {
		ref = t.add(h, t.young)
	}
	w := t.open(ref)
	if reflects(w.rec, l.sequence) {
		return
	}
	mark(w.rec, o, l.sequence)
	old := t.key == 0 && o.at < floor(w.rec)
	for _, c := range l.plan.cells[t.key] {
		if (!old || c.kind.keeps) && c.counts(o.event) {
			c.kind.observe(&w, o, c)
		}
	}
	if t.key == 0 && l.mark != markNone {
		w.rec[47] = w.rec[47]&^isPlain | isPlain*(l.mark-markOff)
	}
	w.shrink()
	if !ok {
		t.young = sizeOf(w.rec)
	}
}

// drop takes out the windows, and what rules remember, that another layout did not go on with, of what was restored under one before it: what
// has come back since starts anew, in every record alike.
func (m *Memory) drop(before, stored *Layout) {
	gone := make([][]*cell, len(Keys))
	for _, c := range m.layout.cells {
		if before.states[c.text] != nil && stored.states[c.text] == nil {
			gone[c.key] = append(gone[c.key], c)
		}
	}
	rules := m.layout.forgotten(before, stored)
	for k := range gone {
		if len(gone[k]) == 0 && (k > 0 || len(rules) == 0) {
			continue
		}
		t := m.table(k)
		out := func(rec []byte) {
			w := opened{t: t, rec: rec} // what gets smaller stays where it is
			for _, c := range gone[k] {
				w.resize(c, 0)
			}
			if k == 0 && len(rules) > 0 && m.layout.again.bytes(rec) != nil {
				kept := renumber(m.layout.again.bytes(rec), rules)
				copy(w.resize(m.layout.again, len(kept)), kept)
			}
		}
		t.live(0, len(t.slabs), out)
		for _, d := range t.graves.queue {
			out(d.rec)
		}
	}
}

// forgotten is, where another layout remembers less of l's rules than the one before it, l's rules without those; nil: nothing is forgotten.
func (l *Layout) forgotten(before, stored *Layout) (kept [][]int) {
	if l.again == nil {
		return nil
	}
	some := false
	kept = make([][]int, l.again.rules)
	for n := range kept {
		s := l.readings[l.firstAgain+n].spec
		if before.recalledAs(s) >= 0 && stored.recalledAs(s) < 0 {
			some = true
		} else {
			kept[n] = []int{n}
		}
	}
	if !some {
		return nil
	}
	return kept
}
