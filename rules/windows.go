package rules

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"

	"doorward/rules/window"
)

// function is a window function as a rule's author calls it. Its arguments stand in this order and are constants: field, types, span; after
// them, in any order, whose window it is (account, ip, network, device, payee, instrument; else the rule's `per`) and, for transactions, a
// direction (in, out).
type function struct {
	name   string
	of     window.Func
	kind   kind
	unit   string
	field  bool // takes a field
	types  need
	span   bool
	money  bool   // speaks of amounts: transactions only
	gone   bool   // has no value when nothing was there before
	usage  string // as the documentation shows it
	chain  bool   // sequence: any number of types
	itself bool   // without types: those of the rule's `on`
}

type need int

const (
	never need = iota
	may
	must
)

// functions are all window functions, in the order of the documentation.
var functions = []function{
	{name: "count", of: window.Count, kind: number, types: must, span: true, usage: `count("login.failed", "10m")`},
	{name: "sum", of: window.Sum, kind: number, unit: money, types: must, span: true, money: true, usage: `sum("transaction.requested", "24h", "out")`},
	{name: "distinct", of: window.Distinct, kind: number, field: true, types: must, span: true, usage: `distinct(device, "login.succeeded", "30d")`},
	{name: "first_seen", of: window.FirstSeen, kind: truth, field: true, types: may, usage: `first_seen(device)`},
	{name: "known", of: window.Known, kind: number, field: true, types: may, usage: `known(device)`},
	{name: "known_for", of: window.KnownFor, kind: number, unit: seconds, field: true, types: may, gone: true, usage: `known_for(device)`},
	{name: "age", of: window.Age, kind: number, unit: seconds, usage: `age()`},
	{name: "since", of: window.Since, kind: number, unit: seconds, types: must, gone: true, usage: `since("account.password.reset")`},
	{name: "speed_kmh", of: window.Speed, kind: number, unit: kmh, types: may, itself: true, usage: `speed_kmh("login.succeeded")`},
	{name: "distance_km", of: window.Distance, kind: number, unit: km, types: may, itself: true, usage: `distance_km("login.succeeded")`},
	{name: "sequence", of: window.Sequence, kind: truth, chain: true, span: true, usage: `sequence("account.password.reset", "login.succeeded", "24h")`},
}

// functionNames are the names of functions, and has.
var functionNames = func() []string {
	all := []string{"has"}
	for _, f := range functions {
		all = append(all, f.name)
	}
	return all
}()

func functionNamed(name string) (function, bool) {
	i := slices.IndexFunc(functions, func(f function) bool { return f.name == name })
	if i < 0 {
		return function{}, false
	}
	return functions[i], true
}

// directions are the words for which way the money goes.
var directions = []string{"in", "out"}

// argument is one constant argument of a window function.
type argument struct {
	text string
	node ast.Node
}

// window reads a call of a window function; false: it was wrong and that has been said.
func (c *checker) window(f function, n *ast.CallNode) (window.Spec, bool) {
	spec := window.Spec{Func: f.of, Key: c.rule.Per}
	args, ok := c.arguments(f, n)
	if !ok {
		return spec, false
	}
	if f.field {
		if len(args) == 0 {
			c.wrong(n, "", "%s needs a field: %s", f.name, f.usage)
			return spec, false
		}
		if !window.IsField(args[0].text) {
			c.wrong(args[0].node, nearest(args[0].text, window.Fields()), "unknown field %q", args[0].text)
			return spec, false
		}
		spec.Field, args = args[0].text, args[1:]
	}
	args, ok = c.words(f, args, &spec)
	if !ok {
		return spec, false
	}
	if f.span {
		if len(args) == 0 || len(args) < 2 && f.types == must {
			c.wrong(n, "", "%s needs %s: %s", f.name, map[bool]string{true: "event types and a span", false: "a span"}[f.types == must || f.chain], f.usage)
			return spec, false
		}
		last := args[len(args)-1]
		d, err := duration(last.text)
		if err != nil {
			c.wrong(last.node, `"10m", "24h" or "7d"`, "%v", err)
			return spec, false
		}
		longest := window.MaxSpan
		if spec.Key != window.Account {
			longest = window.MaxSpanAcross
		}
		if d > longest {
			c.wrong(last.node, quoted(window.SpanText(longest)), "%s per %s looks back %s at most", f.name, spec.Key, window.SpanText(longest))
			return spec, false
		}
		spec.Span, args = d, args[:len(args)-1]
	}
	if !c.typesOf(f, n, args, &spec) {
		return spec, false
	}
	if err := spec.Check(); err != nil {
		c.wrong(n, "", "%v", err)
		return spec, false
	}
	return spec, true
}

