package rules

import (
	"math"
	"slices"
	"strconv"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

// Explain says what every rule makes of an event, without changing what is remembered: it must be called before Evaluate, and then Fired is
// what Evaluate finds.
func (s *Set) Explain(f *Facts) []Explained {
	r := s.run(f)
	defer s.done(r)
	var all []Explained
	for _, c := range s.compiled {
		all = append(all, r.explain(s, c))
	}
	return all
}

func (r *run) explain(s *Set, c *compiled) Explained {
	x := Explained{Rule: c.Rule}
	switch {
	case !c.listens(r.facts.Event.Type, s):
		x.Why = "not on this type"
		return x
	case r.facts.Timing == window.TooLate && !event.IsReport(r.facts.Event.Type):
		x.Why = "too late: only reports are evaluated"
		return x
	}
	is, err := r.holds(c)
	if err != nil {
		x.Why = "can't be evaluated: " + err.Error()
		return x
	}
	c.cond.leaves(func(one *comparison) {
		cond := Condition{Text: one.text, Known: r.known(one)}
		cond.True, err = r.truth(one.isTrue)
		if err != nil {
			cond.Known = false
		}
		cond.Value, cond.Threshold = r.sides(one)
		x.Conditions = append(x.Conditions, cond)
	})
	var was window.Recall
	if x.Fired = is; c.again >= 0 {
		was = c.recalled(r.facts.View)
		x.Fired, _ = c.next(was, is, r.facts.View.Newest().UnixMilli())
	}
	switch {
	case is && !x.Fired:
		x.Why = c.still(was)
	case x.Fired && c.Response > auth.Review:
		x.Why = r.cap(c)
	}
	return x
}

func (c *compiled) listens(t event.Type, s *Set) bool {
	l := s.by[t]
	return l != nil && slices.Contains(l.rules, c)
}

// known reports whether everything in a comparison is known: the event has it, and no window is too young.
func (r *run) known(c *comparison) bool {
	for _, i := range append(append([]int(nil), c.left.slots...), c.right.slots...) {
		if s := &r.slots[i]; !r.present[i] || s.spec != nil && !r.readings[i].Known {
			return false
		}
	}
	return true
}

// sides are the two sides of a comparison as they are now.
func (r *run) sides(c *comparison) (value, threshold any) {
	value = r.value(&c.left, c.of)
	if c.right.node != nil {
		threshold = r.value(&c.right, c.to)
	}
	return value, threshold
}

func (r *run) value(v *value, p *program) any {
	var got any
	switch {
	case v.fixed != nil:
		got = v.fixed
	case p != nil:
		out, err := r.vm.Run(p, r.env)
		if err != nil {
			return nil // the comparison's own run has told of it
		}
		got = out
	default:
		i := v.slots[0]
		switch {
		case !r.present[i]:
			return nil
		case v.kind == number:
			got = r.N[i]
		case v.kind == text:
			got = r.S[i]
		default:
			got = r.B[i]
		}
	}
	switch g := got.(type) {
	case float64:
		return rounded(g)
	case string:
		if v.fact.masked && v.fixed == nil {
			return masked(g)
		}
	}
	return got
}

// masked shows the end of another person's account id only.
func masked(id string) string {
	if runes := []rune(id); len(runes) > 8 {
		return "…" + string(runes[len(runes)-4:])
	}
	return "…"
}

// evidence is the comparisons that made the rule true, in the order of its text; is says which parts of the condition hold.
func (r *run) evidence(c *compiled, is func(*logic) bool) []Evidence {
	all := make([]Evidence, 0, 4)
	c.cond.because(is, true, func(one *comparison, is bool) { all = append(all, r.line(one, is)) })
	if len(all) == 0 {
		all = append(all, Evidence{Fact: "type", Value: string(r.facts.Event.Type)})
	}
	return all
}

func (r *run) line(c *comparison, is bool) Evidence {
	e := Evidence{Fact: c.left.text, Unit: c.left.unit}
	if c.op != "" {
		e.Op = c.op
		if c.negated == is {
			e.Op = "not " + c.op
		}
		if c.op == "!=" && !is {
			e.Op = "=="
		}
	}
	e.Value, e.Threshold = r.sides(c)
	if c.left.fact.masked || c.right.fact.masked {
		e.Threshold = r.hidden(c, e.Threshold)
	}
	if e.Unit == money && r.facts.Event.Currency != "" {
		e.Unit = money + " " + r.facts.Event.Currency
	}
	latest := max(r.latest(c.left.slots), r.latest(c.right.slots))
	if latest > math.MinInt64 {
		e.AsOf = time.Unix(latest, 0).UTC().Format(time.RFC3339)
	}
	return e
}

// latest is as of when other shards' parts of some windows were read; none of them across accounts: the least time there is.
func (r *run) latest(slots []int) int64 {
	latest := int64(math.MinInt64)
	for _, i := range slots {
		if v := &r.readings[i]; r.slots[i].spec != nil && v.Across {
			latest = max(latest, v.AsOf)
		}
	}
	return latest
}

// hidden is what a masked fact was compared with: a list of other people's accounts is told by its length.
func (r *run) hidden(c *comparison, threshold any) any {
	switch t := threshold.(type) {
	case []any:
		return strconv.Itoa(len(t)) + " ids"
	case string:
		if c.right.fixed != nil {
			return masked(t)
		}
	}
	return threshold
}
