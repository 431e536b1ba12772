package rules

import (
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/ast"
	exprcheck "github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// connective is how the parts of a condition hang together.
type connective int

const (
	leaf connective = iota
	constant
	not
	and
	or
)

func (c connective) String() string { return [...]string{"leaf", "constant", "not", "and", "or"}[c] }

// logic is a condition taken apart into its comparisons, so that explain and evidence can say which of them decided.
type logic struct {
	op     connective
	of     []*logic
	cond   *comparison // of a leaf
	always bool        // of a constant
	node   ast.Node    // what the VM runs
	holds  test        // the same for the engine
}

// leaves are the comparisons in the order of the text.
func (l *logic) leaves(add func(*comparison)) {
	if l.op == leaf {
		add(l.cond)
	}
	for _, of := range l.of {
		of.leaves(add)
	}
}

// because are the comparisons that made l what it is, namely want: of "a or b" those that are true, of "not (a and b)" those that are false.
func (l *logic) because(is func(*logic) bool, want bool, add func(c *comparison, is bool)) {
	switch l.op {
	case leaf:
		add(l.cond, want)
	case not:
		l.of[0].because(is, !want, add)
	case and, or:
		every := (l.op == and) == want // then each part is as l is
		for _, of := range l.of {
			if every || is(of) == want {
				of.because(is, want, add)
			}
		}
	}
}

// ready compiles l and its parts for the matcher.
func (l *logic) ready() {
	l.holds = testOf(l.node)
	for _, of := range l.of {
		of.ready()
	}
}

// is the truth of l, given that of its comparisons.
func (l *logic) is(holds map[*comparison]bool) bool {
	switch l.op {
	case constant:
		return l.always
	case not:
		return !l.of[0].is(holds)
	case and:
		return l.of[0].is(holds) && l.of[1].is(holds)
	case or:
		return l.of[0].is(holds) || l.of[1].is(holds)
	}
	return holds[l.cond]
}

// Limits of one condition (reference: security S-23): parsing and running stay far below a millisecond.
const (
	maxWhen   = 4096 // bytes
	maxNodes  = 500
	maxMemory = 10_000 // elements that a run of the VM may make
)

// language is expr cut down to what conditions are made of: every function of expr's own is switched off, and ours are known by name, so
// that count(...) is read as our call and not as expr's loop.
func language() *conf.Config {
	c := conf.New(memory{})
	c.MaxNodes = maxNodes
	for name := range c.Builtins {
		c.Disabled[name] = true
	}
	for name := range c.Disabled {
		delete(c.Builtins, name)
	}
	for _, name := range functionNames {
		c.Functions[name] = nil
	}
	return c
}

// program is a compiled part of a condition.
type program = vm.Program

// compile makes the VM's program of a tree that the checker has built.
func compile(n ast.Node, source string, as kind) (*program, error) {
	c := conf.New(memory{})
	c.Optimize = false
	c.Expect, c.ExpectAny = map[kind]reflect.Kind{truth: reflect.Bool, number: reflect.Float64, text: reflect.String}[as], false
	tree := &parser.Tree{Node: n, Source: file.NewSource(source)}
	if _, err := exprcheck.Check(tree, c); err != nil {
		return nil, fmt.Errorf("check condition: %w", err)
	}
	if err := optimizer.Optimize(&tree.Node, c); err != nil {
		return nil, fmt.Errorf("optimise condition: %w", err)
	}
	p, err := compiler.Compile(tree, c)
	if err != nil {
		return nil, fmt.Errorf("compile condition: %w", err)
	}
	return p, nil
}

// compileAll compiles the condition and each of its comparisons for the matcher, and then for the VM: expr's optimizer changes the tree.
func (l *logic) compileAll(source string) (*program, error) {
	var first error
	keep := func(p *program, err error) *program {
		if first == nil {
			first = err
		}
		return p
	}
	l.ready()
	l.leaves(func(c *comparison) {
		if c.left.fixed == nil && c.left.fact.name == "" {
			c.of = keep(compile(c.left.node, source, c.left.kind))
		}
		if c.right.node != nil && c.right.fixed == nil && c.right.fact.name == "" {
			c.to = keep(compile(c.right.node, source, c.right.kind))
		}
	})
	var part func(l *logic)
	part = func(l *logic) {
		if l.op == leaf {
			l.cond.isTrue = keep(compile(l.node, source, truth))
		}
		for _, of := range l.of {
			part(of)
		}
	}
	part(l)
	whole := keep(compile(l.node, source, truth))
	return whole, first
}