// arguments are the constant arguments of the call: text, or the name of a field.
func (c *checker) arguments(f function, n *ast.CallNode) ([]argument, bool) {
	var args []argument
	for i, a := range n.Arguments {
		switch a := a.(type) {
		case *ast.StringNode:
			args = append(args, argument{a.Value, a})
		case *ast.IdentifierNode:
			if i > 0 || !f.field {
				c.wrong(a, fmt.Sprintf("%q", a.Value), "arguments of %s are constants: write it in quotation marks", f.name)
				return nil, false
			}
			args = append(args, argument{a.Value, a})
		case *ast.MemberNode:
			if i > 0 || !f.field {
				c.wrong(a, "", "arguments of %s are constants, such as %s", f.name, f.usage)
				return nil, false
			}
			args = append(args, argument{a.String(), a})
		default:
			c.wrong(a, "", "arguments of %s are constant text, such as %s", f.name, f.usage)
			return nil, false
		}
	}
	return args, true
}

// words takes off the words at the end: whose window it is, and the direction.
func (c *checker) words(f function, args []argument, spec *window.Spec) ([]argument, bool) {
	for len(args) > 0 {
		last := args[len(args)-1]
		switch {
		case slices.Contains(keyNames, last.text):
			spec.Key = window.Key(last.text)
		case slices.Contains(directions, last.text):
			spec.Where = last.text
		default:
			return args, c.known(f, args)
		}
		args = args[:len(args)-1]
	}
	return args, true
}

// known refuses a last word that is neither whose window it is, nor a direction, nor what the function takes there.
func (c *checker) known(f function, args []argument) bool {
	last := args[len(args)-1]
	if _, err := duration(last.text); err == nil && f.span || strings.ContainsAny(last.text, ".*|0123456789") {
		return true
	}
	c.wrong(last.node, quoted(nearest(last.text, append(slices.Clone(keyNames), directions...))),
		"%q is neither a span, nor whose window it is (%s), nor a direction (in, out)", last.text, strings.Join(keyNames, ", "))
	return false
}

// typesOf reads the event types of a call.
func (c *checker) typesOf(f function, n *ast.CallNode, args []argument, spec *window.Spec) bool {
	switch {
	case f.types == never && !f.chain && len(args) > 0:
		c.wrong(args[0].node, "", "%s takes no event types: %s", f.name, f.usage)
		return false
	case !f.chain && len(args) > 1:
		c.wrong(args[1].node, "", `one argument too many; several event types are written "login.failed|login.challenged"`)
		return false
	case f.types == must && len(args) == 0, f.chain && len(args) < 2:
		c.wrong(n, "", "%s needs event types: %s", f.name, f.usage)
		return false
	}
	ok := true
	for _, a := range args {
		all, unknown := types(a.text)
		if unknown != "" || len(all) == 0 {
			c.wrong(a.node, quoted(nearest(unknown, typeWords)), "unknown event type %q", unknown)
			ok = false
			continue
		}
		if f.chain {
			spec.Types = append(spec.Types, strings.Join(all, "|"))
		} else {
			spec.Types = append(spec.Types, all...)
		}
		if (f.money || spec.Where != "") && slices.ContainsFunc(all, func(t string) bool { return !strings.HasPrefix(t, "transaction.") }) {
			c.wrong(a.node, "", "only transactions have an amount and a direction, not %q", a.text)
			ok = false
		}
	}
	if f.itself && len(args) == 0 {
		for _, t := range c.rule.On {
			spec.Types = append(spec.Types, string(t))
		}
		sort.Strings(spec.Types)
	}
	return ok
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", s)
}

// behind is how far a window looks back, for the floor of a recovery; one without a span looks back as long as one that was added later
// stays unknown (DESIGN, "Rules": 30 days).
func behind(s window.Spec) time.Duration {
	if s.Span > 0 {
		return s.Span
	}
	return 30 * 24 * time.Hour
}
