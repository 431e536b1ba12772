package rules

import (
	"cmp"
	"slices"

	"doorward/rules/window"
)

// What `again:` remembers must turn false when a rule's condition does, though the index has not looked at the rule. An account's record has
// a list of the rules that were true, or whose last firing still counts: it is walked once an event, and what an event costs does not grow
// with the rules that are not in it.

// recall is the rules of a set that remember, by id. Their slots in the layout follow one another in the same order.
type recall struct {
	of    []*compiled
	first int
}

// remembers is the memory that `again:` needs; a renamed rule goes on with that of its earlier ids.
func (c *compiled) remembers() window.Spec {
	return window.Spec{Func: window.Again, Key: window.Account, Field: c.ID, Was: c.Was}
}

// plan gathers the rules that remember, and gives the specs of their memory.
func (a *recall) plan(rules []*compiled) (specs []window.Spec) {
	for _, c := range rules {
		c.ordinal, c.again = -1, -1
		if c.Again.Mode != "always" {
			c.ordinal = len(a.of)
			a.of, specs = append(a.of, c), append(specs, c.remembers())
		}
	}
	return specs
}

// place finds the slots.
func (a *recall) place(l *window.Layout) {
	for i, c := range a.of {
		c.again = l.Slot(c.remembers())
		if i == 0 {
			a.first = c.again
		}
		if c.again != a.first+i {
			panic("rules: a layout gives its rules' memories slots in the order of their ids, and " + c.ID + " is not in it")
		}
	}
}

// next decides, by what is remembered of a rule, whether it fires where its condition is or is not true, and what is to be remembered of it;
// newest is the time of the account's newest event in ms.
func (c *compiled) next(was window.Recall, is bool, newest int64) (fires bool, after window.Recall) {
	recent := c.Again.Mode == "every" && was.Last >= 0 && newest-was.Last < c.Again.Every.Milliseconds()
	after = window.Recall{Slot: c.again, True: is, Last: was.Last}
	if fires = is && !recent && !(c.Again.Mode == "edge" && was.True); fires {
		after.Last = newest
	} else if !is && !recent {
		after.Last = window.Never
	}
	return fires, after
}

// recalled is what is remembered of a rule.
func (c *compiled) recalled(v *window.View) window.Recall {
	is, last := v.Again(c.again)
	r := window.Recall{Slot: c.again, True: is, Last: window.Never}
	if !last.IsZero() {
		r.Last = last.UnixMilli()
	}
	return r
}

// settle compares what is true now with what is remembered of the account's rules, and notes what is to be remembered instead. It reports
// whether that is all: no rule fires.
func (r *reader) settle(a *recall, on *listeners) bool {
	v := r.facts.View
	r.list = v.Recalled(r.list[:0])
	if len(r.list) == 0 {
		return len(r.hits) == 0
	}
	still, newest := 0, v.Newest().UnixMilli()
	for i := range r.list {
		was := r.list[i]
		c := a.of[was.Slot-a.first]
		if !on.hears(c) {
			continue
		}
		is := r.isTrue[c.at] == r.round
		fires, after := c.next(was, is, newest)
		switch {
		case fires:
			continue
		case is:
			still++
		}
		if after != was {
			r.changes = append(r.changes, after)
		}
	}
	return still == len(r.hits)
}

// was is what the list remembers of a rule.
func (r *reader) was(c *compiled) window.Recall {
	i, ok := slices.BinarySearchFunc(r.list, c.again, func(w window.Recall, slot int) int { return cmp.Compare(w.Slot, slot) })
	if ok {
		return r.list[i]
	}
	return window.Recall{Slot: c.again, Last: window.Never}
}

// remember writes what is to be remembered.
func (r *reader) remember() {
	if !slices.IsSortedFunc(r.changes, bySlot) {
		slices.SortFunc(r.changes, bySlot)
	}
	r.facts.View.SetAgain(r.changes...)
}

func bySlot(a, b window.Recall) int { return cmp.Compare(a.Slot, b.Slot) }
