package rules

import (
	"errors"
	"fmt"
	"slices"
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

// errDisagree says that the matcher found a rule true and the VM did not: a mistake in one of them, which the property test should have
// found first.
var errDisagree = errors.New("the matcher and the VM disagree")

// run is one evaluation: the reader of the facts, and a VM.
type run struct {
	*reader
	vm vm.VM
}

func (s *Set) run(f *Facts) *run {
	r := &run{reader: s.readers.Get().(*reader)}
	r.vm.MemoryBudget = maxMemory
	r.begin(f)
	return r
}

func (s *Set) done(r *run) {
	r.end()
	s.readers.Put(r.reader)
}

// Evaluate runs the rules for the event's type and gives the findings in the order of the rules' ids. What `again:` remembers is kept in
// the view, so it must be called once an event. The same event, facts and windows always give the same findings. Nothing is allocated for
// an event on which no rule fires.
func (s *Set) Evaluate(f *Facts) ([]Finding, []Fault) {
	on := s.listening(f)
	if on == nil {
		return nil, nil
	}
	r := s.readers.Get().(*reader)
	defer s.readers.Put(r)
	return s.evaluate(r, on, f)
}

func (s *Set) evaluate(r *reader, on *listeners, f *Facts) (findings []Finding, faults []Fault) {
	r.begin(f)
	defer r.end()
	r.climb(on.tree)
	if !r.settle(&s.again, on) {
		slices.Sort(r.hits)
		findings, faults = s.found(r)
	}
	r.remember()
	return findings, faults
}

// listening are the rules that see an event; nil: none does.
func (s *Set) listening(f *Facts) *listeners {
	if f.Timing == window.TooLate && !event.IsReport(f.Event.Type) {
		return nil // kept and shown; only a report is evaluated so late (EVENTS.md, "Late")
	}
	return s.by[f.Event.Type]
}

// found decides which of the rules that are true fire.
func (s *Set) found(r *reader) (findings []Finding, faults []Fault) {
	newest := r.facts.View.Newest().UnixMilli()
	x := &run{reader: r}
	x.vm.MemoryBudget = maxMemory
	for _, at := range r.hits {
		c := s.compiled[at]
		var after window.Recall
		if c.again >= 0 {
			var fires bool
			if fires, after = c.next(r.was(c), true, newest); !fires {
				continue
			}
		}
		if err := x.confirm(c); err != nil {
			faults = append(faults, Fault{c.Rule, fmt.Errorf("evaluate rule %s: %w", c.ID, err)})
			continue
		}
		if c.again >= 0 {
			r.changes = append(r.changes, after)
		}
		findings = append(findings, x.finding(c, func(l *logic) bool { return l.holds(r) }))
	}
	return findings, faults
}

// confirm runs a rule that is about to fire once more, by the VM: nobody is locked out on the word of the matcher alone.
func (r *run) confirm(c *compiled) error {
	is, err := r.holds(c)
	if err == nil && !is {
		err = errDisagree
	}
	return err
}

// still says why a rule that is true does not fire.
func (c *compiled) still(was window.Recall) string {
	last := time.UnixMilli(was.Last).UTC().Format(time.RFC3339)
	if c.Again.Mode == "edge" {
		return "still true since " + last
	}
	return fmt.Sprintf("fired at %s, again after %s", last, window.SpanText(c.Again.Every))
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

func (r *run) finding(c *compiled, is func(*logic) bool) Finding {
	f := Finding{Rule: c.Rule, Score: c.Score, Response: c.Response, Evidence: r.evidence(c, is)}
	if c.Response > auth.Review {
		if f.Capped = r.cap(c); f.Capped != "" {
			f.Response = auth.Review
		}
	}
	return f
}
