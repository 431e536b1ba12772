package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// The matcher is the engine: the tree that the checker has built, compiled into closures over the reader's slots. A closure reads a fact
// when it is first asked for and never fails; what the event lacks is NaN, empty text or false in its slot, as it is for the VM, and the
// guards of the checker are in the tree. The VM runs the same tree and is the reference (reference.go).

type (
	test    func(*reader) bool
	numeric func(*reader) float64
	wording func(*reader) string
)

// kindIn is what a node of a checked tree gives.
func kindIn(n ast.Node) kind {
	switch n := n.(type) {
	case *ast.FloatNode:
		return number
	case *ast.StringNode:
		return text
	case *ast.MemberNode:
		array, _ := slotIn(n)
		return map[string]kind{"N": number, "S": text, "B": truth}[array]
	case *ast.BinaryNode:
		if strings.Contains("+-*/", n.Operator) {
			return number
		}
	}
	return truth
}

// slotIn is the slot that a node made by pool.node reads.
func slotIn(n *ast.MemberNode) (array string, slot int) {
	return n.Node.(*ast.IdentifierNode).Value, n.Property.(*ast.IntegerNode).Value
}

// alien says that the checker let something through that the matcher does not know: a mistake of this package, not of a rule.
func alien(n ast.Node) string { return fmt.Sprintf("rules: the checker builds no %T in conditions", n) }

// testOf compiles a condition.
func testOf(n ast.Node) test {
	switch n := n.(type) {
	case *ast.BoolNode:
		is := n.Value
		return func(*reader) bool { return is }
	case *ast.MemberNode:
		_, i := slotIn(n)
		return func(r *reader) bool { r.load(i); return r.B[i] }
	case *ast.UnaryNode:
		return negation(testOf(n.Node))
	case *ast.BinaryNode:
		switch n.Operator {
		case "and":
			a, b := testOf(n.Left), testOf(n.Right)
			return func(r *reader) bool { return a(r) && b(r) }
		case "or":
			a, b := testOf(n.Left), testOf(n.Right)
			return func(r *reader) bool { return a(r) || b(r) }
		case "!=":
			return negation(equality(n))
		case "==":
			return equality(n)
		case "in":
			return membership(n)
		case "<", "<=", ">", ">=":
			if bound, ok := n.Right.(*ast.FloatNode); ok {
				return bounded(n.Operator, numericOf(n.Left), bound.Value)
			}
			return order(n.Operator, numericOf(n.Left), numericOf(n.Right))
		case "contains", "startsWith", "endsWith":
			has, a, b := partial[n.Operator], wordingOf(n.Left), wordingOf(n.Right)
			return func(r *reader) bool { return has(a(r), b(r)) }
		}
	}
	panic(alien(n)) // the property test and the fuzzer run every form that the checker builds
}

var partial = map[string]func(s, part string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}

func negation(of test) test { return func(r *reader) bool { return !of(r) } }

func equality(n *ast.BinaryNode) test {
	switch kindIn(n.Left) {
	case number:
		a, b := numericOf(n.Left), numericOf(n.Right)
		return func(r *reader) bool { return a(r) == b(r) }
	case text:
		if m, ok := n.Left.(*ast.MemberNode); ok {
			if s, ok := n.Right.(*ast.StringNode); ok {
				_, i := slotIn(m)
				word := s.Value
				return func(r *reader) bool { r.load(i); return r.S[i] == word }
			}
		}
		a, b := wordingOf(n.Left), wordingOf(n.Right)
		return func(r *reader) bool { return a(r) == b(r) }
	}
	a, b := testOf(n.Left), testOf(n.Right)
	return func(r *reader) bool { return a(r) == b(r) }
}

// membership compiles "in" of a list of constants; one of another kind equals nothing.
func membership(n *ast.BinaryNode) test {
	var words []string
	var numbers []float64
	for _, e := range n.Right.(*ast.ArrayNode).Nodes {
		switch e := e.(type) {
		case *ast.StringNode:
			words = append(words, e.Value)
		case *ast.FloatNode:
			numbers = append(numbers, e.Value)
		}
	}
	if kindIn(n.Left) == number {
		a := numericOf(n.Left)
		return func(r *reader) bool { return slices.Contains(numbers, a(r)) }
	}
	a := wordingOf(n.Left)
	if len(words) <= fewWords {
		return func(r *reader) bool { return slices.Contains(words, a(r)) }
	}
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	return func(r *reader) bool { return set[a(r)] }
}

// fewWords are compared one by one faster than they are hashed.
const fewWords = 8

// order compiles a comparison by size. Every comparison with NaN is false.
func order(op string, a, b numeric) test {
	switch op {
	case "<":
		return func(r *reader) bool { return a(r) < b(r) }
	case "<=":
		return func(r *reader) bool { return a(r) <= b(r) }
	case ">":
		return func(r *reader) bool { return a(r) > b(r) }
	}
	return func(r *reader) bool { return a(r) >= b(r) }
}

// bounded compares with a constant.
func bounded(op string, a numeric, bound float64) test {
	switch op {
	case "<":
		return func(r *reader) bool { return a(r) < bound }
	case "<=":
		return func(r *reader) bool { return a(r) <= bound }
	case ">":
		return func(r *reader) bool { return a(r) > bound }
	}
	return func(r *reader) bool { return a(r) >= bound }
}

func numericOf(n ast.Node) numeric {
	switch n := n.(type) {
	case *ast.FloatNode:
		v := n.Value
		return func(*reader) float64 { return v }
	case *ast.MemberNode:
		_, i := slotIn(n)
		return func(r *reader) float64 { r.load(i); return r.N[i] }
	case *ast.BinaryNode:
		a, b := numericOf(n.Left), numericOf(n.Right)
		switch n.Operator {
		case "+":
			return func(r *reader) float64 { return a(r) + b(r) }
		case "-":
			return func(r *reader) float64 { return a(r) - b(r) }
		case "*":
			return func(r *reader) float64 { return a(r) * b(r) }
		case "/":
			return func(r *reader) float64 { return a(r) / b(r) }
		}
	}
	panic(alien(n))
}

func wordingOf(n ast.Node) wording {
	switch n := n.(type) {
	case *ast.StringNode:
		s := n.Value
		return func(*reader) string { return s }
	case *ast.MemberNode:
		_, i := slotIn(n)
		return func(r *reader) string { r.load(i); return r.S[i] }
	}
	panic(alien(n))
}

// spelling is one text for every tree that does the same: by it conditions of different rules are known to be the same one.
func spelling(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value)
	case *ast.FloatNode:
		return strconv.FormatFloat(n.Value, 'g', -1, 64)
	case *ast.StringNode:
		return strconv.Quote(n.Value)
	case *ast.MemberNode:
		array, i := slotIn(n)
		return array + strconv.Itoa(i)
	case *ast.UnaryNode:
		return "not " + spelling(n.Node)
	case *ast.BinaryNode:
		return "(" + spelling(n.Left) + " " + n.Operator + " " + spelling(n.Right) + ")"
	case *ast.ArrayNode:
		all := make([]string, len(n.Nodes))
		for i, e := range n.Nodes {
			all[i] = spelling(e)
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	panic(alien(n))
}
