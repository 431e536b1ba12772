package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"

	"doorward/rules"
	"doorward/rules/builtin"
)

// The rules of a measurement are the built-in ones, as they ship, and copies of those that the load's attacks make true. A copy has other
// constants, and is for a part of the traffic only: a band of amounts, or addresses with some ending, as an analyst would have a rule for
// each. So that each is true of something in a million events, and of little: what is measured is what many rules cost, not what many
// findings cost. The windows are those of the built-in rules: a copy brings none of its own.

// template is a built-in rule that is copied.
type template struct {
	id    string
	knobs []knob
	part  func(copy int) string // the condition that makes it one for a part of the traffic
}

// knob is a constant of a rule, and between what its copies' lie: never stricter, so that the part alone says how seldom a copy is true.
type knob struct {
	text   string // as the rule has it
	format string
	from   float64
	to     float64
}

// templates are taken in turn, the first few times as they stand, then only the last two (see copied).
var templates = []template{
	{"login.new_device_new_country", []knob{{"known(device) >= 1", "known(device) >= %.3f", 0.5, 1}}, addresses(2)},
	{"login.impossible_travel", []knob{{">= 1000", ">= %.1f", 700, 1000}, {">= 500", ">= %.1f", 350, 500}, {`"1d"`, `"%.0fm"`, 1440, 1900}}, addresses(2)},
	{"login.guessing", []knob{{">= 5", ">= %.3f", 4.01, 5}}, addresses(2)},
	{"login.guessed", []knob{{`"1h") >= 5`, `"1h") >= %.3f`, 3.01, 5}, {`"ip") >= 5`, `"ip") >= %.3f`, 3.01, 5}}, addresses(1)},
	{"change.reset_then_withdrawal", []knob{{`< "24h"`, `< "%.0fm"`, 1440, 1900}, {"known(device) >= 2", "known(device) >= %.3f", 1.01, 2}}, amounts(5000)},
	{"money.new_payee_large", []knob{{">= 100000", ">= %.0f", 70_000, 100_000}, {`< "24h"`, `< "%.0fm"`, 1440, 1900}, {">= 10", ">= %.3f", 0.5, 1},
		{"0.8 *", "%.4f *", 0.3, 0.8}, {"0.5 *", "%.4f *", 0.3, 0.5}}, amounts(150)},
	{"money.drained", []knob{{">= 20000", ">= %.0f", 14_000, 20_000}, {"0.95 *", "%.4f *", 0.8, 0.95}, {`< "24h"`, `< "%.0fm"`, 1440, 1900},
		{"<= 100", "<= %.1f", 100, 140}}, amounts(150)},
}

// copied is the template of a copy. Thefts are spread evenly over the amounts and much else is not, so most copies are of rules about money:
// those can be true as seldom as they may.
func copied(n int) *template {
	if n %= 64; n < len(templates) {
		return &templates[n]
	}
	return &templates[len(templates)-1-n%3/2]
}

// amounts gives each copy a band of so many minor units: what the thieves of simulate.Load leave with lies between 4,000.00 and 5,000.00.
func amounts(width int) func(int) string {
	return func(n int) string {
		from := 399_900 + n*38_197%(100_000-width)
		return fmt.Sprintf("amount >= %d and amount < %d", from, from+width)
	}
}

// addresses gives each copy the addresses with some last digits.
func addresses(digits int) func(int) string {
	return func(n int) string {
		ending := []int{10, 56}[digits-1] // an address ends in 0 to 255: of two digits, those that end three of them
		return fmt.Sprintf(`ip endsWith "%0*d"`, digits, n*37%ending)
	}
}

// benchRules are the built-in rules and copies of them, until there are n; the same every time. n is 1 or more.
func benchRules(n int) (*rules.Set, error) {
	own, err := builtin.Load()
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	add := func(i int, text string) { files[fmt.Sprintf("%05d.yaml", i)] = &fstest.MapFile{Data: []byte(text)} }
	for i, r := range own.Rules()[:min(n, len(own.Rules()))] {
		add(i, ruleText(r, r.ID, r.When))
	}
	random := rand.New(rand.NewPCG(40, 4000))
	for i := range n - len(own.Rules()) {
		t := copied(i)
		r := own.Rule(t.id)
		if r == nil {
			return nil, fmt.Errorf("rules to measure: there is no built-in rule %s", t.id)
		}
		when := r.When
		for _, k := range t.knobs {
			if !strings.Contains(when, k.text) {
				return nil, fmt.Errorf("rules to measure: %s has no %s", t.id, k.text)
			}
			when = strings.ReplaceAll(when, k.text, fmt.Sprintf(k.format, k.from+(k.to-k.from)*random.Float64()))
		}
		add(len(own.Rules())+i, ruleText(r, fmt.Sprintf("%s.copy%d", t.id, i), "("+strings.TrimSpace(when)+") and "+t.part(i)))
	}
	return rules.Load(files)
}

// ruleText is a file with a rule like r under another id and condition.
func ruleText(r *rules.Rule, id, when string) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "- id: %s\n  title: %s\n  level: %s\n  status: test\n  on: %s\n  attack: %s\n  per: %s\n  when: %s\n", id, quote(r.Title), r.Level,
		quote(r.On), quote(r.Attack), r.Per, quote(when))
	again := r.Again.Mode
	if again == "every" {
		again = r.Again.Every.String()
	}
	fmt.Fprintf(b, "  again: %s\n  score: %d\n  response: %s\n", again, r.Score, r.Response)
	if r.For > 0 {
		fmt.Fprintf(b, "  for: %s\n", strconv.FormatInt(int64(r.For.Seconds()), 10)+"s")
	}
	if r.Recovery != "" {
		fmt.Fprintf(b, "  recovery: %s\n", r.Recovery)
	}
	fmt.Fprintf(b, "  reason: {code: %s", r.Reason.Code)
	for _, lang := range slices.Sorted(maps.Keys(r.Reason.User)) {
		fmt.Fprintf(b, ", %s: %s", lang, quote(r.Reason.User[lang]))
	}
	b.WriteString("}\n")
	return b.String()
}

// quote writes v as JSON, which is YAML.
func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("text and lists of text are always JSON: " + err.Error())
	}
	return string(b)
}
