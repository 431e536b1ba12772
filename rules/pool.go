package rules

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/window"
)

type eventType = event.Type

// pool gives every distinct fact of a rule set one slot, shared by all its rules: a fact is read at most once an event.
type pool struct {
	slots []slot
	at    map[string]int
}

// slot is where one fact comes from.
type slot struct {
	kind  kind
	name  string         // a field
	spec  *window.Spec   // a window
	in    int            // its slot in the layout, once there is one
	gone  bool           // a window without a value when nothing was there before
	of    int            // has, match: the slot that they ask
	ask   bool           // has
	match *regexp.Regexp // match
}

func newPool() *pool { return &pool{at: map[string]int{}} }

func (p *pool) add(key string, s slot) int {
	i, ok := p.at[key]
	if !ok {
		i = len(p.slots)
		p.slots, p.at[key] = append(p.slots, s), i
	}
	return i
}

func (p *pool) field(f fact) int {
	return p.add(fmt.Sprintf("%d %s", f.kind, f.name), slot{kind: f.kind, name: f.name})
}

func (p *pool) window(s window.Spec, f function) int {
	return p.add(fmt.Sprintf("window %v", s), slot{kind: f.kind, spec: &s, gone: f.gone})
}

// has asks for a fact by its name; an extra.NAME of whatever kind.
func (p *pool) has(name string) int {
	k := unsettled
	if f, ok := factNamed(name); ok {
		k = f.kind
	} else if strings.HasPrefix(name, "labels.") {
		k = text
	}
	return p.present(p.field(fact{name: name, kind: k}))
}

func (p *pool) present(of int) int {
	return p.add(fmt.Sprintf("has %d", of), slot{kind: truth, of: of, ask: true})
}

func (p *pool) match(of int, re *regexp.Regexp) int {
	return p.add(fmt.Sprintf("match %d %s", of, re), slot{kind: truth, of: of, match: re})
}

// memory is what the VM sees of an event: every fact in its slot.
type memory struct {
	N []float64
	S []string
	B []bool
}

// node is the VM's read of a slot.
func (p *pool) node(i int) ast.Node {
	array := map[kind]string{number: "N", text: "S", truth: "B"}[p.slots[i].kind]
	return &ast.MemberNode{Node: &ast.IdentifierNode{Value: array}, Property: &ast.IntegerNode{Value: i}}
}

// reader reads an event's facts into their slots, each once.
type reader struct {
	memory
	slots    []slot
	facts    *Facts
	loaded   []bool
	present  []bool
	readings []window.Reading
}

func newReader(slots []slot) *reader {
	n := len(slots)
	return &reader{memory: memory{N: make([]float64, n), S: make([]string, n), B: make([]bool, n)}, slots: slots,
		loaded: make([]bool, n), present: make([]bool, n), readings: make([]window.Reading, n)}
}

func (r *reader) reset(f *Facts) {
	clear(r.loaded)
	clear(r.S) // holds the last event's memory
	r.facts = f
}

func (r *reader) load(i int) {
	if r.loaded[i] {
		return
	}
	r.loaded[i] = true
	s := &r.slots[i]
	switch {
	case s.ask:
		r.load(s.of)
		r.B[i], r.present[i] = r.present[s.of], true
	case s.match != nil:
		r.load(s.of)
		r.B[i], r.present[i] = s.match.MatchString(r.S[s.of][:min(len(r.S[s.of]), maxMatched)]), r.present[s.of]
	case s.spec != nil:
		r.window(i, s)
	default:
		r.field(i, s)
	}
}

func (r *reader) window(i int, s *slot) {
	v := r.facts.View.Read(s.in)
	r.readings[i], r.present[i] = v, true
	r.B[i], r.N[i] = v.Value != 0, v.Value
	if s.gone && v.Value < 0 {
		r.N[i], r.present[i] = math.NaN(), false
	}
}

func (r *reader) field(i int, s *slot) {
	r.N[i], r.S[i], r.B[i], r.present[i] = math.NaN(), "", false, false
	switch name, extra := strings.CutPrefix(s.name, "extra."); {
	case extra:
		switch v := r.facts.Event.Extra[name].(type) {
		case string:
			r.S[i], r.present[i] = v, v != "" && (s.kind == text || s.kind == unsettled)
		case float64:
			r.N[i], r.present[i] = v, s.kind == number || s.kind == unsettled
		case bool:
			r.B[i], r.present[i] = v, s.kind == truth || s.kind == unsettled
		}
	case s.kind == number:
		r.N[i], r.present[i] = amount(r.facts.Event, s.name)
	default:
		r.S[i] = r.word(s.name)
		r.present[i] = r.S[i] != ""
	}
}

// amount reads a field that holds an amount; NaN when the event lacks it, so that every comparison with it is false.
func amount(e *event.Event, name string) (float64, bool) {
	v, has := e.Amount, e.HasAmount
	switch name {
	case "balance_before":
		v, has = e.BalanceBefore, e.HasBefore
	case "balance_after":
		v, has = e.BalanceAfter, e.HasAfter
	}
	if !has {
		return math.NaN(), false
	}
	return float64(v), true
}

func (r *reader) word(name string) string {
	f := r.facts
	switch name {
	case "country":
		if f.Place.Country != "" {
			return f.Place.Country
		}
	case "city":
		return f.Place.City
	case "account.state":
		if f.Account.State == "" {
			return string(auth.Open)
		}
		return string(f.Account.State)
	}
	v, _ := f.Event.Field(strings.TrimPrefix(name, "data.")) // an absent field is empty text
	return v
}
