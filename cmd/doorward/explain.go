package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/store/journal"
)

// explanation is an event along its path (COMMANDS.md, "explain").
type explanation struct {
	Event       json.RawMessage       `json:"event"`
	Facts       map[string]any        `json:"facts"`
	Rules       []explainedRule       `json:"rules"`
	Findings    []findingLine         `json:"findings"`
	Verdict     explainedVerdict      `json:"verdict"`
	Consequence *explainedConsequence `json:"consequence,omitempty"`
	Journal     []journal.Entry       `json:"journal"`
	Unknown     []string              `json:"unknown,omitempty"` // what can't be known, said
}

type explainedRule struct {
	ID         string            `json:"id"`
	Title      string            `json:"title"`
	Fired      bool              `json:"fired"`
	Why        string            `json:"why,omitempty"`
	Conditions []rules.Condition `json:"conditions"`
}

type explainedVerdict struct {
	Response string `json:"response"`
	Reason   string `json:"reason,omitempty"`
}

type explainedConsequence struct {
	Before auth.Record `json:"before"`
	After  auth.Record `json:"after"`
	Case   string      `json:"case,omitempty"`
}

func explainCommand(t *terminal) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "explain EVENT", Short: "Show an event's path: what every rule made of it, with values and thresholds",
		Long: `Shows one event along its path: event, facts, findings, verdict, consequence, journal. EVENT is the event's id, or "SOURCE ID" where ids
of several sources meet.

With --file the events of a file are replayed up to it, so that everything is known. Without, the running service answers: findings, verdict and
consequence as they are stored and journaled, and each rule's conditions from a replay of the account's history. What other accounts did at
the time is not in that; the findings' evidence has it, and the end says what can't be known.`,
		Example: "  doorward explain t-9 --file events.ndjson\n  doorward explain \"/wallet/ledger t-9\" --store /var/lib/doorward",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			var x explanation
			if file != "" {
				x, err = explainFile(c.Context(), t, cfg, file, args[0])
			} else {
				err = call(c.Context(), t, cfg, "explain", explainRequest{args[0]}, &x)
			}
			if err != nil {
				return err
			}
			return t.print(x, func(w io.Writer) { printExplanation(w, &x) })
		},
	}
	c.Flags().StringVar(&file, "file", "", "NDJSON file to replay up to the event")
	storeFlags(c)
	c.Flags().String("rules", "", "directory of rules (default: the built-in ones)")
	return c
}

type explainRequest struct {
	Event string `json:"event"`
}

// names says whether an argument names an event: by its id, or by source and id.
func names(arg string, e *event.Event) bool { return arg == e.ID || arg == e.Identity() }

var errFound = errors.New("found")

