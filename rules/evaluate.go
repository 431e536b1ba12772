package rules

import (
	"fmt"
	"time"

	"github.com/expr-lang/expr/vm"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// Fault is a rule that could not be evaluated on an event: it counts as not fired, and the event goes on.
type Fault struct {
	Rule *Rule
	Err  error
}

// Why a response is less than its rule's, or why a rule that is true did not fire.
const (
	CapFloor     = "floor"      // what it looks at lies before the account's last recovery
	CapNewWindow = "new_window" // one of its windows was added later and is not older than its span yet
)

// run is one evaluation: the reader of the facts, and a VM.
type run struct {
	*reader
	vm vm.VM
}

func (s *Set) run(f *Facts) *run {
	r := &run{reader: s.readers.Get().(*reader)}
	r.vm.MemoryBudget = maxMemory
	r.reset(f)
	return r
}

func (s *Set) done(r *run) {
	r.facts = nil
	s.readers.Put(r.reader)
}

// truth runs a program that gives true or false.
func (r *run) truth(p *program) (bool, error) {
	v, err := r.vm.Run(p, r.memory)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, errNotTrue
	}
	return b, nil
}

// Evaluate runs every rule for the event's type and gives the findings in the order of the rules' ids. What `again:` remembers is kept in
// the view, so it must be called once an event. The same event, facts and windows always give the same findings.
func (s *Set) Evaluate(f *Facts) ([]Finding, []Fault) {
	var findings []Finding
	var faults []Fault
	if f.Timing == window.TooLate && !event.IsReport(f.Event.Type) {
		return nil, nil // kept and shown; only a report is evaluated so late (EVENTS.md, "Late")
	}
	rules := s.by[f.Event.Type]
	if len(rules) == 0 {
		return nil, nil
	}
	r := s.run(f)
	defer s.done(r)
	for _, c := range rules {
		is, err := r.holds(c)
		if err != nil {
			faults = append(faults, Fault{c.Rule, fmt.Errorf("evaluate rule %s: %w", c.ID, err)})
			continue
		}
		fires, _ := c.fires(f, is)
		if c.again >= 0 {
			f.View.SetAgain(c.again, is, fires, f.View.Newest())
		}
		if fires {
			finding, err := r.finding(c)
			if err != nil {
				faults = append(faults, Fault{c.Rule, fmt.Errorf("evidence of rule %s: %w", c.ID, err)})
			}
			findings = append(findings, finding)
		}
	}
	return findings, faults
}

// holds reports whether the rule's condition is true.
func (r *run) holds(c *compiled) (bool, error) {
	for _, i := range c.facts {
		r.load(i)
	}
	return r.truth(c.whole)
}

// fires decides, by what `again:` remembers, whether a rule whose condition is or is not true fires, and if not why.
func (c *compiled) fires(f *Facts, is bool) (bool, string) {
	if !is || c.again < 0 {
		return is, ""
	}
	was, last := f.View.Again(c.again)
	switch now := f.View.Newest(); {
	case c.Again.Mode == "edge" && was:
		return false, "still true since " + last.UTC().Format(time.RFC3339)
	case c.Again.Mode == "every" && !last.IsZero() && now.Sub(last) < c.Again.Every:
		return false, fmt.Sprintf("fired at %s, again after %s", last.UTC().Format(time.RFC3339), window.SpanText(c.Again.Every))
	}
	return true, ""
}

// cap is why the rule may not do more than ask for a review on this event; empty: it may.
func (r *run) cap(c *compiled) string {
	f := r.facts
	if floor := f.Account.Floor; !floor.IsZero() {
		if f.Event.Time.Before(floor) || c.behind > 0 && f.Event.Time.Add(-c.behind).Before(floor) {
			return CapFloor
		}
	}
	for _, i := range c.windows {
		if !r.readings[i].Known {
			return CapNewWindow
		}
	}
	return ""
}

func (r *run) finding(c *compiled) (Finding, error) {
	f := Finding{Rule: c.Rule, Score: c.Score, Response: c.Response}
	if c.Response > auth.Review {
		if f.Capped = r.cap(c); f.Capped != "" {
			f.Response = auth.Review
		}
	}
	var err error
	f.Evidence, err = r.evidence(c)
	return f, err
}
