package detect

import (
	"fmt"
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
	"doorward/store/journal"
)

// ReplayConfig is what a Replay is made with.
type ReplayConfig struct {
	Rules  *rules.Set
	Shards int // 8 unless told otherwise
	Place  func(*event.Event) geo.Place
	Home   func(auth.AccountID) int // the shard of an account: murmur2 of its id unless told otherwise
}

// Replay evaluates the events of a file: as many shards as told, each account on the shard its id hashes to, their slices closing in
// lockstep. No clock, no network, no store: the same events in the same order give the same findings and states, byte for byte.
type Replay struct {
	config ReplayConfig
	shards []*Evaluator
	cases  map[string]cases.Case
	found  map[string]bool
	newest int64 // second of the newest arrival
	asOf   []int64
}

// replayKey is the key under which a replay hashes ids: a file's findings must not depend on an installation.
var replayKey = [16]byte{'d', 'o', 'o', 'r', 'w', 'a', 'r', 'd', ' ', 'r', 'e', 'p', 'l', 'a', 'y'}

// NewReplay makes a replay with empty memories.
func NewReplay(c ReplayConfig) *Replay {
	if c.Shards == 0 {
		c.Shards = 8
	}
	if c.Home == nil {
		n := c.Shards
		c.Home = func(id auth.AccountID) int { return int(Murmur2([]byte(id))&0x7fffffff) % n }
	}
	r := &Replay{config: c, cases: map[string]cases.Case{}, found: map[string]bool{}, newest: noSlice, asOf: make([]int64, c.Shards)}
	board := window.NewBoard(c.Shards)
	for i := range c.Shards {
		r.asOf[i] = noSlice
		r.shards = append(r.shards, NewEvaluator(EvaluatorConfig{
			Shard: i, Rules: c.Rules, Place: c.Place, Board: board, HashKey: replayKey, Accounts: nothingStored,
			Cases: func(id string) (cases.Case, bool, error) { c, ok := r.cases[id]; return c, ok, nil }, Found: r.areFound, keepAll: true,
		}))
	}
	return r
}

func (r *Replay) areFound(ids []string) ([]bool, error) {
	found := make([]bool, len(ids))
	for i, id := range ids {
		found[i] = r.found[id]
	}
	return found, nil
}

func nothingStored(ids []auth.AccountID) ([]*auth.Account, error) {
	return make([]*auth.Account, len(ids)), nil
}

// Take evaluates the next event of the file and returns its findings, strongest first.
func (r *Replay) Take(e *event.Event) ([]Finding, error) {
	r.closeSlices(e.Arrival)
	v := r.shards[r.config.Home(e.Account)]
	v.memory.Read(r.asOf)
	if _, err := v.Handle(e); err != nil {
		return nil, err
	}
	return r.settle(v)
}

// Apply evaluates an act between two events; only scenarios have acts.
func (r *Replay) Apply(act auth.Act) (auth.Outcome, error) {
	v := r.shards[r.config.Home(act.Account)]
	v.memory.Read(r.asOf)
	if err := v.Apply(act); err != nil {
		return auth.Outcome{}, err
	}
	out := v.owed.outcomes[0].outcome
	_, err := r.settle(v)
	return out, err
}

// settle takes what the shard owes: there is no store to commit to.
func (r *Replay) settle(v *Evaluator) ([]Finding, error) {
	owed := v.owed
	if owed.err != nil {
		return nil, owed.err
	}
	for id, c := range owed.cases {
		r.cases[id] = c.after
	}
	for i := range owed.findings {
		r.found[owed.findings[i].ID] = true
	}
	v.owed = effects{}
	v.seen.fresh = v.seen.fresh[:0]
	if v.sequence%4096 == 0 {
		v.memory.Dirty(nil) // notes of evictions pile up until somebody takes them
	}
	v.accounts.committed()
	return owed.findings, nil
}

// closeSlices moves every shard's slices on to an arrival: in a file no shard is ahead of another.
func (r *Replay) closeSlices(arrival time.Time) {
	second := arrival.Unix()
	if second <= r.newest {
		return
	}
	r.newest = second
	for i, v := range r.shards {
		v.memory.Advance(arrival)
		r.asOf[i] = v.memory.Closed()
	}
}

// Account is an account's record as the replay has it now.
func (r *Replay) Account(id auth.AccountID) auth.Account {
	if a := r.shards[r.config.Home(id)].accounts.peek(id); a != nil {
		return *a
	}
	return auth.Account{ID: id, State: auth.Open}
}

// Accounts calls f for every account whose state is, or ever was, another than open, in no order.
func (r *Replay) Accounts(f func(auth.Account)) {
	for _, v := range r.shards {
		for _, a := range v.accounts.young {
			if a.Version > 0 {
				f(*a)
			}
		}
	}
}

// Case is a case as the replay has it now.
func (r *Replay) Case(id string) (cases.Case, bool) { c, ok := r.cases[id]; return c, ok }

// Explain says what every rule makes of the event that comes next in the file, without taking it: see Handle for the path.
func (r *Replay) Explain(e *event.Event) (Explanation, error) {
	r.closeSlices(e.Arrival)
	v := r.shards[r.config.Home(e.Account)]
	v.memory.Read(r.asOf)
	return v.explain(e)
}

// Counts are the sums over all shards.
func (r *Replay) Counts() Counts {
	var sum Counts
	for _, v := range r.shards {
		sum.add(v.counts)
	}
	return sum
}

// Explanation is an event along its path (COMMANDS.md, "explain").
type Explanation struct {
	Event    *event.Event
	Place    geo.Place
	Timing   window.Timing
	Newest   time.Time
	Repeat   bool
	Rules    []rules.Explained
	Findings []Finding
	Entries  []journal.Entry
	Verdict  Verdict
	Before   auth.Account
	After    auth.Account
}

// explain evaluates e for good, like Handle, and keeps what each rule made of it.
func (v *Evaluator) explain(e *event.Event) (Explanation, error) {
	x := Explanation{Event: e}
	v.sequence++
	before, repeat, err := v.admit(e)
	if err != nil {
		return x, err
	}
	x.Before, x.After, x.Repeat = *before, *before, repeat
	if repeat {
		return x, nil
	}
	facts := v.facts(e, before)
	x.Place, x.Timing, x.Newest = facts.Place, facts.Timing, facts.View.Newest()
	x.Rules = v.config.Rules.Explain(facts)
	findings, err := v.findings(facts)
	if err != nil {
		return x, fmt.Errorf("explain: %w", err)
	}
	x.Verdict = Judge(e, findings)
	after, err := v.consequence(facts, before, &x.Verdict)
	if err != nil {
		return x, fmt.Errorf("explain: %w", err)
	}
	x.After = *after
	v.journal(e.Time, by(&x.Verdict), before, after, x.Verdict.cause())
	x.Findings, x.Entries = v.owed.findings, v.owed.entries
	return x, v.owed.err
}
