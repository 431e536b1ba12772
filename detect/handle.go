package detect

import (
	"time"

	"doorward/auth"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/window"
)

// Handle takes one event along its path: event -> facts -> findings -> verdict -> consequence -> journal.
// The event belongs to this shard; an error means that a record could not be read and that nothing of this batch may be kept.
func (v *Evaluator) Handle(e *event.Event) (Handled, error) {
	v.sequence++

	// event: what the platform says happened, once, after what ended before it.
	before, repeat, err := v.admit(e)
	if err != nil || repeat {
		return Handled{After: before, Repeat: repeat}, err
	}

	// facts: the event, where it came from, the account, and the windows with this event in them.
	facts := v.facts(e, before)

	// findings: the rules that fire, each with its evidence.
	findings, err := v.findings(facts)
	if err != nil {
		return Handled{}, err
	}

	// verdict: the strongest response among the findings.
	verdict := Judge(e, findings)

	// consequence: the account's next state, its case, what its owner is told.
	after, err := v.consequence(facts, before, &verdict)
	if err != nil {
		return Handled{}, err
	}

	// journal: what changed, because of what; and what the world is owed.
	v.journal(e.Time, by(&verdict), before, after, verdict.cause())
	return Handled{After: after, Findings: verdict.Findings, Held: v.holds(facts, after)}, nil
}

// Handled is what became of an event; good until the next.
type Handled struct {
	After    *auth.Account   // the account's record after it
	Findings []rules.Finding // strongest first
	Held     bool            // money out that probation does not let out
	Repeat   bool            // it had come before: counted, not evaluated
}

// smallPayment is what an account in probation may pay a shop it did not know, in minor units: its owner has to eat. It is the least that the
// shipped rules about drained accounts look at (rules/builtin, money.yaml).
const smallPayment = 20_000

// holds reports whether an event is money out that an account in probation may not send: to a payee that it did not know before its
// recovery. Not knowing for sure, it is held.
func (v *Evaluator) holds(f *rules.Facts, after *auth.Account) bool {
	e := f.Event
	if after.State != auth.Probation || e.Type != "transaction.requested" || e.Direction != "out" || e.CounterpartyKind == "own" {
		return false
	}
	if e.CounterpartyKind == "merchant" && e.Kind == "payment" && e.HasAmount && e.Amount <= smallPayment {
		return false
	}
	known := f.View.Read(v.config.Rules.PayeeKnown())
	return !known.Known || known.Value < 0 || !e.Time.Add(-time.Duration(known.Value*float64(time.Second))).Before(after.Recovered)
}

// lookAhead brings near what events will need that are about to be handled in this order.
func (v *Evaluator) lookAhead(events []*event.Event) error {
	v.memory.Warm(events)
	v.seen.lookAhead(events)
	missing := v.missing[:0]
	for _, e := range events {
		if !v.memory.Plain(e) {
			missing = append(missing, e.Account)
		}
	}
	v.missing = missing
	return v.accounts.fetch(missing)
}

// homeOf is the shard that an event's account lives on: this one when nobody has seen it.
func (v *Evaluator) homeOf(e *event.Event) (int, error) {
	v.accounts.asked = nil
	if v.memory.Plain(e) {
		v.accounts.asked = e
		return v.config.Shard, nil
	}
	r, err := v.accounts.read(e.Account)
	if err != nil || r == nil {
		return v.config.Shard, err
	}
	return r.Home, nil
}

// admit counts the event, drops a repeat, and lets a state end that ended by itself before the event, or by the factor that it tells of.
func (v *Evaluator) admit(e *event.Event) (before *auth.Account, repeat bool, err error) {
	v.counts.Events++
	if before, err = v.accounts.of(e, v.memory); err != nil {
		return nil, false, err
	}
	if v.seen.add(v.seen.of(e)) {
		v.counts.Repeats++
		return before, true, nil
	}
	if e.Flagged {
		v.counts.Flagged++
	}
	if !event.Known(e.Type) {
		v.counts.Unknown++
	}
	if !before.Until.IsZero() {
		if after, ended := before.Expire(e.Time); ended {
			before = v.moved(e, before, &after, "deadline", "until")
		}
	}
	if e.Type == event.MFASucceeded {
		if after, proved := before.FactorProved(e.Time, e.Factor); proved {
			before = v.moved(e, before, &after, "platform", e.Identity())
		}
	}
	return before, false, nil
}

// moved keeps and journals a change of state that an event brings before it is evaluated.
func (v *Evaluator) moved(e *event.Event, before, after *auth.Account, by, cause string) *auth.Account {
	after.Sequence = v.sequence
	v.settle(before, after)
	v.journal(e.Time, by, before, after, cause)
	return after
}

// findings evaluates the rules. What is found of an event is found once: a repeat that is too old to be known as one brings nothing that has
// been found before (EVENTS.md, "Repeats"), as long as findings are kept.
func (v *Evaluator) findings(f *rules.Facts) ([]rules.Finding, error) {
	if v.config.evaluating != nil {
		v.config.evaluating(f.Event)
	}
	all, faults := v.config.Rules.Evaluate(f)
	v.counts.Faults += uint64(len(faults))
	if len(all) == 0 || v.config.Found == nil {
		return all, nil
	}
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = FindingID(all[i].Rule.ID, f.Event)
	}
	found, err := v.config.Found(ids)
	if err != nil {
		return nil, err
	}
	first := all[:0]
	for i := range all {
		if found[i] {
			v.owed.heard.Found = append(v.owed.heard.Found, ids[i])
		} else {
			first = append(first, all[i])
		}
	}
	return first, nil
}

// facts puts the event into the windows and says what rules can see.
func (v *Evaluator) facts(e *event.Event, account *auth.Account) *rules.Facts {
	f := &v.reading
	f.in = window.Input{Event: e, Place: v.config.Place(e), Sequence: v.sequence}
	view := v.memory.Take(&f.in)
	if isPlain(account) && account.Home == v.config.Shard {
		view.SetPlain(true)
	}
	switch view.Timing() {
	case window.Late:
		v.counts.Late++
	case window.TooLate:
		v.counts.TooLate++
	}
	f.Facts = rules.Facts{Event: e, Place: f.in.Place, Account: account, View: view, Timing: view.Timing()}
	return &f.Facts
}
