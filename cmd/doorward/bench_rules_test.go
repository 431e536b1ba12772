package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/simulate"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/window"
)

// stream is events of the load at a rate, with the windows of a rule set as of each.
type stream struct {
	load    *simulate.Load
	memory  *window.Memory
	start   time.Time
	n       uint64
	rate    int
	account auth.Account
	event   event.Event
	facts   rules.Facts
}

func newStream(set *rules.Set, accounts, rate int) *stream {
	return &stream{load: simulate.NewLoad(simulate.LoadConfig{Accounts: accounts, Seed: 1}), rate: rate,
		memory: window.NewMemory(set.Layout(), [16]byte{}, 0, 2*accounts, nil), start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
}

func (s *stream) next(t testing.TB) *rules.Facts {
	_, line := s.load.Next(s.start.Add(time.Duration(s.n) * time.Second / time.Duration(s.rate)))
	e, wrong := event.DecodeLine(line)
	if wrong != nil {
		t.Fatal(wrong)
	}
	s.n++
	s.event, s.account.ID = *e, e.Account
	place := detect.PlaceOf(e, nil)
	v := s.memory.Take(&window.Input{Event: &s.event, Place: place, Sequence: s.n})
	s.facts = rules.Facts{Event: &s.event, Place: place, Account: &s.account, View: v, Timing: v.Timing()}
	return &s.facts
}

// Every copy is true of something in a million events of the load, and of little. The short form plays fewer events to fewer rules, of
// which most must be true; DOORWARD_BENCH_RULES=4000 plays a million to so many, of which all must be.
func TestBenchRulesAreTrueOfSomething(t *testing.T) {
	n, events, missing := 40, 300_000, 14
	if s := os.Getenv("DOORWARD_BENCH_RULES"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
		events, missing = 1_000_000, 0
	}
	set, err := benchRules(n)
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(set, 1_000_000, 250_000)
	fired, all := map[string]int{}, 0
	for range events {
		findings, faults := set.Evaluate(s.next(t))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		for _, f := range findings {
			fired[f.Rule.ID]++
			all++
		}
	}
	var never []string
	kinds := map[string]int{}
	for _, r := range set.Rules() {
		id, _, copied := strings.Cut(r.ID, ".copy")
		if copied && fired[r.ID] == 0 {
			never = append(never, r.ID)
		}
		if !copied {
			id += " as it ships"
		}
		kinds[id] += fired[r.ID]
	}
	t.Logf("%d rules, %d events: %d findings: %v", n, events, all, kinds)
	if len(never) > missing {
		t.Errorf("%d copies were never true: %v", len(never), never)
	}
	if copies := all - sumEnding(kinds, " as it ships"); copies > 6*n*events/1_000_000+events/1000 {
		t.Errorf("%d findings by copies: they are true too often to tell what rules cost from what findings cost", copies)
	}
	own, err := benchRules(12)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := windows(set), windows(own); got != want {
		t.Errorf("%d windows, those of the built-in rules are %d: copies bring none of their own", got, want)
	}
}

func sumEnding(kinds map[string]int, ending string) (n int) {
	for id, of := range kinds {
		if strings.HasSuffix(id, ending) {
			n += of
		}
	}
	return n
}

// windows counts what a set remembers, but for the rules' own memory.
func windows(set *rules.Set) (n int) {
	for slot := range set.Layout().Len() {
		if set.Layout().Spec(slot).Func != window.Again {
			n++
		}
	}
	return n
}

// What the engine finds with many rules is what the reference finds with each of them, in the same order, byte for byte.
func TestBenchRulesAgreeWithReference(t *testing.T) {
	for _, n := range []int{40, 400} {
		set, err := benchRules(n)
		if err != nil {
			t.Fatal(err)
		}
		engine, reference := newStream(set, 300, 2000), newStream(set, 300, 2000)
		found := 0
		for i := range 400_000 / n {
			findings, faults := set.Evaluate(engine.next(t))
			want, wantFaults := set.Reference(reference.next(t))
			got, err := json.Marshal(findings)
			if err != nil {
				t.Fatal(err)
			}
			expected, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(expected) || len(faults)+len(wantFaults) > 0 {
				t.Fatalf("%d rules, event %d: engine %v %s\nreference %v %s", n, i, faults, got, wantFaults, expected)
			}
			found += len(findings)
		}
		if found == 0 {
			t.Errorf("%d rules: nothing was found, so that nothing was compared", n)
		}
	}
}