// explainFile replays a file up to the event.
func explainFile(ctx context.Context, t *terminal, cfg *Config, file, arg string) (explanation, error) {
	set, err := loadRules(cfg.Rules)
	if err != nil {
		return explanation{}, err
	}
	place, _, err := places(cfg.Geo)
	if err != nil {
		return explanation{}, err
	}
	r := detect.NewReplay(detect.ReplayConfig{Rules: set, Place: place})
	var x detect.Explanation
	err = readEvents(ctx, t, []string{file}, 1000, runtime.GOMAXPROCS(0), "replay", func(l *line) error {
		if l.poison != nil {
			return nil // replay names them; here only the one event counts
		}
		if !names(arg, l.event) {
			_, err := r.Take(l.event)
			return err
		}
		if x, err = r.Explain(l.event); err != nil {
			return err
		}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return newExplanation(x), nil
	case err != nil:
		return explanation{}, err
	}
	return explanation{}, fail(exitFailure, "no event %q in %s", arg, file)
}

// newExplanation is what COMMANDS.md promises of a replayed event.
func newExplanation(x detect.Explanation) explanation {
	e := x.Event
	out := explanation{
		Event: event.Encode(e), Facts: factsOf(x), Findings: []findingLine{}, Journal: x.Entries,
		Verdict:     explainedVerdict{x.Verdict.Response.String(), x.Verdict.Reason.Code},
		Consequence: &explainedConsequence{x.Before.Record(), x.After.Record(), x.After.Case},
	}
	for _, r := range x.Rules {
		conditions := r.Conditions
		if conditions == nil {
			conditions = []rules.Condition{}
		}
		out.Rules = append(out.Rules, explainedRule{r.Rule.ID, r.Rule.Title, r.Fired, r.Why, conditions})
	}
	for i := range x.Findings {
		out.Findings = append(out.Findings, newFindingLine(&x.Findings[i]))
	}
	if out.Journal == nil {
		out.Journal = []journal.Entry{}
	}
	if x.Repeat {
		out.Unknown = append(out.Unknown, "the event is a repeat: it was counted and not evaluated")
	}
	return out
}

// factsOf are the facts beside the event's own fields and the windows.
func factsOf(x detect.Explanation) map[string]any {
	f := map[string]any{"state": x.Before.Record().State}
	if x.Place.Country != "" {
		f["country"] = x.Place.Country
	}
	if x.Place.City != "" {
		f["city"] = x.Place.City
	}
	if x.Event.Flagged {
		f["time"] = fmt.Sprintf("its own time %s was not believed: it arrived at %s", x.Event.Stated.Format(time.RFC3339), x.Event.Arrival.Format(time.RFC3339))
	}
	if !x.Newest.IsZero() && x.Newest.After(x.Event.Time) {
		f["late"] = fmt.Sprintf("%v behind the account's newest event", x.Newest.Sub(x.Event.Time))
	}
	if !x.Before.Floor.IsZero() {
		f["floor"] = x.Before.Floor
	}
	return f
}

// printExplanation shows the six words, in their order.
func printExplanation(w io.Writer, x *explanation) {
	p := func(format string, args ...any) { fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) }
	p("EVENT")
	p("  %s", x.Event)
	p("FACTS")
	keys := make([]string, 0, len(x.Facts))
	for k := range x.Facts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		p("  %s = %v", k, x.Facts[k])
	}
	p("FINDINGS")
	for _, r := range x.Rules {
		mark := " "
		if r.Fired {
			mark = "*"
		}
		p("%s %s  %s%s", mark, r.ID, r.Title, whyText(r.Why))
		for _, c := range r.Conditions {
			truth := "false"
			if c.True {
				truth = "true"
			}
			if !c.Known {
				truth = "not known"
			}
			if c.Value == nil {
				p("      %-9s %s", truth, c.Text)
				continue
			}
			limit := "" // said when it is computed and does not stand in the text
			if f, ok := c.Threshold.(float64); ok && strings.Contains(c.Text, "*") {
				limit = fmt.Sprintf(", limit %v", number(f))
			}
			p("      %-9s %s   is %v%s", truth, c.Text, number(c.Value), limit)
		}
	}
	for _, f := range x.Findings {
		p("  found %s: %s, score %d, %s%s", f.ID, f.Rule, f.Score, f.Response, whyText(f.Capped))
		for _, e := range f.Evidence {
			p("      %s", evidenceText(e))
		}
	}
	p("VERDICT")
	p("  %s %s", x.Verdict.Response, x.Verdict.Reason)
	p("CONSEQUENCE")
	if c := x.Consequence; c != nil {
		p("  %s (version %d) -> %s (version %d)%s", c.Before.State, c.Before.Version, c.After.State, c.After.Version, whyText(c.Case))
	}
	p("JOURNAL")
	for _, e := range x.Journal {
		p("  %s %s by %s%s", e.At.Format(time.RFC3339), e.Kind, e.By, moveText(e))
	}
	for _, u := range x.Unknown {
		p("not known: %s", u)
	}
}

// moveText is where an entry moved the account; most kinds move nothing.
func moveText(e journal.Entry) string {
	if e.From == "" && e.To == "" {
		return ""
	}
	return fmt.Sprintf(", %s -> %s (version %d)", e.From, e.To, e.Version)
}

func whyText(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
