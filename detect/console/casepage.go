package console

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/detect"
	"doorward/detect/cases"
	"doorward/store"
	"doorward/store/journal"
)

// What a case page reads: a month before the trouble, so that the owner's own devices are known; it shows the last day of that.
const (
	storyBefore = 30 * 24 * time.Hour
	storyShown  = 24 * time.Hour
	storyEvents = 500
	caseEntries = 40
)

// caseBody is a case as its page shows it, in the order of the path. Foreign texts in it have passed visible.
type caseBody struct {
	ID      string
	Account string
	State   stateBody
	Status  cases.Status
	Score   int
	Verdict string // the strongest response
	Opened  time.Time
	Updated time.Time
	Count   int

	Story       *storyBody
	Facts       []factBody
	FactsAt     time.Time
	Findings    []findingBody // strongest first
	Top         string        // title of the strongest
	Consequence []entryBody
	Entries     []entryBody
	Notes       []noteBody
	Recovery    *recoveryBody
	Outcome     cases.Outcome
	ClosedBy    string
	ClosedAt    time.Time
	Reason      reasonBody

	Choose  *chooseBody
	Problem string // a text's key
	Done    *doneBody
	CaseVersion,
	Version uint64
	Others int // earlier cases of the account
}

// stateBody is an account's state as the pages show it.
type stateBody struct {
	State   auth.State
	Refuse  []auth.Refusal
	Since   time.Time
	Until   time.Time
	Version uint64
	Reason  string // in the reader's language
	Code    string
	Ask     bool // a second factor is asked for
}

// Icon is the state's icon (LOOK, "Account states").
func (s stateBody) Icon() string {
	if s.State == auth.Locked {
		return "lock"
	}
	return string(s.State)
}

type reasonBody struct{ Known, Text string }

type noteBody struct {
	At   time.Time
	By   string
	Text string
}

type recoveryBody struct{ State auth.State }

type doneBody struct {
	ID, Account string
	Outcome     cases.Outcome
}

// chooseBody is the form that decides a case.
type chooseBody struct {
	Case    string
	Saw     uint64
	Options []optionBody
	Reasons []optionBody
}

type optionBody struct{ Name, Key, Text string }

func (c *Console) showCase(rq *request) error {
	cs, err := c.caseOf(rq)
	if err != nil {
		return err
	}
	return c.casePage(rq, cs, "", 0)
}

// caseOf reads the case that the path names.
func (c *Console) caseOf(rq *request) (cases.Case, error) {
	cs, found, err := cases.Load(rq.Context(), c.Engine, rq.PathValue("case"))
	if err == nil && !found {
		err = gone("case")
	}
	return cs, err
}

func (c *Console) casePage(rq *request, cs cases.Case, problem string, status int) error {
	b, err := c.caseBody(rq, cs)
	if err != nil {
		return err
	}
	b.Problem = problem
	if b.Done, err = c.done(rq); err != nil {
		return err
	}
	return c.show(rq, "case", "queue", status, b)
}

func (c *Console) caseBody(rq *request, cs cases.Case) (*caseBody, error) {
	ctx := rq.Context()
	a, _, err := auth.LoadAccount(ctx, c.Engine, cs.Account)
	if err != nil {
		return nil, err
	}
	b := c.briefCase(rq, cs, &a)
	if b.Findings, err = c.findings(rq, cs); err != nil {
		return nil, err
	}
	if len(b.Findings) > 0 {
		b.Top, b.FactsAt = b.Findings[0].Title, b.Findings[0].At
		b.Facts = factsOf(b.Findings)
	}
	from := cs.Opened
	for _, f := range cs.Findings {
		if f.At.Before(from) {
			from = f.At
		}
	}
	events, err := c.History(ctx, cs.Account, from.Add(-storyBefore), c.Now().Add(time.Minute), storyEvents)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	j, err := c.readJournal(rq, journalFilter{account: string(cs.Account), since: from.Add(-storyShown)}, caseEntries)
	if err != nil {
		return nil, err
	}
	b.Entries = j.Entries
	for _, e := range j.Entries {
		if e.Kind == journal.StateChanged {
			b.Consequence = append(b.Consequence, e)
		}
	}
	b.Story = c.story(rq, events, from.Add(-storyShown), b.Findings, j.Entries, &a)
	others, err := cases.OfAccount(ctx, c.Engine, cs.Account, 50)
	if err != nil {
		return nil, err
	}
	b.Others = max(0, len(others)-1)
	if a.Recovery != "" && (a.State == auth.Recovering || a.State == auth.Locked || a.State == auth.Limited || a.State == auth.Probation) {
		b.Recovery = &recoveryBody{a.State}
	}
	return b, nil
}

