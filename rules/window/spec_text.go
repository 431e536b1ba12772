package window

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Text is the canonical form of s, by which a window keeps its history when rules change:
//
//	count("login.failed", "10m") per account
//	sum("transaction.completed|transaction.requested", "1d", "out") per account
//	distinct("account", "login.*", "1h") per ip
//
// The order is field, types ("*": every type), span, direction. Two specs that mean the same have the same text.
func (s Spec) Text() string {
	s = s.normal()
	var args []string
	if s.Field != "" {
		args = append(args, s.Field)
	}
	switch {
	case s.Func == Sequence:
		args = append(args, s.Types...)
	case s.Func == Age || s.Func == Again:
	case len(s.Types) == 0:
		args = append(args, "*")
	default:
		args = append(args, strings.Join(s.Types, "|"))
	}
	if s.Span != 0 {
		args = append(args, SpanText(s.Span))
	}
	if s.Where != "" {
		args = append(args, s.Where)
	}
	for i, a := range args {
		args[i] = strconv.Quote(a)
	}
	return string(s.Func) + "(" + strings.Join(args, ", ") + ") per " + string(s.Key)
}

// normal is s with one spelling for each meaning: types sorted and once each (a sequence keeps its steps' order), the account as default
// key, the amount as "".
func (s Spec) normal() Spec {
	if s.Key == "" {
		s.Key = Account
	}
	if s.Func == Sum && s.Field == "amount" {
		s.Field = ""
	}
	types := make([]string, 0, len(s.Types))
	for _, t := range s.Types {
		alternatives := strings.Split(t, "|")
		if s.Func == Sequence {
			types = append(types, strings.Join(sorted(alternatives), "|"))
		} else {
			types = append(types, alternatives...)
		}
	}
	if s.Func != Sequence {
		types = sorted(types)
		if slices.Contains(types, "*") {
			types = nil
		}
	}
	s.Types = types
	return s
}

func sorted(s []string) []string {
	for i := range s {
		s[i] = strings.TrimSpace(s[i])
	}
	slices.Sort(s)
	return slices.Compact(s)
}

// SpanText writes a span in the largest unit that divides it: "90d", "36h", "10m", "45s".
func SpanText(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.size && d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return d.String()
}

// matcher is a set of type patterns, compiled.
type matcher struct {
	all      bool
	exact    []string
	prefixes []string
}

func newMatcher(types []string) (m matcher) {
	m.all = len(types) == 0
	for _, t := range types {
		switch {
		case t == "*":
			m.all = true
		case strings.HasSuffix(t, ".*"):
			m.prefixes = append(m.prefixes, t[:len(t)-1])
		default:
			m.exact = append(m.exact, t)
		}
	}
	return m
}

func (m *matcher) match(t string) bool {
	if m.all || slices.Contains(m.exact, t) {
		return true
	}
	for _, p := range m.prefixes {
		if strings.HasPrefix(t, p) {
			return true
		}
	}
	return false
}
