package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	exprast "github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	exprparser "github.com/expr-lang/expr/parser"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Load reads every *.yaml below fsys, each a list of rules, and compiles them. It returns all mistakes as Errors; other errors are of
// reading.
func Load(fsys fs.FS) (*Set, error) {
	set, wrong, _, err := load(fsys)
	switch {
	case err != nil:
		return nil, err
	case len(wrong) > 0:
		return nil, wrong
	}
	return set, nil
}

// Check reads like Load and also returns what is not wrong but not whole either: a language that owners read and a rule does not speak.
func Check(fsys fs.FS) (mistakes, warnings Errors, err error) {
	_, mistakes, warnings, err = load(fsys)
	return mistakes, warnings, err
}

// Parse compiles the rules of one file; name is what mistakes call it.
func Parse(name string, text []byte) (*Set, error) {
	l := newLoader()
	l.file(newSource(name, string(text)))
	set, err := l.end()
	switch {
	case err != nil:
		return nil, err
	case len(l.mistakes) > 0:
		return nil, l.mistakes
	}
	return set, nil
}

func load(fsys fs.FS) (set *Set, mistakes, warnings Errors, err error) {
	l := newLoader()
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFile {
			l.say(newSource(name, "").error(0, "", "the file is %d KiB long, the limit is %d KiB: split it", info.Size()>>10, maxFile>>10))
			return nil
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		l.file(newSource(name, string(b)))
		return nil
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read rules: %w", err)
	}
	set, err = l.end()
	return set, l.mistakes, l.warnings, err
}

// loader collects what all files of a set have in common.
type loader struct {
	pool               *pool
	drafts             []*draft
	compiled           []*compiled
	ids                map[string]*draft
	mistakes, warnings Errors
	files              []File
}

func newLoader() *loader { return &loader{pool: newPool(), ids: map[string]*draft{}} }

// end is the set, once all files are read; nil when there are mistakes.
func (l *loader) end() (set *Set, err error) {
	l.identities()
	if len(l.mistakes) == 0 {
		set, err = l.finish()
	}
	l.mistakes.sort()
	l.warnings.sort()
	return set, err
}

func (l *loader) say(e *Error) { l.mistakes = append(l.mistakes, e) }

func (l *loader) file(src *source) {
	l.files = append(l.files, File{src.file, src.text})
	if e := src.scan(); e != nil {
		l.say(e)
		return
	}
	f, e := parse(src)
	if e != nil {
		l.say(e)
		return
	}
	for _, doc := range f.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode:
		case *ast.SequenceNode:
			for _, v := range body.Values {
				l.rule(src, v)
			}
		default:
			l.say(src.error(src.node(doc.Body), "- id: ...", "a rule file is a list of rules"))
		}
	}
}

// parse reads YAML. The parser is large and its input comes from anywhere: a panic of it is a mistake in the file, told as one, instead
// of the end of a process that guards accounts.
func parse(src *source) (f *ast.File, wrong *Error) {
	defer func() {
		if r := recover(); r != nil {
			wrong = src.error(0, "", "the file is not YAML that can be read: %v", r)
		}
	}()
	tokens, wrong := src.tokens()
	if wrong != nil {
		return nil, wrong
	}
	f, err := parser.Parse(tokens, 0)
	if err == nil {
		return f, nil
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		p := at.GetToken().Position
		return nil, src.error(src.offset(p.Line, p.Column), "", "not YAML: %s", at.GetMessage())
	}
	return nil, src.error(0, "", "not YAML: %s", strings.SplitN(err.Error(), "\n", 2)[0])
}

func (l *loader) rule(src *source, v ast.Node) {
	m, ok := v.(*ast.MappingNode)
	if !ok {
		l.say(src.error(src.node(v), "id: ...", "a rule is a mapping of keys"))
		return
	}
	d := &draft{src: src, start: src.node(m), say: l.say}
	d.read(m)
	l.drafts = append(l.drafts, d)
	l.condition(d)
	for _, lang := range Languages {
		if d.Reason.User["en"] != "" && d.Reason.User[lang] == "" {
			l.warnings = append(l.warnings, src.error(d.at["reason"], "", "rule %s: reason has no sentence in %s: owners who read it get English", d.ID, lang))
		}
	}
}

// condition parses and checks a rule's `when`.
func (l *loader) condition(d *draft) {
	if d.when == "" {
		return
	}
	at := d.src.align(d.src.node(d.whenN), d.when)
	say := func(rune int, suggestion, message string) {
		d.say(d.src.error(at[runeOffset(d.when, rune)], suggestion, "%s", message))
	}
	tree, err := exprparser.ParseWithConfig(d.when, language())
	if err != nil {
		var fe *file.Error
		if !errors.As(err, &fe) {
			say(0, "", err.Error())
			return
		}
		message, suggestion := spoken(fe.Message)
		say(fe.From, suggestion, message)
		return
	}
	c := &checker{rule: &d.Rule, pool: l.pool, say: func(n exprast.Node, suggestion, message string) {
		say(n.Location().From, suggestion, message)
	}}
	cond := c.truth(tree.Node)
	if cond == nil {
		return
	}
	d.When = d.when
	either := l.pool.alternatives(cond) // before the VM's compiler folds the tree
	whole, err := cond.compileAll(d.when)
	if err != nil {
		say(0, "", err.Error())
		return
	}
	l.compiled = append(l.compiled, &compiled{Rule: &d.Rule, meaning: tree.Node.String(), cond: cond, either: either, whole: whole, facts: c.facts})
}

// runeOffset is the byte offset of the n-th character.
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// spoken says the expression parser's commonest messages in words.
func spoken(message string) (string, string) {
	switch {
	case strings.Contains(message, `Operator("=")`):
		return "= is not a comparison", "=="
	case strings.Contains(message, "unexpected token EOF"):
		return "the condition ends too early", ""
	case strings.Contains(message, "exceeds maximum allowed nodes"):
		return fmt.Sprintf("the condition has more than %d parts: make two rules of it", maxNodes), ""
	}
	return "the condition can't be read: " + message, ""
}

// identities checks that every id, old or new, belongs to one rule.
func (l *loader) identities() {
	for _, d := range l.drafts {
		if d.ID == "" {
			continue
		}
		if other := l.ids[d.ID]; other != nil {
			d.wrong(d.at["id"], "", "id %q is taken: %s line %d", d.ID, other.File, other.Line)
			continue
		}
		l.ids[d.ID] = d
	}
	for _, d := range l.drafts {
		for i, was := range d.Was {
			if other := l.ids[was]; other != nil && was != "" {
				d.wrong(d.at["was"], "", "was: %q is the id of a rule, or was another's: %s line %d", was, other.File, other.Line)
				continue
			}
			if slices.Index(d.Was, was) == i {
				l.ids[was] = d
			}
		}
	}
}
