package detect

import (
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/detect/cases"
	"doorward/rules/event"
	"doorward/store/journal"
	"doorward/store/outbox"
)

// Apply takes one act of the inbox in, between events: it moves the account's state as auth's table says, or is refused, and its maker
// finds the outcome in the store after the commit.
func (v *Evaluator) Apply(act auth.Act) error {
	v.sequence++
	v.counts.Acts++
	record, err := v.accounts.get(act.Account)
	if err != nil {
		return err
	}
	before, after, refused := *record, *record, ""
	switch {
	case before.Home != v.config.Shard: // its first event came elsewhere after the act was put in: only its home writes its record
		v.foreign(v.sequence, before.Home)
		refused = auth.RefusedUnknown
	case act.Saw != 0 && act.Saw != before.Version:
		refused = auth.RefusedVersion
	default:
		after, refused, err = v.do(act, before)
	}
	if err != nil {
		return err
	}
	if refused != "" {
		v.refuse(act, before, refused)
		return nil
	}
	if after, err = v.afterAct(act, before, after); err != nil {
		return err
	}
	after.Sequence = v.sequence
	v.settle(&before, &after)
	v.journal(act.At, act.By, &before, &after, act.ID)
	v.owed.outcomes = append(v.owed.outcomes, actOutcome{act.ID, auth.Outcome{At: act.At, Applied: true, Shard: v.config.Shard, Sequence: v.sequence, Record: after.Record()}})
	return nil
}

// do is the act itself: the account as it is then, or why it can't be.
func (v *Evaluator) do(act auth.Act, before auth.Account) (after auth.Account, refused string, err error) {
	switch act.Kind {
	case auth.ActCaseClose, auth.ActCaseNote:
		return v.applyToCase(act, before)
	case auth.ActTrust:
		v.memory.Learn(act.Account, "device", act.Device, act.At, v.sequence)
		return before, "", nil
	}
	after, refused = before.Do(act, v.sequence, v.config.Probation)
	return after, refused, nil
}

// refuse tells an act's maker, and the journal, why nothing happened.
func (v *Evaluator) refuse(act auth.Act, a auth.Account, why string) {
	v.counts.ActsRefused++
	v.owed.entries = append(v.owed.entries, journal.Entry{At: act.At, Kind: journal.ActRefused, Account: string(act.Account), By: act.By,
		Cause: act.ID, From: string(a.State), Version: a.Version, Shard: v.config.Shard, Sequence: v.sequence, Reason: why,
		Detail: map[string]string{"act": string(act.Kind)}})
	v.owed.outcomes = append(v.owed.outcomes, actOutcome{act.ID, auth.Outcome{At: act.At, Refused: why, Shard: v.config.Shard, Sequence: v.sequence, Record: a.Record()}})
}

// afterAct does what follows from an act that moved the account: the floor, the case, the way back, the owner's notice, the report.
func (v *Evaluator) afterAct(act auth.Act, before, after auth.Account) (auth.Account, error) {
	if !after.Floor.Equal(before.Floor) {
		v.memory.Forget(after.ID, v.sequence, before.Touched.Since)
	}
	var err error
	switch act.Kind {
	case auth.ActDenied:
		if after, err = v.caseOfOwner(act, after); err != nil {
			return after, err
		}
		v.report(act, "report.owner_denied")
	case auth.ActApproved:
		v.report(act, "report.owner_approved")
	case auth.ActRecovered:
		after, err = v.closeCase(after, cases.OwnerRecovered, act)
	case auth.ActVerified:
		after, err = v.closeCase(after, cases.OwnerConfirmed, act)
	}
	if err != nil {
		return after, err
	}
	v.openWayBack(act.At, &before, &after)
	if kind := noticeOf(before, after); kind != "" && act.Kind != auth.ActAdopt { // its owner was told when it was published
		due := notice.Due{ID: CauseID("notice", act.ID), Kind: kind, Reason: after.Reason, At: act.At, Until: after.Until}
		if kind == notice.Locked || kind == notice.Limited {
			due.Recovery = after.Recovery
		}
		v.tell(&after, due)
	}
	return after, nil
}

