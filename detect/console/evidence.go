package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/auth/web"
	"doorward/detect"
	"doorward/detect/cases"
	"doorward/rules"
)

// findingBody is a finding with its evidence.
type findingBody struct {
	N        int // number on the page, oldest first
	ID       string
	Rule     string
	Title    string
	Version  string
	Score    int
	Response string
	Capped   string
	Event    string // "source id"
	Type     string
	At       time.Time
	Attack   []string
	Evidence []evidenceBody
	Kept     bool // false: only the case's own line is left
}

// evidenceBody is one comparison: the fact, its value, the limit, and both on one bar.
type evidenceBody struct {
	Fact, Value, Limit string
	Bar                bool
	Width, Notch       float64 // per cent of the bar
	AsOf               string
}

// findings gives a case's findings, strongest first, numbered in the order in which they came.
func (c *Console) findings(rq *request, cs cases.Case) ([]findingBody, error) {
	kept, err := c.loadFindings(rq.Context(), cs.Findings)
	if err != nil {
		return nil, err
	}
	titles := c.titles()
	byID := map[string]detect.Finding{}
	for _, f := range kept {
		byID[f.ID] = f
	}
	say := c.say(rq)
	out := make([]findingBody, 0, len(cs.Findings))
	for i, r := range cs.Findings {
		b := findingBody{N: i + 1, ID: r.ID, Rule: visible(r.Rule), Title: titleOf(titles, r.Rule), Score: r.Score, Response: r.Response,
			Event: visible(r.Event), At: r.At.In(rq.view.zone)}
		if f, ok := byID[r.ID]; ok {
			b.Kept, b.Version, b.Capped, b.Type = true, f.RuleVersion, f.Capped, visible(string(f.EventType))
			for _, t := range f.Attack {
				b.Attack = append(b.Attack, visible(t))
			}
			for _, e := range f.Evidence {
				b.Evidence = append(b.Evidence, evidence(say, e))
			}
		}
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b findingBody) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.N, a.N)) })
	return out, nil
}

// titles are those of the rules in force, by id and by what they were called before.
func (c *Console) titles() map[string]string {
	m := map[string]string{}
	for _, r := range c.Rules() {
		for _, id := range append([]string{r.ID}, r.Was...) {
			m[id] = r.Title
		}
	}
	return m
}

// titleOf is a rule's title, its id when the rule is no longer in force.
func titleOf(titles map[string]string, rule string) string {
	if t := titles[rule]; t != "" {
		return visible(t)
	}
	return visible(rule)
}

// evidence lays one comparison out. A bar needs two numbers; the notch is the limit.
func evidence(say *web.Say, e rules.Evidence) evidenceBody {
	b := evidenceBody{Fact: visible(e.Fact), Value: value(say, e.Value, e.Unit), AsOf: visible(e.AsOf)}
	if e.Threshold == nil {
		return b
	}
	b.Limit = strings.TrimSpace(op(e.Op) + " " + value(say, e.Threshold, e.Unit))
	v, ok1 := number(e.Value)
	t, ok2 := number(e.Threshold)
	if !ok1 || !ok2 || v < 0 || t < 0 || v == 0 && t == 0 {
		return b
	}
	whole := math.Max(v, t*1.25)
	b.Bar, b.Width, b.Notch = true, percent(v/whole), math.Min(98.5, percent(t/whole))
	return b
}

func percent(share float64) float64 { return math.Round(share*1000) / 10 }

func op(o string) string {
	switch o {
	case ">=":
		return "≥"
	case "<=":
		return "≤"
	case "!=":
		return "≠"
	case "==":
		return "="
	case "<", ">", "=", "in", "not in", "contains", "matches", "startsWith", "endsWith":
		return o
	}
	return visible(o)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// value writes a value of the evidence in words: yes and no, spans of time, numbers in the reader's form.
func value(say *web.Say, v any, unit string) string {
	if n, ok := number(v); ok {
		if code, ok := strings.CutPrefix(unit, "minor units"); ok && n == math.Trunc(n) {
			return say.Money(int64(n), strings.TrimSpace(code))
		}
		switch unit {
		case "s", "seconds":
			if n >= 0 && n < 1e9 {
				return say.Span(time.Duration(n) * time.Second)
			}
		case "%":
			return amount(say, n) + " %"
		}
		s := amount(say, n)
		if unit != "" {
			s += " " + visible(unit)
		}
		return s
	}
	switch v := v.(type) {
	case bool:
		return say.T("value." + strconv.FormatBool(v))
	case nil:
		return say.T("value.none")
	case string:
		return visible(v)
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = value(say, x, unit)
		}
		return visible(strings.Join(parts, ", "))
	}
	return visible(fmt.Sprint(v))
}

// amount writes a number with the digits that matter, grouped as the language does.
func amount(say *web.Say, n float64) string {
	if n == math.Trunc(n) && math.Abs(n) < 1e15 {
		return group(say, strconv.FormatFloat(n, 'f', 0, 64), "")
	}
	whole, rest, _ := strings.Cut(strconv.FormatFloat(n, 'f', 2, 64), ".")
	return group(say, whole, rest)
}

// separators are point and group of each language; Spanish groups from five digits on (CLDR).
var separators = map[string]struct {
	point, group string
	least        int
}{"en": {".", ",", 4}, "zh-Hans": {".", ",", 4}, "es": {",", ".", 5}, "fr": {",", "\u202f", 4}, "de": {",", ".", 4}}

func group(say *web.Say, whole, rest string) string {
	s := separators[say.Lang]
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "−", whole[1:]
	}
	if len(whole) >= s.least {
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + s.group + whole[i:]
		}
	}
	if rest != "" {
		whole += s.point + rest
	}
	return sign + whole
}

// Telling are the comparisons that a short view shows: those with a bar, at most two.
func (f findingBody) Telling() (out []evidenceBody) {
	for _, e := range f.Evidence {
		if e.Bar && len(out) < 2 {
			out = append(out, e)
		}
	}
	return out
}

// factBody is one fact as it was when the strongest finding fired.
type factBody struct{ Fact, Value string }

// factsOf are the distinct facts behind the findings, the strongest finding's first.
func factsOf(fs []findingBody) (facts []factBody) {
	seen := map[string]bool{}
	for _, f := range fs {
		for _, e := range f.Evidence {
			if !seen[e.Fact] {
				seen[e.Fact] = true
				facts = append(facts, factBody{e.Fact, e.Value})
			}
		}
	}
	return facts
}
