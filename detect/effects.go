package detect

import (
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/detect/cases"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/journal"
	"doorward/store/outbox"
)

// effects are what events and acts owe the store and the world until the next commit.
type effects struct {
	findings  []Finding
	cases     map[string]*caseChange
	caseOrder []string
	rows      []outbox.Row
	entries   []journal.Entry
	outcomes  []actOutcome
	decisions []storedDecision // of events that an API call wrote
	answers   []Decision       // of the same, repeats too, for who waits
	put       []store.Pair
	deadlines map[auth.AccountID]time.Time // the deadline that is in the store's index now, of accounts whose deadline changed
	heard     heard                        // what decided beside the records, for the log
	err       error                        // the first effect that could not be made; the batch is not committed
}

// caseChange is a case as the store has it, nil for a new one, and as it is to be.
type caseChange struct {
	before *cases.Case
	after  cases.Case
}

type actOutcome struct {
	act     string
	outcome auth.Outcome
}

func (o *effects) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// caseOf returns the case with this id for changing, or a new one when there is none.
func (v *Evaluator) caseOf(id string) (*caseChange, error) {
	if c := v.owed.cases[id]; c != nil {
		return c, nil
	}
	c, ok := v.cases.get(id)
	if !ok && v.config.Cases != nil {
		var err error
		if c, ok, err = v.config.Cases(id); err != nil {
			return nil, err
		}
	}
	if !ok {
		return &caseChange{}, nil
	}
	before := c
	return &caseChange{before: &before, after: c}, nil
}

// casesKept is how many of the cases that have changed lately a shard keeps in memory: who is being attacked is found again in seconds.
const casesKept = 1000

// lately are cases as they are in the store. Only their shard writes them.
type lately struct{ young, old map[string]cases.Case }

func (l *lately) get(id string) (cases.Case, bool) {
	c, ok := l.young[id]
	if !ok {
		c, ok = l.old[id]
	}
	return c, ok
}

// committed keeps what is in the store now.
func (l *lately) committed(changed map[string]*caseChange) {
	if len(changed) == 0 {
		return
	}
	if l.young == nil || len(l.young) > casesKept {
		l.young, l.old = map[string]cases.Case{}, l.young
	}
	for id, c := range changed { // order does not matter: each is by itself
		l.young[id] = c.after
	}
}

// keepCase keeps a changed case for the next commit.
func (v *Evaluator) keepCase(id string, c *caseChange) {
	if v.owed.cases == nil {
		v.owed.cases = map[string]*caseChange{}
	}
	if v.owed.cases[id] == nil {
		v.owed.cases[id] = c
		v.owed.caseOrder = append(v.owed.caseOrder, id)
	}
}

// settle keeps an account's changed record, which is not written to any more, and the deadline that the index has to know.
func (v *Evaluator) settle(before, after *auth.Account) {
	if !before.Until.Equal(after.Until) {
		if v.owed.deadlines == nil {
			v.owed.deadlines = map[auth.AccountID]time.Time{}
		}
		if _, known := v.owed.deadlines[after.ID]; !known {
			v.owed.deadlines[after.ID] = before.Until
		}
	}
	v.accounts.put(after)
	v.memory.ClearPlain(after.ID)
}

// journal writes down a change of state and owes the world the new one. Nothing happens when the version is the same.
func (v *Evaluator) journal(at time.Time, by string, before, after *auth.Account, cause string) {
	if after.Version == before.Version {
		return
	}
	v.count(before, after)
	v.owed.entries = append(v.owed.entries, journal.Entry{
		At: at, Kind: journal.StateChanged, Account: string(after.ID), By: by, Cause: cause, From: string(before.State), To: string(after.State),
		Version: after.Version, Shard: v.config.Shard, Sequence: v.sequence, Reason: after.Reason.Code,
	})
	id := CauseID("state", string(after.ID), decimal(after.Version))
	row, err := cloudEvent(TopicState, id, after.ID, at, after.Record())
	if err != nil {
		v.owed.fail(err)
		return
	}
	v.owed.rows = append(v.owed.rows, row)
}

func (v *Evaluator) count(before, after *auth.Account) {
	if before.State == after.State {
		return
	}
	if v.counts.ByState == nil {
		v.counts.ByState = map[auth.State]uint64{}
	}
	v.counts.ByState[after.State]++
}

// noticeEvery is how often an owner is told of the same cause at most (DESIGN, "Running it").
const noticeEvery = time.Hour

// lateNotice is how far behind the newest notice of the same cause an event may be and still be told of no more: as far as it counts as late
// (EVENTS.md). Else events that come in reverse would each bring a notice.
const lateNotice = window.LateLimit

// tell owes the owner a notice, once an hour per cause by event time; after is changed to remember it.
func (v *Evaluator) tell(after *auth.Account, due notice.Due) {
	cause := string(due.Kind) + " " + due.Reason.Code
	if last, told := after.Noticed[cause]; told && due.At.Sub(last) < noticeEvery && last.Sub(due.At) < lateNotice {
		return
	}
	noticed := map[string]time.Time{cause: due.At}
	for c, at := range after.Noticed { // what is older than an hour says nothing any more
		if c != cause && due.At.Sub(at) < noticeEvery {
			noticed[c] = at
		}
	}
	after.Noticed = noticed
	due.Account, due.State = after.ID, after.State
	row, err := cloudEvent(TopicNotices, due.ID, after.ID, due.At, due)
	if err != nil {
		v.owed.fail(err)
		return
	}
	v.owed.rows = append(v.owed.rows, row)
}
