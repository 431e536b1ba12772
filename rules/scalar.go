package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// text is a scalar as text; empty: it is none, and that has been said.
func (d *draft) text(name string, v ast.Node) string {
	s, ok := scalar(v)
	switch {
	case !ok:
		d.wrong(d.src.node(v), "", "%s is text, not a list or a mapping", name)
	case strings.TrimSpace(s) == "":
		d.wrong(d.src.node(v), "", "%s is empty", name)
	case len(s) > maxWhen:
		d.wrong(d.src.node(v), "", "%s is longer than %d bytes", name, maxWhen)
	default:
		return s
	}
	return ""
}

// texts is a list of text, or one text.
func (d *draft) texts(name string, v ast.Node) []string {
	seq, ok := v.(*ast.SequenceNode)
	if !ok {
		if s := d.text(name, v); s != "" {
			return []string{s}
		}
		return nil
	}
	var all []string
	for _, e := range seq.Values {
		all = append(all, d.text(name, e))
	}
	if len(all) == 0 {
		d.wrong(d.src.node(v), "", "%s is empty", name)
	}
	return all
}

func (d *draft) choice(name string, v ast.Node, of []string) string {
	s := d.text(name, v)
	if s == "" || slices.Contains(of, s) {
		return s
	}
	d.wrong(d.src.node(v), nearest(s, of), "%s: %q is not one of %s", name, s, strings.Join(of, ", "))
	return ""
}

func (d *draft) duration(name string, v ast.Node) time.Duration {
	s := d.text(name, v)
	if s == "" {
		return 0
	}
	t, err := duration(s)
	if err != nil {
		d.wrong(d.src.node(v), "24h", "%s: %v", name, err)
	}
	return t
}

// scalar is a scalar's text, as written where it is no string.
func scalar(v ast.Node) (string, bool) {
	switch v := v.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(v.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return v.GetToken().Value, true
	}
	return "", false
}

func scalarText(v ast.Node) string {
	if s, ok := scalar(v); ok {
		return s
	}
	return fmt.Sprint(v)
}

// node is the byte offset at which a node begins.
func (s *source) node(n ast.Node) int {
	if n == nil {
		return 0
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		return s.node(m.Values[0].Key)
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 0
	}
	return s.offset(t.Position.Line, t.Position.Column)
}

// item is the byte offset of the i-th entry of a list, or of the one value that stands for a list.
func (s *source) item(v ast.Node, i int) int {
	if seq, ok := v.(*ast.SequenceNode); ok && i < len(seq.Values) {
		return s.node(seq.Values[i])
	}
	return s.node(v)
}
