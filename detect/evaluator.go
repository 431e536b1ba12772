package detect

import (
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
)

// EvaluatorConfig is what an Evaluator is made with.
type EvaluatorConfig struct {
	Shard     int
	Rules     *rules.Set
	Place     func(*event.Event) geo.Place // where an event came from; a pure function of the event and the operator's database
	Board     *window.Board                // joins the windows across accounts of all shards in this process
	HashKey   [16]byte                     // under which ids are hashed for windows and repeats
	Budget    int                          // records of windows a shard keeps per kind of key; 0: 1,000,000
	Reports   string                       // the topic for what owners say of events; empty: none
	Probation time.Duration                // how long probation lasts after a recovery; 0: 72 h
	Accounts  func(ids []auth.AccountID) ([]*auth.Account, error)
	Cases     func(id string) (cases.Case, bool, error)
	Found     func(ids []string) ([]bool, error) // which findings there are already; nil: none

	Geo     []string // the databases behind Place, for the shard's log
	Program string   // the program's version, for the same

	repeats int  // identities remembered; 0: repeatsKept, which is the contract's
	keepAll bool // keep every account's record: there is no store to read it from

	evaluating func(*event.Event) // called when an event is in the windows and no rule has seen it: where a test panics; may be nil
}

// Evaluator is one shard's memory and what it makes of events and acts: no clock, no randomness, no goroutine; its only input beside
// its arguments are records that only it writes (Accounts, Cases). The shard commits what it owes; a file replay prints it.
type Evaluator struct {
	config EvaluatorConfig

	// what is remembered, and rebuilt from the store after a restart
	memory   *window.Memory
	seen     *seen
	sequence uint64 // of the last event, act or rule set taken in

	// records of this shard's accounts, read through
	accounts *accounts
	cases    lately

	// what the events and acts since the last commit owe the store and the world
	owed   effects
	counts Counts

	reading reading          // the event in hand
	missing []auth.AccountID // room of lookAhead
}

// NewEvaluator makes an Evaluator with an empty memory.
func NewEvaluator(c EvaluatorConfig) *Evaluator {
	if c.Budget == 0 {
		c.Budget = 1_000_000
	}
	if c.repeats == 0 {
		c.repeats = repeatsKept
	}
	if c.Probation == 0 {
		c.Probation = 72 * time.Hour
	}
	if c.Place == nil {
		c.Place = func(e *event.Event) geo.Place { return PlaceOf(e, nil) }
	}
	v := &Evaluator{config: c, accounts: newAccounts(c.Shard, c.Accounts, c.keepAll)}
	v.forget()
	return v
}

// forget empties the memory: it is loaded again, or the store is new.
func (v *Evaluator) forget() {
	v.memory = window.NewMemory(v.config.Rules.Layout(), v.config.HashKey, v.config.Shard, v.config.Budget, v.config.Board)
	v.seen = newSeen(v.config.HashKey, v.config.repeats)
	v.sequence = 0
	v.accounts.forget()
	v.cases = lately{}
	v.owed = effects{}
}

// reading is an event as windows and rules take it, kept for its room.
type reading struct {
	rules.Facts
	in window.Input
}

// PlaceOf is where an event came from: what the platform says, completed by what db knows of its address.
func PlaceOf(e *event.Event, db *geo.DB) geo.Place {
	var said geo.Place
	if g := e.Geo; g != nil {
		said = geo.Place{Lat: g.Lat, Lon: g.Lon, HasPoint: g.HasPoint, City: g.City, Country: g.Country}
	}
	if db == nil || e.IP == "" {
		return said
	}
	return geo.Merge(said, db.Lookup(e.IP))
}

// Counts are how often things happened in this process's life, for metrics.
type Counts struct {
	Events, Repeats, Late, TooLate, Flagged, Unknown, Dead, Faults, Panics, Acts, ActsRefused uint64
	ByRule                                                                                    map[string]uint64
	ByState                                                                                   map[auth.State]uint64 // transitions into
}
