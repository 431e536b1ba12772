package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// checker reads the tree of one rule's `when`: it says every mistake at its place, gives each fact a slot, and builds the tree that the VM
// runs, in which a name or a window call has become a read of its slot. The language is a part of expr's: constants, facts, + - * /,
// comparisons, and / or / not. What is left out (loops, closures, variables, maps, ranges, other functions) is what CVE-2025-29786 and
// CVE-2025-68156 lived in (reference: security S-23).
type checker struct {
	rule  *Rule
	pool  *pool
	say   func(n ast.Node, suggestion, message string)
	facts []int // slots that the rule reads
}

func (c *checker) wrong(n ast.Node, suggestion, format string, args ...any) {
	c.say(n, suggestion, fmt.Sprintf(format, args...))
}

// value is a part of a condition that is not a condition itself.
type value struct {
	kind  kind
	unit  string
	node  ast.Node // what the VM runs; nil: wrong, and said so
	text  string   // as its author wrote it
	fixed any      // a constant's value: float64, string, bool, []any
	slots []int    // the facts in it
	fact  fact     // the one fact that it is, else empty
	extra string   // extra.NAME whose kind is not settled
	least bool     // never below 0
}

// truth reads a condition. nil: wrong, and said so.
func (c *checker) truth(n ast.Node) *logic {
	switch n := n.(type) {
	case *ast.BoolNode:
		return &logic{op: constant, always: n.Value, node: &ast.BoolNode{Value: n.Value}}
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			if b, ok := n.Node.(*ast.BinaryNode); ok && wordy(b.Operator) {
				return c.compare(b, true)
			}
			of := c.truth(n.Node)
			if of == nil {
				return nil
			}
			return &logic{op: not, of: []*logic{of}, node: &ast.UnaryNode{Operator: "not", Node: of.node}}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&", "or", "||":
			a, b := c.truth(n.Left), c.truth(n.Right)
			if a == nil || b == nil {
				return nil
			}
			op := and
			if n.Operator == "or" || n.Operator == "||" {
				op = or
			}
			return &logic{op: op, of: []*logic{a, b}, node: &ast.BinaryNode{Operator: op.String(), Left: a.node, Right: b.node}}
		case "==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches":
			return c.compare(n, false)
		}
	}
	v := c.settle(c.value(n), truth)
	switch {
	case v.node == nil:
		return nil
	case v.kind != truth:
		hint := ""
		if v.kind == number {
			hint = v.text + " >= 1"
		}
		c.wrong(n, hint, "%s is %s; a condition is true or false: compare it with something", v.text, v.kind)
		return nil
	}
	return &logic{op: leaf, node: v.node, cond: &comparison{text: v.text, left: v}}
}

// wordy operators can have a "not" before them.
func wordy(op string) bool {
	return slices.Contains([]string{"in", "contains", "startsWith", "endsWith", "matches"}, op)
}

// value reads a number, a text or a list.
func (c *checker) value(n ast.Node) value {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return value{kind: number, node: &ast.FloatNode{Value: float64(n.Value)}, text: n.String(), fixed: float64(n.Value)}
	case *ast.FloatNode:
		return value{kind: number, node: &ast.FloatNode{Value: n.Value}, text: n.String(), fixed: n.Value}
	case *ast.StringNode:
		return value{kind: text, node: &ast.StringNode{Value: n.Value}, text: n.String(), fixed: n.Value}
	case *ast.BoolNode:
		return value{kind: truth, node: &ast.BoolNode{Value: n.Value}, text: n.String(), fixed: n.Value}
	case *ast.ArrayNode:
		return c.list(n)
	case *ast.IdentifierNode:
		return c.name(n, n.Value)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.UnaryNode:
		if v := c.value(n.Node); n.Operator == "-" && v.node != nil && v.kind == number && v.fixed != nil {
			v.fixed = -v.fixed.(float64)
			v.node, v.text = &ast.FloatNode{Value: v.fixed.(float64)}, "-"+v.text
			return v
		}
		c.wrong(n, "", "%q stands before numbers that are written out, and not before conditions", n.Operator)
	case *ast.BinaryNode:
		return c.arithmetic(n)
	case *ast.CallNode:
		return c.call(n)
	case *ast.NilNode:
		c.wrong(n, "has(device)", "there is no nil: ask whether the event has it")
	case *ast.BuiltinNode:
		c.wrong(n, nearest(n.Name, functionNames), "unknown function %q", n.Name)
	case *ast.ConditionalNode:
		c.wrong(n.Cond, "", "there is no if in conditions: write two rules, or and / or / not")
	default:
		c.wrong(n, "", "conditions hold constants, facts, window functions, comparisons, and / or / not; not %s", n.String())
	}
	return value{}
}

func (c *checker) list(n *ast.ArrayNode) value {
	v := value{kind: list, text: n.String()}
	node, all := &ast.ArrayNode{}, []any{}
	of := unsettled
	for _, e := range n.Nodes {
		one := c.value(e)
		switch {
		case one.node == nil:
			return value{}
		case one.fixed == nil || one.kind == list:
			c.wrong(e, "", "lists hold constants only")
			return value{}
		case of != unsettled && of != one.kind:
			c.wrong(e, "", "the list holds %s and %s", of, one.kind)
			return value{}
		}
		of = one.kind
		node.Nodes, all = append(node.Nodes, one.node), append(all, one.fixed)
	}
	if len(all) == 0 {
		c.wrong(n, "", "the list is empty: nothing is in it")
		return value{}
	}
	v.node, v.fixed = node, all
	return v
}

