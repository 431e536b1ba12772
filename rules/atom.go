package rules

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/expr-lang/expr/ast"

	"doorward/rules/window"
)

// atom is one condition that a rule's whole condition needs. Atoms of different rules with the same key are alike but for their constant.
type atom struct {
	key   string
	form  form
	bound float64 // of ranged, at most
	of    string  // of least and most: what is compared
	word  string  // of worded
	slot  int     // of worded
	cost  int     // what asking costs: cheaper first
	rare  int     // how seldom it is true: smaller first
	test  test
	at    func(bound float64) test // the same with another bound
}

// form says how atoms with the same key depend on their constant.
type form int

const (
	exact  form = iota // they don't: they are the same
	least              // the smaller the bound, the more often true
	most               // the greater the bound, the more often true
	ranged             // true between two bounds only if true at one of them
	worded             // text that equals the constant
)

// maxAlternatives bounds into how many alternatives a condition is taken apart; one with more is asked as a whole.
const maxAlternatives = 8

// alternatives takes a condition apart into conjunctions, one of which is true when and only when the condition is.
func (p *pool) alternatives(l *logic) [][]atom {
	all, ok := p.either(l, true)
	if !ok {
		all = [][]atom{{p.opaque(l.node, false)}}
	}
	for i, atoms := range all {
		all[i] = tidy(atoms)
	}
	return all
}

// either is l, or when want is false its opposite; false: there are too many alternatives.
func (p *pool) either(l *logic, want bool) ([][]atom, bool) {
	switch {
	case l.op == not:
		return p.either(l.of[0], !want)
	case l.op == constant && l.always == want:
		return [][]atom{{}}, true
	case l.op == constant:
		return nil, true
	case l.op == leaf:
		return [][]atom{{p.atom(l, !want)}}, true
	}
	a, ok := p.either(l.of[0], want)
	b, also := p.either(l.of[1], want)
	if !ok || !also {
		return nil, false
	}
	if (l.op == or) == want {
		all := append(a, b...)
		return all, len(all) <= maxAlternatives
	}
	if len(a)*len(b) > maxAlternatives {
		return nil, false
	}
	var all [][]atom
	for _, x := range a {
		for _, y := range b {
			all = append(all, append(slices.Clone(x), y...))
		}
	}
	return all, true
}

// tidy puts what is cheap and rare first, keeps of several bounds of the same thing the tightest, drops what is said twice, and tells other
// atoms with the same key in one conjunction apart.
func tidy(atoms []atom) []atom {
	atoms = slices.Clone(atoms)
	slices.SortStableFunc(atoms, func(a, b atom) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.rare, b.rare)) })
	seen := map[string]int{}
	var all []atom
	for _, a := range atoms {
		n := seen[a.key]
		seen[a.key]++
		if n > 0 {
			switch at := slices.IndexFunc(all, func(b atom) bool { return b.key == a.key }); {
			case a.form == exact:
				continue
			case a.form == least || a.form == most:
				if (a.form == least) == (a.bound > all[at].bound) {
					all[at] = a
				}
				continue
			}
			a.key += " #" + strconv.Itoa(n)
		}
		all = append(all, a)
	}
	return all
}

// atom is a comparison, or its opposite.
func (p *pool) atom(l *logic, negated bool) atom {
	b, ok := l.node.(*ast.BinaryNode)
	if !ok {
		return p.opaque(l.node, negated)
	}
	switch b.Operator {
	case "<", "<=", ">", ">=":
		if a, ok := p.sized(b, negated); ok {
			return a
		}
	case "==":
		if a, ok := p.equals(b); ok && !negated {
			return a
		}
	}
	return p.opaque(b, negated)
}

// opaque is a condition that is asked as it is.
func (p *pool) opaque(n ast.Node, negated bool) atom {
	a := atom{key: spelling(n), form: exact, cost: p.cost(n), rare: usual, test: testOf(n)}
	if m, ok := n.(*ast.MemberNode); ok {
		if _, i := slotIn(m); p.slots[i].spec != nil {
			a.rare = rare // first_seen, sequence
		}
	}
	if negated {
		a.key, a.rare, a.test = "not "+a.key, often, negation(a.test)
	}
	return a
}

