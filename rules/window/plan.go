package window

import (
	"slices"
	"strings"

	"doorward/rules/event"
)

// plan is what an event type changes: by position in Keys, the windows, and whether a record is made and marked though none of them does;
// and what of the event they look at, fields by their position in the layout's.
type plan struct {
	byKey  [][]*cell
	marks  []bool
	fields []int
	amount bool
	place  bool

	name  string
	frame uint64 // in which it was named last (log.go), and as what
	named uint64
}

// maxPlans bounds the plans kept: types come from outside.
const maxPlans = 1024

func (l *Layout) plan(eventType string) *plan {
	p := &plan{byKey: make([][]*cell, len(Keys)), marks: make([]bool, len(Keys)), name: strings.Clone(eventType)} // the event's text is good for its batch only
	for _, c := range l.cells {
		if c.changedBy(eventType) {
			p.byKey[c.key] = append(p.byKey[c.key], c)
			p.marks[c.key] = true
			if c.field >= 0 && !slices.Contains(p.fields, c.field) {
				p.fields = append(p.fields, c.field)
			}
			p.amount = p.amount || c.kind == &sumKind || c.kind == &sumAcrossKind
			p.place = p.place || c.kind == &speedKind
		}
		p.marks[c.key] = p.marks[c.key] || c.kind == &ageAcrossKind // an age begins with any event
	}
	return p
}

// changedBy: do events of a type change the window.
func (c *cell) changedBy(eventType string) bool {
	if c.kind.match != nil {
		return c.kind.match(c, eventType)
	}
	return c.types.match(eventType)
}

// counts: is the event of the direction that c asks for.
func (c *cell) counts(e *event.Event) bool { return c.spec.Where == "" || c.spec.Where == e.Direction }

func (m *Memory) plan(eventType string) *plan {
	if p := m.plans[eventType]; p != nil {
		return p
	}
	if len(m.plans) >= maxPlans {
		clear(m.plans)
	}
	p := m.layout.plan(eventType)
	m.plans[p.name] = p
	return p
}
