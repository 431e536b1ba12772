package rules

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// comparison is one line of explain and of evidence: a fact, or two sides and an operator.
type comparison struct {
	text        string // as its author wrote it
	op          string // empty: left is a condition by itself
	left, right value
	negated     bool // not in, not contains, ...
	isTrue      *program
	of, to      *program // left and right, where they are calculated
}

// compare reads a comparison. What the event lacks equals nothing, differs from nothing, is in no list and is not outside of one: every
// comparison with it is false, so that a missing field can't fire a rule. Numbers get that from NaN, the rest from a guard.
func (c *checker) compare(n *ast.BinaryNode, negated bool) *logic {
	a, b := c.value(n.Left), c.value(n.Right)
	if a.node == nil || b.node == nil {
		return nil
	}
	left, right, op := n.Left, n.Right, n.Operator
	if a.fixed != nil && b.fixed == nil && op != "in" && !wordy(op) {
		a, b, left, right = b, a, right, left
		op = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
		if op == "" {
			op = n.Operator
		}
	}
	if a.fixed != nil && b.fixed != nil {
		c.wrong(n, "", "both sides are constants: the comparison is always the same")
		return nil
	}
	a, b, ok := c.sides(n, left, right, op, a, b)
	if !ok || !c.possible(n, right, op, negated, a, b) {
		return nil
	}
	shown := n.String()
	if negated {
		shown = fmt.Sprintf("%s not %s %s", n.Left, n.Operator, n.Right)
	}
	l := &logic{op: leaf, cond: &comparison{text: shown, op: op, left: a, right: b, negated: negated}}
	if op == "matches" {
		if l.node = c.match(right, a, b); l.node == nil {
			return nil
		}
	} else {
		l.node = &ast.BinaryNode{Operator: op, Left: a.node, Right: b.node}
	}
	if negated {
		l.node = &ast.UnaryNode{Operator: "not", Node: l.node}
	}
	if negated || op == "!=" || a.kind != number && b.fixed == nil || a.kind == truth {
		l.node = c.guard(l.node, append(slices.Clone(a.slots), b.slots...))
	}
	return l
}

// guard makes a condition false when the event lacks one of the facts in it.
func (c *checker) guard(n ast.Node, slots []int) ast.Node {
	slices.Sort(slots)
	for _, s := range slices.Compact(slots) {
		if f := c.pool.slots[s]; f.spec == nil || f.gone {
			has := c.pool.present(s)
			if !slices.Contains(c.facts, has) {
				c.facts = append(c.facts, has)
			}
			n = &ast.BinaryNode{Operator: "and", Left: c.pool.node(has), Right: n}
		}
	}
	return n
}

// sides checks that the two sides of a comparison fit each other.
func (c *checker) sides(n *ast.BinaryNode, left, right ast.Node, op string, a, b value) (value, value, bool) {
	if a.extra != "" && b.extra != "" {
		c.wrong(n, "", "the kinds of %s and %s are unknown: compare each with a constant", a.text, b.text)
		return a, b, false
	}
	if op == "in" {
		return c.inside(left, right, a, b)
	}
	want := b.kind
	if b.extra != "" {
		want = a.kind
	}
	if wordy(op) {
		want = text
	}
	a, b = c.settle(a, want), c.settle(b, want)
	switch {
	case wordy(op) && (a.kind != text || b.kind != text):
		at, v := left, a
		if a.kind == text {
			at, v = right, b
		}
		c.wrong(at, "", "%s is for text, and %s is %s", op, v.text, v.kind)
	case a.kind == list || b.kind == list:
		c.wrong(n, "in", "a list is compared by in")
	case a.unit == seconds && b.kind == text && b.fixed != nil:
		d, err := duration(b.fixed.(string))
		if err != nil {
			c.wrong(right, `"7d"`, "%v; %s is a time", err, a.text)
			return a, b, false
		}
		b.kind, b.fixed, b.node, b.unit = number, d.Seconds(), &ast.FloatNode{Value: d.Seconds()}, seconds
		return a, b, true
	case a.unit == seconds && b.kind == number && b.fixed != nil && b.fixed.(float64) != 0:
		c.wrong(right, quoted(b.text+"s"), "%s is a time: say which unit, such as \"10m\" or \"7d\"", a.text)
	case a.kind != b.kind:
		hint := ""
		if s, ok := b.fixed.(string); ok && a.kind == number && strings.Trim(s, "0123456789.") == "" {
			hint = s
		}
		c.wrong(right, hint, "%s is %s and %s is %s: they can't be compared", a.text, a.kind, b.text, b.kind)
	case a.kind != number && op != "==" && op != "!=" && !wordy(op):
		c.wrong(n, "==", "%s is %s: it can't be smaller or greater", a.text, a.kind)
	case a.kind == number && a.unit != "" && b.unit != "" && a.unit != b.unit:
		c.wrong(right, "", "%s is in %s and %s in %s: they can't be compared", a.text, a.unit, b.text, b.unit)
	default:
		return a, b, true
	}
	return a, b, false
}

