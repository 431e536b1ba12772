package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing/fstest"

	"doorward/rules"
	"doorward/rules/builtin"
)

// benchRules are the built-in rules and copies of them with other thresholds, until there are n.
func benchRules(n int) (*rules.Set, error) {
	own, err := builtin.Load()
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	list := own.Rules()
	for i := range n {
		r := list[i%len(list)]
		fmt.Fprintf(&text, "- id: bench.r%d\n  title: %s\n  level: low\n  status: test\n  on: [", i, strconv.Quote(r.Title))
		for j, on := range r.On {
			if j > 0 {
				text.WriteString(", ")
			}
			text.WriteString(string(on))
		}
		when := strings.ReplaceAll(strings.TrimSpace(r.When), "\n", " ")
		if i >= len(list) { // rarer than its original: a condition on the amount or on the account's age that differs for each
			when = fmt.Sprintf("(%s) and age() >= %q", when, strconv.Itoa(30+i%60)+"d")
		}
		fmt.Fprintf(&text, "]\n  per: %s\n  when: %s\n  score: %d\n  response: %s\n  recovery: totp\n  reason: {code: %s, en: \"For measuring.\"}\n",
			r.Per, strconv.Quote(when), r.Score, r.Response, r.Reason.Code)
	}
	return rules.Load(fstest.MapFS{"bench.yaml": {Data: []byte(text.String())}})
}