// noticeOf is what the owner is told of a change of state that a person or a deadline made.
func noticeOf(before, after auth.Account) notice.Kind {
	if before.State == after.State {
		return ""
	}
	switch after.State {
	case auth.Locked:
		return notice.Locked
	case auth.Limited:
		return notice.Limited
	case auth.Probation:
		return notice.BackIn
	case auth.Open:
		if before.State != auth.Challenged {
			return notice.Opened
		}
	}
	return ""
}

// caseOfOwner puts an owner's "not me" on the account's case, or opens one for it.
func (v *Evaluator) caseOfOwner(act auth.Act, a auth.Account) (auth.Account, error) {
	id := a.Case
	if id == "" {
		id = cases.ID(string(a.ID), act.ID)
	}
	c, err := v.caseOf(id)
	if err != nil {
		return a, err
	}
	ref := cases.Ref{ID: act.ID, Rule: "owner.denied", Score: 100, Response: auth.Lock.String(), At: act.At, Event: act.RefersTo}
	if c.after.ID == "" {
		c.after = cases.Open(id, a.ID, ref, act.At)
	} else {
		c.after = c.after.Add(ref, act.At)
	}
	v.keepCase(id, c)
	a.Case = id
	return a, nil
}

// closeCase closes the account's case when its owner has proved it is them. A case with findings is the reason for their trouble, so the
// outcome says how it ended; staff may still write on it.
func (v *Evaluator) closeCase(a auth.Account, outcome cases.Outcome, act auth.Act) (auth.Account, error) {
	if a.Case == "" {
		return a, nil
	}
	c, err := v.caseOf(a.Case)
	if err != nil || c.after.ID == "" {
		return a, err
	}
	closed, err := c.after.Close(outcome, act.By, act.Reason, act.At)
	if err == nil {
		c.after = closed
		v.keepCase(a.Case, c)
		v.caseEntry(journal.CaseClosed, act, a.Case, string(outcome))
	}
	a.Case = ""
	return a, nil
}

// applyToCase closes a case or writes on it, as staff want; a case that can't be is a refusal, not an error.
func (v *Evaluator) applyToCase(act auth.Act, a auth.Account) (auth.Account, string, error) {
	c, err := v.caseOf(act.Case)
	if err != nil {
		return a, "", err
	}
	if c.after.ID == "" || c.after.Account != a.ID {
		return a, auth.RefusedUnknown, nil
	}
	kind := journal.CaseNoted
	next := c.after
	if act.Kind == auth.ActCaseClose {
		kind = journal.CaseClosed
		next, err = c.after.Close(cases.Outcome(act.Outcome), act.By, act.Reason, act.At)
	} else {
		next, err = c.after.Note(act.By, act.Reason, act.At)
	}
	if err != nil {
		return a, auth.RefusedState, nil
	}
	c.after = next
	v.keepCase(act.Case, c)
	v.caseEntry(kind, act, act.Case, act.Outcome)
	if kind == journal.CaseClosed && a.Case == act.Case {
		a.Case = ""
	}
	return a, "", nil
}

func (v *Evaluator) caseEntry(kind journal.Kind, act auth.Act, id, outcome string) {
	v.owed.entries = append(v.owed.entries, journal.Entry{At: act.At, Kind: kind, Account: string(act.Account), By: act.By, Cause: act.ID,
		Shard: v.config.Shard, Sequence: v.sequence, Detail: map[string]string{"case": id, "outcome": outcome}})
}

// report tells the platform, and the rules, what the owner said: an event of our own on the input topic, at the account's home.
func (v *Evaluator) report(act auth.Act, kind event.Type) {
	if v.config.Reports == "" {
		return
	}
	e := event.Event{ID: act.ID, Source: source + "/portal", Type: kind, Account: act.Account, Time: act.At.UTC().Truncate(time.Millisecond)}
	e.RefersTo = act.RefersTo
	v.owed.rows = append(v.owed.rows, outbox.Row{ID: CauseID("report", act.ID), Topic: v.config.Reports, Partition: v.config.Shard,
		Key: []byte(act.Account), Value: event.Encode(&e), Headers: headers("content-type", "application/cloudevents+json")})
}
