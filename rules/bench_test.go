package rules

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"testing/fstest"
	"time"
)

var (
	bound     = regexp.MustCompile(`([<>]=? )([0-9.]+)`)
	boundSpan = regexp.MustCompile(`([<>]=? ")([0-9]+)([hd]")`)
	ruleStart = regexp.MustCompile(`(?m)^- id: (.*)$`)
	whenBlock = regexp.MustCompile(`(?s)  when: .*?\n  (again|score):`)
)

// perturbed makes n rules: the built-in ones, then they again and again with constants of their own, up to a fifth more or less. The windows
// stay the same.
func perturbed(t testing.TB, n int) *Set {
	t.Helper()
	var texts []string
	files, err := filepath.Glob("builtin/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		starts := ruleStart.FindAllIndex(b, -1)
		for i, at := range starts {
			end := len(b)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			texts = append(texts, string(b[at[0]:end]))
		}
	}
	all := fstest.MapFS{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		text := texts[i%len(texts)]
		text = ruleStart.ReplaceAllString(text, fmt.Sprintf("- id: $1.c%d", i/len(texts)))
		if i >= len(texts) {
			text = whenBlock.ReplaceAllStringFunc(text, func(when string) string { return perturb(random, when) })
		}
		all[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	set, err := Load(all)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func perturb(random *rand.Rand, when string) string {
	factor := func() float64 { return 0.8 + 0.4*random.Float64() }
	when = bound.ReplaceAllStringFunc(when, func(s string) string {
		m := bound.FindStringSubmatch(s)
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return s
		}
		return m[1] + strconv.FormatFloat(v*factor(), 'f', 4, 64)
	})
	return boundSpan.ReplaceAllStringFunc(when, func(s string) string {
		m := boundSpan.FindStringSubmatch(s)
		v, err := strconv.Atoi(m[2])
		if err != nil {
			return s
		}
		minutes := float64(v) * map[string]float64{`h"`: 60, `d"`: 1440}[m[3]]
		return fmt.Sprintf(`%s%dm"`, m[1], int(minutes*factor()))
	})
}

// everyday plays an account's month and gives its next event, on which nothing fires.
func everyday(t testing.TB, set *Set, i int) *Facts {
	t.Helper()
	random := rand.New(rand.NewPCG(3, uint64(i)))
	w := worldOf(t, set)
	device, payee := fmt.Sprintf("device-%d", i), func() string { return fmt.Sprintf("acct-%d", random.IntN(5)) }
	at := time.Duration(0)
	next := func() *Facts {
		at += time.Duration(1+random.IntN(40)) * time.Hour
		data := fmt.Sprintf(`"device":%q,"ip":"192.0.2.%d","user_agent":"Mozilla/5.0","geo":{"country":"SG","lat":1.3,"lon":103.8}`, device, i%250)
		switch n := random.IntN(100); {
		case n < 55:
			return w.facts(at, "login.succeeded", "{"+data+`,"method":"password"}`)
		case n < 60:
			return w.facts(at, "login.failed", "{"+data+`,"method":"password","reason":"bad_password"}`)
		}
		amount := 500 + random.IntN(60_000)
		return w.facts(at, "transaction.requested", fmt.Sprintf(`{%s,"kind":"transfer","direction":%q,"amount":%d,"currency":"SGD","counterparty":%q,`+
			`"counterparty_kind":"person","channel":"app","balance_before":%d}`, data, []string{"out", "out", "in"}[random.IntN(3)], amount, payee(),
			2*amount+random.IntN(100_000)))
	}
	for range 30 {
		if _, faults := set.Evaluate(next()); len(faults) > 0 {
			t.Fatal(faults)
		}
	}
	return next()
}

// quiet are the accounts on whose next event no rule of the set fires, which then holds for every smaller set.
func quiet(t testing.TB, set *Set, n int) (accounts []int) {
	for i := 0; len(accounts) < n; i++ {
		if f := everyday(t, set, i); len(first(set.Evaluate(f))) == 0 {
			accounts = append(accounts, i)
		}
	}
	return accounts
}

// The cost of Evaluate alone, per event of everyday traffic on which nothing fires, by number of rules; the same events for all.
func BenchmarkEvaluate(b *testing.B) {
	sizes := []int{40, 400, 4000, 10_000}
	accounts := quiet(b, perturbed(b, sizes[len(sizes)-1]), 64)
	for _, n := range sizes {
		set := perturbed(b, n)
		var events []*Facts
		for _, i := range accounts {
			events = append(events, everyday(b, set, i))
		}
		for i, evaluate := range []func(*Facts) ([]Finding, []Fault){set.Reference, set.Evaluate} {
			b.Run(fmt.Sprintf("%s/%d", []string{"vm", "closures"}[i], n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if findings, faults := evaluate(events[i%len(events)]); len(findings)+len(faults) > 0 {
						b.Fatal(findings, faults)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/event")
			})
		}
	}
}

func first(findings []Finding, _ []Fault) []Finding { return findings }

// An event on which nothing fires costs the heap nothing, however many rules there are.
func TestNothingIsAllocated(t *testing.T) {
	for _, n := range []int{40, 1000} {
		set := perturbed(t, n)
		var events []*Facts
		for _, i := range quiet(t, set, 16) {
			events = append(events, everyday(t, set, i))
		}
		r := newReader(set) // the pool may drop one, and does so at random under the race detector
		allocs := testing.AllocsPerRun(100, func() {
			for _, f := range events {
				set.evaluate(r, set.listening(f), f)
			}
		})
		if allocs > 0 {
			t.Errorf("%d rules, %d events on which nothing fires: %v allocations", n, len(events), allocs)
		}
	}
}