// name reads a fact of the event.
func (c *checker) name(n ast.Node, name string) value {
	f, ok := factNamed(name)
	if !ok {
		if _, is := functionNamed(name); is {
			c.wrong(n, name+"(...)", "%s is a function", name)
		} else {
			c.wrong(n, nearest(name, wordsFor(functionNames...)), "unknown name %q", name)
		}
		return value{}
	}
	return c.read(f, c.pool.field(f))
}

// read is the value of the fact in a slot.
func (c *checker) read(f fact, slot int) value {
	if !slices.Contains(c.facts, slot) {
		c.facts = append(c.facts, slot)
	}
	return value{kind: f.kind, unit: f.unit, node: c.pool.node(slot), text: f.name, slots: []int{slot}, fact: f, least: f.least}
}

func (c *checker) member(n *ast.MemberNode) value {
	of, isName := n.Node.(*ast.IdentifierNode)
	property, isText := n.Property.(*ast.StringNode)
	if !isName || !isText || n.Optional {
		c.wrong(n, "extra.NAME", "only extra.NAME, labels.NAME and account.state have a dot")
		return value{}
	}
	name := of.Value + "." + property.Value
	switch of.Value {
	case "labels":
		return c.read(fact{name: name, kind: text}, c.pool.field(fact{name: name, kind: text}))
	case "extra":
		return value{node: n, text: name, extra: name}
	}
	if f, ok := factNamed(name); ok {
		return c.read(f, c.pool.field(f))
	}
	c.wrong(n, nearest(name, wordsFor()), "unknown name %q", name)
	return value{}
}

// settle gives an extra.NAME the kind that its place demands: an event where it is of another kind lacks it.
func (c *checker) settle(v value, k kind) value {
	if v.extra == "" || k == unsettled || k == list {
		return v
	}
	f := fact{name: v.extra, kind: k}
	return c.read(f, c.pool.field(f))
}

func (c *checker) arithmetic(n *ast.BinaryNode) value {
	if !slices.Contains([]string{"+", "-", "*", "/"}, n.Operator) {
		switch n.Operator {
		case "and", "or", "&&", "||", "==", "!=", "<", "<=", ">", ">=", "in":
			c.wrong(n, "", "a condition can't be compared or calculated with: use and / or / not")
		default:
			c.wrong(n, "", "operator %s is not part of conditions: + - * / are", n.Operator)
		}
		return value{}
	}
	a, b := c.settle(c.value(n.Left), number), c.settle(c.value(n.Right), number)
	if a.node == nil || b.node == nil {
		return value{}
	}
	for i, v := range []value{a, b} {
		if v.kind != number {
			c.wrong([]ast.Node{n.Left, n.Right}[i], "", "%s is %s, and only numbers can be calculated with", v.text, v.kind)
			return value{}
		}
	}
	if n.Operator == "/" && (b.fixed == nil || b.fixed.(float64) == 0) {
		c.wrong(n.Right, fmt.Sprintf("amount >= 0.9 * %s", b.text), "divide by numbers other than 0 that are written out; else multiply the other side")
		return value{}
	}
	unit := a.unit
	if unit == "" {
		unit = b.unit
	}
	return value{kind: number, unit: unit, text: n.String(), slots: append(slices.Clone(a.slots), b.slots...),
		node:  &ast.BinaryNode{Operator: n.Operator, Left: a.node, Right: b.node},
		least: n.Operator != "-" && c.positive(a) && c.positive(b), fact: fact{masked: a.fact.masked || b.fact.masked}}
}

// positive reports whether a number is never below 0.
func (c *checker) positive(v value) bool {
	f, ok := v.fixed.(float64)
	return v.least || ok && f >= 0
}

// call reads a call of has or of a window function.
func (c *checker) call(n *ast.CallNode) value {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		c.wrong(n, "", "facts have no functions of their own")
		return value{}
	}
	if callee.Value == "has" {
		return c.has(n)
	}
	f, ok := functionNamed(callee.Value)
	if !ok {
		c.wrong(n, nearest(callee.Value, functionNames), "unknown function %q", callee.Value)
		return value{}
	}
	spec, ok := c.window(f, n)
	if !ok {
		return value{}
	}
	return c.read(fact{name: n.String(), kind: f.kind, unit: f.unit, least: f.kind == number}, c.pool.window(spec, f))
}

// has reads has(NAME): does the event have it.
func (c *checker) has(n *ast.CallNode) value {
	if len(n.Arguments) != 1 {
		c.wrong(n, "has(balance_before)", "has takes the name of one fact")
		return value{}
	}
	var v value
	switch a := n.Arguments[0].(type) {
	case *ast.StringNode:
		if strings.HasPrefix(a.Value, "extra.") || strings.HasPrefix(a.Value, "labels.") {
			v = c.settle(value{node: a, extra: a.Value}, unsettled)
		} else {
			v = c.name(a, a.Value)
		}
	case *ast.IdentifierNode, *ast.MemberNode:
		v = c.value(a)
	default:
		c.wrong(a, "has(balance_before)", "has takes the name of one fact")
		return value{}
	}
	if v.node == nil {
		return value{}
	}
	name := v.extra
	if name == "" {
		name = v.text
	}
	return c.read(fact{name: fmt.Sprintf("has(%s)", name), kind: truth}, c.pool.has(name))
}