// equals is FACT == "text". An absent fact is empty text, and nothing may be compared with that.
func (p *pool) equals(b *ast.BinaryNode) (atom, bool) {
	m, isFact := b.Left.(*ast.MemberNode)
	s, isText := b.Right.(*ast.StringNode)
	if !isFact || !isText {
		return atom{}, false
	}
	_, i := slotIn(m)
	a := atom{key: "== " + strconv.Itoa(i), form: worded, word: s.Value, slot: i, cost: p.cost(b), rare: rarest, test: testOf(b)}
	if f, ok := factNamed(p.slots[i].name); ok && f.values != nil {
		a.rare = usual
	}
	return a, true
}

// sized is a comparison by size with a constant, or with a constant times something.
func (p *pool) sized(b *ast.BinaryNode, negated bool) (atom, bool) {
	op, left := b.Operator, numericOf(b.Left)
	a := atom{cost: p.cost(b), key: spelling(b.Left) + " " + op, rare: usual}
	up := (op[0] == '>') != negated
	if bound, ok := b.Right.(*ast.FloatNode); ok {
		a.bound, a.form, a.rare = bound.Value, most, p.rarity(b.Left, up)
		if up {
			a.form = least
		}
		a.of = spelling(b.Left)
		a.at = func(bound float64) test { return bounded(op, left, bound) }
	} else if factor, of, ok := times(b.Right); ok {
		a.bound, a.form, a.key = factor, ranged, a.key+" * "+spelling(of)
		right := numericOf(of)
		a.at = func(bound float64) test {
			return order(op, left, func(r *reader) float64 { return bound * right(r) })
		}
	} else {
		return a, false
	}
	if negated {
		of := a.at
		a.key, a.rare = "not "+a.key, often
		a.at = func(bound float64) test { return negation(of(bound)) }
	}
	a.test = a.at(a.bound)
	return a, true
}

// times takes a constant factor off a product.
func times(n ast.Node) (factor float64, of ast.Node, ok bool) {
	b, ok := n.(*ast.BinaryNode)
	if !ok || b.Operator != "*" {
		return 0, nil, false
	}
	if f, ok := b.Left.(*ast.FloatNode); ok {
		return f.Value, b.Right, true
	}
	if f, ok := b.Right.(*ast.FloatNode); ok {
		return f.Value, b.Left, true
	}
	return 0, nil, false
}

// How seldom a condition is true of everyday events, as a guess: a wrong one costs time and changes nothing that is found.
const (
	rarest = iota // one device, one payee, one address
	rare          // many of something in a window, for the first time, in this order
	recent        // not long ago
	usual
	often
)

// rarity guesses how seldom a number exceeds (up) a bound or lies below it.
func (p *pool) rarity(n ast.Node, up bool) int {
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return usual
	}
	_, i := slotIn(m)
	w := p.slots[i].spec
	switch {
	case w == nil:
		return usual
	case w.Func == window.Since || w.Func == window.KnownFor || w.Func == window.Age:
		if up {
			return often
		}
		return recent
	case !up || w.Func == window.Known:
		return often
	}
	return rare
}

// cost is what the dearest fact in a condition costs to read: a field, a pattern, an account's window, one across accounts.
func (p *pool) cost(n ast.Node) int {
	dearest := 0
	for _, i := range slotsOf(n, nil) {
		s := p.slots[i]
		if s.ask || s.match != nil {
			if s.match != nil {
				dearest = max(dearest, 1)
			}
			s = p.slots[s.of]
		}
		switch {
		case s.spec == nil:
		case s.spec.Key == window.Account:
			dearest = max(dearest, 2)
		default:
			dearest = max(dearest, 3)
		}
	}
	return dearest
}

// slotsOf are the slots that a tree reads.
func slotsOf(n ast.Node, all []int) []int {
	switch n := n.(type) {
	case *ast.MemberNode:
		_, i := slotIn(n)
		return append(all, i)
	case *ast.UnaryNode:
		return slotsOf(n.Node, all)
	case *ast.BinaryNode:
		return slotsOf(n.Right, slotsOf(n.Left, all))
	}
	return all
}
