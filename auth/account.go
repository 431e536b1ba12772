package auth

import "time"

// State is what a platform must obey (EVENTS.md, "What comes back").
type State string

const (
	Open       State = "open"
	Challenged State = "challenged"
	Limited    State = "limited"
	Locked     State = "locked"
	Recovering State = "recovering"
	Probation  State = "probation"
)

// Refusal is a thing the platform must refuse while a state lasts.
type Refusal string

const (
	RefuseLogin    Refusal = "login"
	RefuseMoneyOut Refusal = "money_out"
	RefuseChanges  Refusal = "changes"
)

// Response is what a rule asks for, in order of strength.
type Response int

const (
	NoResponse Response = iota
	Notify              // tell the owner
	Review              // open a case
	Challenge           // ask for a second factor
	Limit               // hold money_out and changes
	Lock                // refuse everything
)

var responses = [...]string{"none", "notify", "review", "challenge", "limit", "lock"}

func (r Response) String() string { return responses[r] }

// ParseResponse reads a response's name as rules write it.
func ParseResponse(s string) (Response, bool) {
	for i, name := range responses {
		if s == name && i > 0 {
			return Response(i), true
		}
	}
	return NoResponse, false
}

// Reason is why an account is where it is: a code for machines and a sentence for its owner in each language (BCP 47 -> text).
type Reason struct {
	Code string            `json:"code"`
	User map[string]string `json:"user,omitempty"`
}

// Touched is a set of what somebody has changed since the first bad event; it decides what a recovery demands.
type Touched struct {
	Password bool      `json:"password,omitempty"`
	Contact  bool      `json:"contact,omitempty"` // e-mail, phone, SIM
	Factor   bool      `json:"factor,omitempty"`  // added or removed
	Since    time.Time `json:"since,omitzero"`    // event time of the first bad event: what was bound after it does not count
}

// Account is an account's record: its state and what an owner's way back needs to know. Only its home shard writes it.
type Account struct {
	ID        AccountID `json:"account"`
	Home      int       `json:"home"` // the shard of its first event
	State     State     `json:"state"`
	Challenge bool      `json:"challenge,omitempty"` // a second factor is asked for; true in Challenged, may be in Probation and Limited
	Before    State     `json:"before,omitempty"`    // in Recovering: what to refuse meanwhile and where giving up leads
	Reason    Reason    `json:"reason,omitzero"`
	Findings  []string  `json:"findings,omitempty"` // ids behind the state, newest last, at most MaxFindings
	Case      string    `json:"case,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"` // zero: no end by itself
	Version   uint64    `json:"version"`        // 0: never changed
	Recovery  string    `json:"recovery,omitempty"`

	// Demand is the least that a rule asks a recovery for; see recovery.Demand for how it is combined with Touched.
	Demand string `json:"demand,omitempty"`
	// FirstBad is the event that the trouble began with, as "source id".
	FirstBad string  `json:"first_bad,omitempty"`
	Touched  Touched `json:"touched,omitzero"`
	// Recent is what was changed lately, by event time as it came, at most MaxRecent: kept in every state, so that what somebody changed
	// before we noticed is known when we do.
	Recent []Change `json:"recent,omitempty"`

	// Floor is set by a recovery: what has a time before it, or was applied up to FloorSequence, counts for no rule that challenges,
	// limits or locks.
	Floor         time.Time `json:"floor,omitzero"`
	Recovered     time.Time `json:"recovered,omitzero"` // when its owner last proved it is them and went through what was changed
	FloorSequence uint64    `json:"floor_sequence,omitempty"`

	// Noticed is when the owner was last told of a cause (reason code -> event time), so that it happens once an hour.
	Noticed map[string]time.Time `json:"noticed,omitempty"`
	// Sequence is the shard sequence this record reflects.
	Sequence uint64 `json:"sequence"`
}

// MaxFindings is how many finding ids an account's record keeps; older ones stay in its cases.
const MaxFindings = 20

// Refuse is what the platform must refuse now.
func (a *Account) Refuse() []Refusal {
	s := a.State
	if s == Recovering {
		s = a.Before
	}
	switch s {
	case Limited:
		return []Refusal{RefuseMoneyOut, RefuseChanges}
	case Locked:
		return []Refusal{RefuseLogin, RefuseMoneyOut, RefuseChanges}
	case Probation:
		return []Refusal{RefuseChanges}
	}
	return []Refusal{}
}

// Record is the body of doorward.account-state.v1 and of GET /v1/accounts/{id}.
type Record struct {
	Account         AccountID         `json:"account"`
	State           State             `json:"state"`
	Refuse          []Refusal         `json:"refuse"`
	Challenge       bool              `json:"challenge"`
	Reason          string            `json:"reason,omitempty"`
	ReasonUser      map[string]string `json:"reason_user,omitempty"`
	Findings        []string          `json:"findings"`
	Case            string            `json:"case,omitempty"`
	Since           *time.Time        `json:"since,omitempty"`
	Until           *time.Time        `json:"until,omitempty"`
	Version         uint64            `json:"version"`
	PreviousVersion uint64            `json:"previous_version"`
	Recovery        string            `json:"recovery,omitempty"`
	Unknown         bool              `json:"unknown,omitempty"` // Doorward can't be sure: treat as the configured fail mode says
}

// Record is what the platform is told of a.
func (a *Account) Record() Record {
	r := Record{Account: a.ID, State: a.State, Refuse: a.Refuse(), Challenge: a.Challenge, Reason: a.Reason.Code,
		ReasonUser: a.Reason.User, Findings: a.Findings, Case: a.Case, Version: a.Version, Recovery: a.Recovery}
	if r.State == "" {
		r.State = Open
	}
	if r.Findings == nil {
		r.Findings = []string{}
	}
	if !a.Since.IsZero() {
		r.Since = &a.Since
	}
	if !a.Until.IsZero() {
		r.Until = &a.Until
	}
	if a.Version > 0 {
		r.PreviousVersion = a.Version - 1
	}
	return r
}
