package detect

import (
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/recovery"
	"doorward/detect/cases"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/store/journal"
)

// consequence is what a verdict does: the account's next state, its case, the owner's notice, and the findings themselves.
func (v *Evaluator) consequence(f *rules.Facts, before *auth.Account, verdict *Verdict) (*auth.Account, error) {
	kind := auth.TouchOf(string(f.Event.Type))
	if len(verdict.Findings) == 0 && kind == "" {
		return before, nil
	}
	after := remember(before, kind, f.Event)
	if verdict.Response >= auth.Review {
		id, err := v.review(f.Event, after, verdict)
		if err != nil {
			return nil, err
		}
		after.Case = id
	}
	if verdict.Response >= auth.Challenge {
		*after, _ = after.Judge(auth.Verdict{
			Response: verdict.Response, Findings: verdict.ids(), Reason: verdict.Reason, Demand: verdict.Demand, For: verdict.For,
			At: f.Event.Time, Event: f.Event.Identity(), Case: after.Case, Recovery: auth.RecoveryID(verdict.cause()), Sequence: v.sequence,
		})
	}
	v.find(f.Event, verdict, after.Case)
	v.openWayBack(f.Event.Time, before, after)
	if verdict.Response == auth.Notify || after.Version != before.Version && len(verdict.Findings) > 0 {
		v.tell(after, dueOf(f, after, verdict))
	}
	after.Sequence = v.sequence
	v.settle(before, after)
	return after, nil
}

// remember is the account's record with what a recovery will need to know of the event. It owns what it holds.
func remember(a *auth.Account, kind auth.ChangeKind, e *event.Event) *auth.Account {
	after := *a
	after.ID = auth.AccountID(strings.Clone(string(a.ID)))
	if kind != "" {
		after = after.Touch(kind, e.Time, e.Factor)
	}
	return &after
}

// review puts the findings on the account's open case, or opens one.
func (v *Evaluator) review(e *event.Event, a *auth.Account, verdict *Verdict) (string, error) {
	id := a.Case
	if id == "" {
		id = cases.ID(string(a.ID), verdict.cause())
	}
	c, err := v.caseOf(id)
	if err != nil {
		return "", err
	}
	opened := c.after.ID == ""
	for _, f := range verdict.Findings {
		if f.Response < auth.Review {
			continue
		}
		ref := cases.Ref{ID: FindingID(f.Rule.ID, e), Rule: f.Rule.ID, Score: f.Score, Response: f.Response.String(), At: e.Time, Event: e.Identity()}
		if c.after.ID == "" {
			c.after = cases.Open(id, a.ID, ref, e.Time)
		} else {
			c.after = c.after.Add(ref, e.Time)
		}
	}
	v.keepCase(id, c)
	if opened {
		v.owed.entries = append(v.owed.entries, journal.Entry{At: e.Time, Kind: journal.CaseOpened, Account: string(a.ID), By: by(verdict),
			Cause: verdict.cause(), Shard: v.config.Shard, Sequence: v.sequence, Detail: map[string]string{"case": id}})
	}
	return id, nil
}

// find keeps the findings and owes them to the world.
func (v *Evaluator) find(e *event.Event, verdict *Verdict, caseID string) {
	for _, f := range verdict.Findings {
		found := Finding{
			ID: FindingID(f.Rule.ID, e), At: e.Time, Event: EventRef{e.Source, e.ID}, EventType: string(e.Type), Account: e.Account,
			Rule: f.Rule.ID, RuleVersion: f.Rule.Version, Score: f.Score, Response: f.Response.String(), Capped: f.Capped,
			Evidence: f.Evidence, Attack: f.Rule.Attack, Shard: v.config.Shard, Sequence: v.sequence,
		}
		if f.Response >= auth.Review {
			found.Case = caseID
		}
		if found.Evidence == nil {
			found.Evidence = []rules.Evidence{}
		}
		v.owed.findings = append(v.owed.findings, found)
		if v.counts.ByRule == nil {
			v.counts.ByRule = map[string]uint64{}
		}
		v.counts.ByRule[f.Rule.ID]++
		row, err := cloudEvent(TopicFindings, found.ID, e.Account, e.Time, found)
		if err != nil {
			v.owed.fail(err)
			continue
		}
		v.owed.rows = append(v.owed.rows, row)
	}
}

// openWayBack makes the record of a recovery when the account has got one: nobody is shut out without a way back.
func (v *Evaluator) openWayBack(at time.Time, before, after *auth.Account) {
	if after.Recovery == "" || after.Recovery == before.Recovery {
		return
	}
	pair, err := recovery.New(after.Recovery, *after, at)
	if err != nil {
		v.owed.fail(err)
		return
	}
	v.owed.put = append(v.owed.put, pair)
}

// dueOf is what the owner is to be told of a verdict.
func dueOf(f *rules.Facts, after *auth.Account, verdict *Verdict) notice.Due {
	e := f.Event
	d := notice.Due{ID: CauseID("notice", verdict.cause()), Kind: notice.WasThisYou, Reason: verdict.Reason, Finding: verdict.cause(),
		At: e.Time, Until: after.Until, EventType: string(e.Type), UserAgent: e.UserAgent, City: f.Place.City, Country: f.Place.Country,
		Amount: e.Amount, Currency: e.Currency}
	switch verdict.Response {
	case auth.Challenge:
		d.Kind = notice.Challenged
	case auth.Limit:
		d.Kind, d.Recovery = notice.Limited, after.Recovery
	case auth.Lock:
		d.Kind, d.Recovery = notice.Locked, after.Recovery
	}
	return d
}
