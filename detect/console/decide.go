package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/auth/web"
	"doorward/detect/cases"
)

// decision is one of the answers to "What is it?".
type decision struct {
	Key     string // on the keyboard
	Name    string // in the form and the texts
	outcome cases.Outcome
	kind    auth.ActKind // what it does to the account; "" for nothing
	needs   staff.Permission
}

// decisions in the order in which they are offered.
var decisions = []decision{
	{"c", "confirm", cases.Confirmed, auth.ActLock, staff.Restrict},
	{"f", "false", cases.FalsePositive, auth.ActUnlock, staff.Release},
	{"w", "owner", cases.OwnerConfirmed, auth.ActUnlock, staff.Release},
	{"l", "limit", "", auth.ActLimit, staff.Restrict},
	{"d", "duplicate", cases.Duplicate, "", staff.Decide},
}

// reasons are the answers to "Why?", in the order of their keys 1 to 4. The journal keeps the name, and what was written beside it.
var reasons = []string{"place", "payee", "owner", "campaign"}

// moves says whether a decision has to move an account that is in state s. One in recovery or probation is left to its owner: staff who
// mean otherwise lock or unlock it on its own page.
func (d *decision) moves(s auth.State) bool {
	switch d.kind {
	case auth.ActLock:
		return s == auth.Open || s == auth.Challenged || s == auth.Limited
	case auth.ActUnlock:
		return s == auth.Locked || s == auth.Limited || s == auth.Challenged
	case auth.ActLimit:
		return s == auth.Open || s == auth.Challenged
	}
	return false
}

// decide closes a case, or limits its account while somebody looks further. The account moves first, with the version that the page showed:
// when that is refused the case stays open and its maker sees the new state.
func (c *Console) decide(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "act", "why", "note", "saw")
	if err != nil {
		return err
	}
	cs, err := c.caseOf(rq)
	if err != nil {
		return err
	}
	d, reason, problem := readDecision(f)
	if problem != "" {
		return c.casePage(rq, cs, problem, http.StatusUnprocessableEntity)
	}
	saw, err := strconv.ParseUint(f["saw"], 10, 64)
	if err != nil {
		return refused("no version")
	}
	if cs.Status != cases.StatusOpen {
		if cs.ClosedBy == rq.me.By() && cs.Outcome == d.outcome { // the button was pressed twice
			return c.openNext(rq, cs.ID)
		}
		return c.casePage(rq, cs, "case.problem.closed", http.StatusConflict)
	}
	a, _, err := auth.LoadAccount(rq.Context(), c.Engine, cs.Account)
	if err != nil {
		return err
	}
	if a.Version != saw {
		return c.casePage(rq, cs, "case.problem.moved", http.StatusConflict)
	}
	if d.moves(a.State) {
		if !staff.Can(rq.me.Role, d.needs) {
			return c.forbid(rq, d.needs)
		}
		err := c.act(rq.Context(), auth.Act{Kind: d.kind, Account: cs.Account, By: rq.me.By(), Reason: reason, Saw: saw, Case: cs.ID})
		if problem := actProblem(err); problem != "" {
			return c.casePage(rq, cs, problem, http.StatusConflict)
		} else if err != nil {
			return err
		}
	}
	if d.outcome == "" {
		return c.site.Go(rq.w, rq.Request, "/cases/"+cs.ID)
	}
	return c.closeCase(rq, cs, d, reason)
}

func (c *Console) closeCase(rq *request, cs cases.Case, d *decision, reason string) error {
	err := c.act(rq.Context(), auth.Act{Kind: auth.ActCaseClose, Account: cs.Account, By: rq.me.By(), Reason: reason, Case: cs.ID,
		Outcome: string(d.outcome)})
	if problem := actProblem(err); problem != "" {
		fresh, _, loadErr := cases.Load(rq.Context(), c.Engine, cs.ID)
		if loadErr != nil {
			return loadErr
		}
		return c.casePage(rq, fresh, problem, http.StatusConflict)
	} else if err != nil {
		return err
	}
	return c.openNext(rq, cs.ID)
}

// openNext goes to the worst case that is open, or to the empty queue, and says there what was done.
func (c *Console) openNext(rq *request, done string) error {
	next, _, err := cases.Queue(rq.Context(), c.Engine, nil, 1)
	if err != nil {
		return err
	}
	if len(next) == 0 {
		return c.site.Go(rq.w, rq.Request, "/?done="+done)
	}
	return c.site.Go(rq.w, rq.Request, "/cases/"+next[0].ID+"?done="+done)
}

// readDecision reads the form; problem is the key of a text.
func readDecision(f web.Form) (d *decision, reason, problem string) {
	for i := range decisions {
		if decisions[i].Name == f["act"] {
			d = &decisions[i]
		}
	}
	if d == nil {
		return nil, "", "case.problem.act"
	}
	for _, w := range reasons {
		if w == f["why"] {
			reason = w
		}
	}
	note := strings.TrimSpace(f["note"])
	switch {
	case len(note) > cases.MaxText/2:
		return nil, "", "case.problem.long"
	case reason == "" && note == "":
		return nil, "", "case.problem.why"
	case reason == "":
		return d, note, ""
	case note == "":
		return d, reason, ""
	}
	return d, reason + ": " + note, ""
}

// actProblem is the text for an act that was not done, or not yet; "" for no error and for one that is not the maker's.
func actProblem(err error) string {
	if s, ok := errors.AsType[*stale](err); ok {
		switch s.outcome.Refused {
		case auth.RefusedVersion:
			return "case.problem.moved"
		case auth.RefusedState:
			return "case.problem.state"
		}
		return "case.problem.unknown"
	}
	if errors.Is(err, errLate) {
		return "case.problem.late"
	}
	return ""
}

func (c *Console) note(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "text", "saw")
	if err != nil {
		return err
	}
	cs, err := c.caseOf(rq)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(f["text"])
	if text == "" || len(text) > cases.MaxText {
		return c.casePage(rq, cs, "case.problem.note", http.StatusUnprocessableEntity)
	}
	err = c.act(rq.Context(), auth.Act{Kind: auth.ActCaseNote, Account: cs.Account, By: rq.me.By(), Reason: text, Case: cs.ID}, f["saw"])
	if problem := actProblem(err); problem != "" {
		return c.casePage(rq, cs, problem, http.StatusConflict)
	} else if err != nil {
		return err
	}
	return c.site.Go(rq.w, rq.Request, "/cases/"+cs.ID+"#journal")
}
