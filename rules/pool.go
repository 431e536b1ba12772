package rules

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"

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
	name  string              // a field
	extra string              // NAME of extra.NAME
	word  func(*Facts) string // a field that holds text
	spec  *window.Spec        // a window
	in    int                 // its slot in the layout, once there is one
	gone  bool                // a window without a value when nothing was there before
	of    int                 // has, match: the slot that they ask
	ask   bool                // has
	match *regexp.Regexp      // match
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
	s := slot{kind: f.kind, name: f.name}
	if extra, ok := strings.CutPrefix(f.name, "extra."); ok {
		s.extra = extra
	} else if f.kind == text {
		s.word = wordOf(f.name)
	}
	return p.add(fmt.Sprintf("%d %s", f.kind, f.name), s)
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
