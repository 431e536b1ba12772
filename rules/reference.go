package rules

import (
	"errors"
	"fmt"

	"doorward/rules/window"
)

// The reference: the same conditions run by expr's VM, as its authors wrote it. Explain shows what it says, a rule that is about to fire is
// run by it once more, and the tests hold the matcher to it.

// errNotTrue says that a condition gave something else than true or false, which the checker has excluded.
var errNotTrue = errors.New("the condition is neither true nor false")

// truth runs a program that gives true or false.
func (r *run) truth(p *program) (bool, error) {
	v, err := r.vm.Run(p, r.env)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, errNotTrue
	}
	return b, nil
}

// holds reports whether the rule's condition is true.
func (r *run) holds(c *compiled) (bool, error) {
	r.loadAll(c.facts)
	return r.truth(c.whole)
}

// Reference is what Evaluate must find: every rule for the event's type is run by the VM, without matcher and index. It is a thousand times
// slower and keeps what `again:` remembers like Evaluate, so an event is for one of the two. For tests, of this package and of others.
func (s *Set) Reference(f *Facts) ([]Finding, []Fault) {
	var findings []Finding
	var faults []Fault
	on := s.listening(f)
	if on == nil {
		return nil, nil
	}
	r := s.run(f)
	defer s.done(r)
	for _, c := range on.rules {
		is, err := r.holds(c)
		if err != nil {
			faults = append(faults, Fault{c.Rule, fmt.Errorf("evaluate rule %s: %w", c.ID, err)})
			continue
		}
		fires := is
		if c.again >= 0 {
			var after window.Recall
			fires, after = c.next(c.recalled(f.View), is, f.View.Newest().UnixMilli())
			f.View.SetAgain(after)
		}
		if fires {
			holds, err := r.ask(c)
			if err != nil {
				faults = append(faults, Fault{c.Rule, fmt.Errorf("evidence of rule %s: %w", c.ID, err)})
			}
			findings = append(findings, r.finding(c, func(l *logic) bool { return l.is(holds) }))
		}
	}
	return findings, faults
}

// ask runs each comparison of a rule.
func (r *run) ask(c *compiled) (holds map[*comparison]bool, first error) {
	holds = map[*comparison]bool{}
	c.cond.leaves(func(one *comparison) {
		is, err := r.truth(one.isTrue)
		if err != nil && first == nil {
			first = fmt.Errorf("%s: %w", one.text, err)
		}
		holds[one] = is
	})
	return holds, first
}
