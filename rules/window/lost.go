package window

import (
	"maps"
	"slices"
)

// Begun are the windows of l, and the rules that remember, that continue none of the layout before it: they begin empty. Each is named by
// the text of what it remembers.
func (l *Layout) Begun(before *Layout) []string {
	var texts []string
	for _, c := range l.cells {
		if before.states[c.text] == nil {
			texts = append(texts, c.text)
		}
	}
	for _, r := range l.remembering() {
		if before.recalledAs(r.spec) < 0 {
			texts = append(texts, r.spec.Text())
		}
	}
	return texts
}

// Without is l for a Restore that must not continue some of its windows: one that was left out of the rules for a while begins anew when it
// comes back, although records that have not changed meanwhile still hold what it was before.
func (l *Layout) Without(texts []string) *Layout {
	if !slices.ContainsFunc(texts, func(t string) bool { _, slot := l.slots[t]; return slot || l.states[t] != nil }) {
		return l
	}
	w := *l
	w.reduced, w.states, w.slots = true, maps.Clone(l.states), maps.Clone(l.slots)
	for _, t := range texts {
		delete(w.states, t)
		delete(w.slots, t)
	}
	return &w
}