func (c *checker) inside(left, right ast.Node, a, b value) (value, value, bool) {
	all, ok := b.fixed.([]any)
	if !ok {
		c.wrong(right, fmt.Sprintf("[%s]", b.text), "in needs a list of constants on its right")
		return a, b, false
	}
	of := number
	if _, isText := all[0].(string); isText {
		of = text
	}
	if a = c.settle(a, of); a.kind != of || a.fixed != nil {
		c.wrong(left, "", "%s is %s, and the list holds %s", a.text, a.kind, of)
		return a, b, false
	}
	return a, b, true
}

// possible refuses comparisons that are always or never true: they are typing mistakes.
func (c *checker) possible(n *ast.BinaryNode, right ast.Node, op string, negated bool, a, b value) bool {
	if f, ok := b.fixed.(float64); ok && a.least {
		switch {
		case op == "<" && f <= 0, (op == "<=" || op == "==") && f < 0:
			c.wrong(right, "", "%s is never below 0: this can never be true", a.text)
			return false
		case op == ">=" && f <= 0, (op == ">" || op == "!=") && f < 0:
			c.wrong(right, "", "%s is never below 0: this is always true", a.text)
			return false
		}
	}
	values := a.fact.values
	if a.fact.name == "reason" && !slices.ContainsFunc(c.rule.On, func(t eventType) bool { return !strings.HasPrefix(string(t), "login.") }) {
		values = loginReasons
	}
	nodes, all := []ast.Node{right}, []any{b.fixed}
	if l, ok := b.fixed.([]any); ok {
		all = l
		if array, ok := right.(*ast.ArrayNode); ok {
			nodes = array.Nodes
		}
	}
	for i, one := range all {
		s, ok := one.(string)
		switch {
		case !ok:
		case s == "":
			c.wrong(nodes[i], fmt.Sprintf("not has(%s)", a.text), "nothing equals empty text: ask whether the event has it")
			return false
		case a.fact.name == "country" && (op == "==" || op == "!=" || op == "in") && !countryCode(s):
			c.wrong(nodes[i], "", "%q is not a country code of two capital letters, such as \"SG\"", s)
			return false
		case values != nil && (op == "==" || op == "!=" || op == "in") && !slices.Contains(values, s):
			some := strings.Join(values[:min(len(values), 8)], ", ")
			if len(values) > 8 {
				some += ", ..."
			}
			c.wrong(nodes[i], quoted(nearest(s, values)), "%s is never %q: it is one of %s", a.text, s, some)
			return false
		}
	}
	return true
}

func countryCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// Limits of `matches` (reference: security S-22): RE2 takes pattern size times text length; at most 500 instructions over 1 KiB is well
// below a millisecond.
const (
	maxPattern = 500
	maxMatched = 1 << 10
)

// match compiles a pattern at load and makes the match a fact of its own.
func (c *checker) match(right ast.Node, a, b value) ast.Node {
	pattern, ok := b.fixed.(string)
	if !ok || a.fact.name == "" {
		c.wrong(right, "", "matches compares one fact with a constant pattern")
		return nil
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		c.wrong(right, "", "the pattern is wrong: %v", err)
		return nil
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > maxPattern {
		c.wrong(right, "", "the pattern is too large")
		return nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		c.wrong(right, "", "the pattern is wrong: %v", err)
		return nil
	}
	slot := c.pool.match(a.slots[0], re)
	if !slices.Contains(c.facts, slot) {
		c.facts = append(c.facts, slot)
	}
	return c.pool.node(slot)
}

// rounded takes away what binary fractions add to a product, for people: 225900, not 225900.00000000003.
func rounded(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	if math.Abs(f) < 1e9 {
		return math.Round(f*1e6) / 1e6
	}
	return f
}
