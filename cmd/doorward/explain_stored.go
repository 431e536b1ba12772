package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/store"
	"doorward/store/journal"
)

// explainStored replays an account's history up to the event, and adds what the store knows of it for certain.
func explainStored(ctx context.Context, s *house, in explainRequest) (explanation, error) {
	if s.history == nil {
		return explanation{}, fail(exitConnect, "history is kept by the running service: start `doorward serve`, or use --file")
	}
	source, id, both := strings.Cut(in.Event, " ")
	lines, err := s.history.FindID(ctx, in.Event)
	if both && err == nil && len(lines) == 0 {
		line, ok, err := s.history.Find(ctx, source, id)
		if err != nil {
			return explanation{}, err
		}
		if ok {
			lines = append(lines, line)
		}
	}
	switch {
	case err != nil:
		return explanation{}, err
	case len(lines) == 0:
		return explanation{}, fail(exitFailure, "no event %q in the history: it has not come, is older than %v, or could not be taken (`doorward dlq list`)", in.Event, s.cfg.History)
	case len(lines) > 1:
		var all []string
		for _, l := range lines {
			all = append(all, strconv.Quote(l.Source+" "+l.ID))
		}
		return explanation{}, fail(exitFailure, "%d events have this id: say which: %s", len(lines), strings.Join(all, ", "))
	}
	target := lines[0]
	r := detect.NewReplay(detect.ReplayConfig{Rules: s.rules, Place: s.place})
	past, err := s.history.Account(ctx, target.Account, time.Unix(0, 0), target.At.Add(24*time.Hour), maxExplained, false)
	if err != nil {
		return explanation{}, err
	}
	sort.SliceStable(past, func(i, j int) bool { return past[i].Partition == past[j].Partition && past[i].Offset < past[j].Offset })
	for _, l := range past {
		if l.Source == target.Source && l.ID == target.ID {
			break
		}
		if e, bad := rememberedEvent(l); bad == nil {
			if _, err := r.Take(e); err != nil {
				return explanation{}, err
			}
		}
	}
	e, bad := rememberedEvent(target)
	if bad != nil {
		return explanation{}, fmt.Errorf("the event in the history: %w", bad)
	}
	x, err := r.Explain(e)
	if err != nil {
		return explanation{}, err
	}
	return s.complete(ctx, newExplanation(x), e, len(past))
}

// maxExplained is how many events of an account an explanation replays.
const maxExplained = 20_000

// complete adds what was found and journaled at the time, and says what the replay of one account can't know.
func (s *house) complete(ctx context.Context, x explanation, e *event.Event, past int) (explanation, error) {
	x.Unknown = append(x.Unknown, "what other accounts did: windows across accounts show this account's part; the findings' evidence has what was read at the time")
	if past >= maxExplained {
		x.Unknown = append(x.Unknown, fmt.Sprintf("what the account did before its last %d events", maxExplained))
	}
	x.Findings = []findingLine{}
	for _, r := range s.rules.Rules() {
		v, err := s.db.Get(ctx, store.Key(store.KindFinding, detect.FindingID(r.ID, e)))
		if err != nil {
			return x, err
		}
		if v[0] == nil {
			continue
		}
		var f detect.Finding
		if err := json.Unmarshal(v[0], &f); err != nil {
			return x, fmt.Errorf("read a finding: %w", err)
		}
		x.Findings = append(x.Findings, newFindingLine(&f))
		for i := range x.Rules {
			if x.Rules[i].ID == r.ID && !x.Rules[i].Fired {
				x.Rules[i].Fired, x.Rules[i].Why = true, "it fired at the time; its evidence is with the finding"
			}
		}
	}
	for i := range x.Rules { // fired in the replay of one account only: not what happened
		if x.Rules[i].Fired && !hasFinding(x.Findings, x.Rules[i].ID) {
			x.Rules[i].Fired, x.Rules[i].Why = false, "it fires on the account's history alone and did not at the time"
		}
	}
	entries, err := journal.Find(ctx, s.db, string(e.Account), maxEntries)
	if err != nil {
		return x, err
	}
	if len(entries) == maxEntries {
		x.Unknown = append(x.Unknown, fmt.Sprintf("what the journal says of the account before its last %d entries", maxEntries))
	}
	x.asJournaled(e, s.rules, entries)
	return x, nil
}

// maxEntries is how many of an account's entries an explanation reads.
const maxEntries = 1000

// asJournaled puts what happened at the time in place of what the replay makes of the account's events alone, which knows nothing of what
// people and deadlines did between them. Lines are the account's, newest first.
func (x *explanation) asJournaled(e *event.Event, set *rules.Set, lines []journal.Line) {
	x.Verdict = verdictThen(x.Findings, set)
	x.Journal = []journal.Entry{}
	before, after := auth.Account{ID: e.Account, State: auth.Open}, auth.Account{}
	acted := false
	for i := len(lines) - 1; i >= 0; i-- {
		l := lines[i].Entry
		own := hasFindingID(x.Findings, l.Cause)
		if own {
			x.Journal = append(x.Journal, l)
		}
		switch {
		case l.Kind != journal.StateChanged || after.ID != "":
		case own:
			before.State, before.Version = auth.State(l.From), l.Version-1
			after = auth.Account{ID: e.Account, State: auth.State(l.To), Version: l.Version}
		case !l.At.After(e.Arrival):
			before.State, before.Version = auth.State(l.To), l.Version
			acted = acted || !strings.HasPrefix(l.By, "rule:")
		}
	}
	if after.ID == "" {
		after = before
	}
	x.Facts["state"] = before.State
	if c := x.Consequence; c.Before.State != before.State || c.Before.Version != before.Version || c.After.Version != after.Version {
		c.Before, c.After, c.Case = before.Record(), after.Record(), ""
	}
	if acted {
		x.Unknown = append(x.Unknown, "what windows held after people or deadlines had moved the account: the conditions show its events as if nobody had; the findings' evidence has what was read at the time")
	}
}

// verdictThen is the verdict of findings as they are stored.
func verdictThen(findings []findingLine, set *rules.Set) explainedVerdict {
	var strongest auth.Response
	var score int
	reason := ""
	for i := range findings {
		f := &findings[i]
		response, ok := auth.ParseResponse(f.Response)
		if !ok || response < strongest || response == strongest && f.Score <= score {
			continue
		}
		strongest, score, reason = response, f.Score, ""
		for _, r := range set.Rules() {
			if r.ID == f.Rule {
				reason = r.Reason.Code
			}
		}
	}
	return explainedVerdict{strongest.String(), reason}
}

func hasFinding(fs []findingLine, rule string) bool {
	for i := range fs {
		if fs[i].Rule == rule {
			return true
		}
	}
	return false
}

func hasFindingID(fs []findingLine, id string) bool {
	for i := range fs {
		if fs[i].ID == id {
			return true
		}
	}
	return false
}
