package rules

import (
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
)

// Rule is one rule as its author wrote it, checked.
type Rule struct {
	ID             string   // "login.guessing": never reused
	Was            []string // earlier ids, whose memory it keeps
	Title          string
	Level          string // informational, low, medium, high, critical
	Status         string // experimental, test, stable
	Attack         []string
	FalsePositives []string
	References     []string
	On             []event.Type
	Per            window.Key
	When           string
	Again          Again
	Score          int // 0-100
	Response       auth.Response
	Recovery       string        // "totp" or "staff": the least a recovery asks for
	For            time.Duration // limit only: how long, 0: no end by itself
	Reason         auth.Reason   // Code, and a sentence for the owner in en, zh-Hans, es, fr, de
	File           string
	Line           int
	Version        string // first 12 hex digits of SHA-256 over the rule's meaning (not its comments)
}

// Again says when a rule that is true fires again for the same account.
type Again struct {
	Mode  string        // "edge", "always", "every"
	Every time.Duration // for "every"
}

// Facts is what a rule can see: the event, where it came from, the account and the windows as of this event.
type Facts struct {
	Event   *event.Event
	Place   geo.Place
	Account *auth.Account // never nil; its record before this event
	View    *window.View
	Timing  window.Timing
}

// Finding is a rule that fired, with its evidence.
type Finding struct {
	Rule     *Rule
	Score    int
	Response auth.Response // the rule's, or less when Capped says why
	Capped   string        // "", "floor", "new_window", "late"
	Evidence []Evidence
}

// Evidence is one comparison of the rule's condition: the fact, its value, and what it was compared with (COMMANDS.md).
type Evidence struct {
	Fact      string `json:"fact"`
	Value     any    `json:"value"`
	Op        string `json:"op,omitempty"`
	Threshold any    `json:"threshold,omitempty"`
	Unit      string `json:"unit,omitempty"`
	AsOf      string `json:"as_of,omitempty"` // windows across accounts: other shards were read as of this second (RFC 3339)
}

// Condition is one comparison with its outcome, for explain.
type Condition struct {
	Text      string `json:"text"`
	Value     any    `json:"value"`
	Threshold any    `json:"threshold,omitempty"`
	True      bool   `json:"true"`
	Known     bool   `json:"known"`
}

// Explained is what one rule made of an event, fired or not.
type Explained struct {
	Rule       *Rule
	Fired      bool
	Why        string // "", "not on this type", "still true since ...", "floor", ...
	Conditions []Condition
}