// briefCase is what the queue's preview and the case page share; it reads nothing.
func (c *Console) briefCase(rq *request, cs cases.Case, a *auth.Account) *caseBody {
	z := rq.view.zone
	b := &caseBody{ID: cs.ID, Account: string(cs.Account), State: c.stateBody(rq, a), Status: cs.Status, Score: cs.Score, Verdict: cs.Response,
		Opened: cs.Opened.In(z), Updated: cs.Updated.In(z), Count: cs.Count, Outcome: cs.Outcome, ClosedBy: visible(maker(cs.ClosedBy)),
		ClosedAt: cs.ClosedAt.In(z), Reason: reasonOf(cs.Reason), CaseVersion: cs.Version, Version: a.Version}
	for _, n := range slices.Backward(cs.Notes) {
		b.Notes = append(b.Notes, noteBody{n.At.In(z), visible(maker(n.By)), visible(n.Text)})
	}
	if cs.Status == cases.StatusOpen && staff.Can(rq.me.Role, staff.Decide) {
		b.Choose = choose(rq.me.Role, cs.ID, a)
	}
	return b
}

// choose offers what a role may decide on an account as it is now.
func choose(role staff.Role, id string, a *auth.Account) *chooseBody {
	f := &chooseBody{Case: id, Saw: a.Version}
	for _, d := range decisions {
		moves := d.moves(a.State)
		if moves && !staff.Can(role, d.needs) || d.outcome == "" && !moves {
			continue
		}
		text := "decide." + d.Name
		if moves && d.outcome != "" {
			text += "." + string(d.kind)
		}
		f.Options = append(f.Options, optionBody{d.Name, d.Key, text})
	}
	for i, r := range reasons {
		f.Reasons = append(f.Reasons, optionBody{r, fmt.Sprint(i + 1), "why." + r})
	}
	return f
}

func (c *Console) stateBody(rq *request, a *auth.Account) stateBody {
	r := a.Record()
	s := stateBody{State: r.State, Refuse: r.Refuse, Version: r.Version, Code: r.Reason, Ask: r.Challenge, Since: a.Since.In(rq.view.zone)}
	if !a.Until.IsZero() {
		s.Until = a.Until.In(rq.view.zone)
	}
	if s.Reason = r.ReasonUser[c.site.Lang(rq.Request)]; s.Reason == "" {
		s.Reason = r.ReasonUser["en"]
	}
	return s
}

// reasonOf takes a reason as decide wrote it apart: one of reasons, and what was written beside it.
func reasonOf(s string) reasonBody {
	name, text, _ := strings.Cut(s, ": ")
	if slices.Contains(reasons, name) {
		return reasonBody{"why." + name, visible(text)}
	}
	return reasonBody{"", visible(s)}
}

// maker is how somebody who acted is called: staff by their name.
func maker(by string) string { return strings.TrimPrefix(by, "staff:") }

// done is the case that was just decided, if the address says so: read from the store, so that the page says what is so.
func (c *Console) done(rq *request) (*doneBody, error) {
	id := rq.URL.Query().Get("done")
	if id == "" || rq.Method != "GET" {
		return nil, nil
	}
	cs, found, err := cases.Load(rq.Context(), c.Engine, id)
	if err != nil || !found || cs.Status != cases.StatusClosed {
		return nil, err
	}
	return &doneBody{cs.ID, string(cs.Account), cs.Outcome}, nil
}

// loadFindings reads the findings of a case that are still kept.
func (c *Console) loadFindings(ctx context.Context, refs []cases.Ref) ([]detect.Finding, error) {
	keys := make([][]byte, len(refs))
	for i, r := range refs {
		keys[i] = store.Key(store.KindFinding, r.ID)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	vs, err := c.Engine.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	var fs []detect.Finding
	for _, v := range vs {
		if v == nil {
			continue
		}
		var f detect.Finding
		if err := json.Unmarshal(v, &f); err != nil {
			return nil, fmt.Errorf("read finding: %w", err)
		}
		fs = append(fs, f)
	}
	return fs, nil
}
