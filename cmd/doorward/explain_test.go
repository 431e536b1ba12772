package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/store/journal"
)

// An account was locked by one event, opened by staff, and a second event of the same kind came: its replay alone would say that the
// account was locked when it came and is to be locked again.
func TestExplanationSaysWhatHappenedNotWhatAReplayMakesOfIt(t *testing.T) {
	set, err := loadRules("")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	moved := func(after time.Duration, by, cause, from, to string, version uint64) journal.Line {
		return journal.Line{Entry: journal.Entry{At: at.Add(after), Kind: journal.StateChanged, Account: "anna", By: by, Cause: cause, From: from, To: to, Version: version}}
	}
	locked, opened := moved(0, "rule:money.drained", "f-1", "open", "locked", 1), moved(time.Minute, "operator", "act-1", "locked", "open", 2)
	again := moved(2*time.Minute, "rule:owner.denied", "f-2", "open", "locked", 3)
	later := moved(time.Hour, "staff:ana", "act-2", "locked", "open", 4)
	for name, c := range map[string]struct {
		findings                 []findingLine
		lines                    []journal.Line // newest first
		verdict                  explainedVerdict
		before, after            auth.State
		versionBefore, versionAt uint64
		entries                  int
		actsAreSaid              bool
	}{
		"capped by the floor": {[]findingLine{{ID: "f-2", Rule: "money.drained", Score: 90, Response: "review"}}, []journal.Line{later, opened, locked},
			explainedVerdict{"review", "drained"}, auth.Open, auth.Open, 2, 2, 0, true},
		"locked again": {[]findingLine{{ID: "f-3", Rule: "money.velocity", Score: 99, Response: "review"}, {ID: "f-2", Rule: "owner.denied", Score: 95, Response: "lock"}},
			[]journal.Line{later, again, opened, locked}, explainedVerdict{"lock", "owner_denied"}, auth.Open, auth.Locked, 2, 3, 1, true},
		"before any act": {nil, []journal.Line{later, opened, locked}[2:], explainedVerdict{"none", ""}, auth.Locked, auth.Locked, 1, 1, 0, false},
		"never moved":    {nil, nil, explainedVerdict{"none", ""}, auth.Open, auth.Open, 0, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := explanation{Facts: map[string]any{}, Findings: c.findings, Verdict: explainedVerdict{"lock", "drained"},
				Consequence: &explainedConsequence{Before: auth.Record{State: auth.Locked, Version: 1}, After: auth.Record{State: auth.Locked, Version: 1}, Case: "c-1"}}
			x.asJournaled(&event.Event{Account: "anna", Arrival: at.Add(2 * time.Minute)}, set, c.lines)
			if d := cmp.Diff(c.verdict, x.Verdict); d != "" {
				t.Errorf("verdict: %s", d)
			}
			got := []any{x.Facts["state"], x.Consequence.Before.State, x.Consequence.Before.Version, x.Consequence.After.State, x.Consequence.After.Version, len(x.Journal), len(x.Unknown) > 0}
			want := []any{c.before, c.before, c.versionBefore, c.after, c.versionAt, c.entries, c.actsAreSaid}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
