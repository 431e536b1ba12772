package cases

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"doorward/auth"
)

// Status is where a case stands.
type Status string

const (
	StatusOpen   Status = "open"
	StatusClosed Status = "closed"
)

// Outcome is what a closed case turned out to be. Outcomes feed the precision of rules.
type Outcome string

const (
	Confirmed      Outcome = "confirmed"       // it was a stranger
	FalsePositive  Outcome = "false_positive"  // nothing was wrong; the rule erred
	OwnerRecovered Outcome = "owner_recovered" // the owner proved it is them and is back in
	OwnerConfirmed Outcome = "owner_confirmed" // it was the owner: unusual, but theirs
	Duplicate      Outcome = "duplicate"       // another case says the same
)

// Outcomes are all outcomes, in the order that the console offers them.
var Outcomes = []Outcome{Confirmed, OwnerConfirmed, FalsePositive, Duplicate, OwnerRecovered}

// Bounds keep a case below store.MaxValue (1 MiB) whatever happens on its account.
const (
	MaxRefs  = 200  // findings kept; Count goes on counting
	MaxNotes = 100  // notes of up to MaxText bytes: 400 KB
	MaxText  = 4000 // bytes of a note or a reason
)

// Ref is a finding as its case lists it.
type Ref struct {
	ID       string    `json:"id"`
	Rule     string    `json:"rule"`
	Score    int       `json:"score"`
	Response string    `json:"response"` // what was done, as in auth.Response
	At       time.Time `json:"at"`       // the event's time
	Event    string    `json:"event"`    // "source id"
}

// Note is what somebody wrote on a case.
type Note struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"` // "staff:NAME", "owner", "operator"
	Text string    `json:"text"`
}

// Case is what staff review: the findings of one trouble on one account.
type Case struct {
	ID       string         `json:"id"`
	Account  auth.AccountID `json:"account"`
	Status   Status         `json:"status"`
	Opened   time.Time      `json:"opened"`
	Updated  time.Time      `json:"updated"`
	Findings []Ref          `json:"findings"` // oldest first, at most MaxRefs; the first one always stays
	Count    int            `json:"count"`    // of all findings, those that are no longer listed too
	Score    int            `json:"score"`    // the highest of all findings, 0-100
	Response string         `json:"response"` // the strongest of all findings
	Outcome  Outcome        `json:"outcome,omitempty"`
	ClosedBy string         `json:"closed_by,omitempty"`
	ClosedAt time.Time      `json:"closed_at,omitzero"`
	Reason   string         `json:"reason,omitempty"` // given on closing; may be empty
	Notes    []Note         `json:"notes,omitempty"`  // oldest first, at most MaxNotes
	Version  uint64         `json:"version"`          // 1 when opened, one more with each change
}

var (
	// ErrClosed says that the case was closed before.
	ErrClosed = errors.New("case: closed already")
	// ErrOutcome says that a case was to be closed without one of Outcomes.
	ErrOutcome = errors.New("case: no such outcome")
	// ErrText says that a note or a reason is empty, too long or not UTF-8.
	ErrText = errors.New("case: the text is empty, longer than 4000 bytes or not UTF-8")
	// ErrNotes says that the case holds MaxNotes notes already.
	ErrNotes = errors.New("case: it holds 100 notes already")
)

// ID is the id of the case that a cause opens on an account; the cause is a finding's or an act's id, so a replay makes the same case.
func ID(account, cause string) string {
	sum := sha256.Sum256([]byte("case\x00" + account + "\x00" + cause))
	return "c-" + hex.EncodeToString(sum[:10])
}

// Open is an open case with its first finding; at is the event's time.
func Open(id string, account auth.AccountID, ref Ref, at time.Time) Case {
	c := Case{ID: id, Account: account, Status: StatusOpen, Opened: at}
	return c.Add(ref, at)
}

// Add takes a finding in. One that is in already, by its id, changes nothing, and neither does any on a closed case.
func (c Case) Add(ref Ref, at time.Time) Case {
	if c.Status != StatusOpen || slices.ContainsFunc(c.Findings, func(r Ref) bool { return r.ID == ref.ID }) {
		return c
	}
	c.Findings = append(slices.Clone(c.Findings), ref)
	if len(c.Findings) > MaxRefs {
		c.Findings = slices.Delete(c.Findings, 1, 2)
	}
	c.Count++
	c.Score = max(c.Score, ref.Score)
	if stronger(ref.Response, c.Response) {
		c.Response = ref.Response
	}
	return c.changed(at)
}

// Close ends the case. by is "staff:NAME", "owner" or "operator"; the reason may be empty. ErrClosed, ErrOutcome, ErrText.
func (c Case) Close(outcome Outcome, by, reason string, at time.Time) (Case, error) {
	if c.Status != StatusOpen {
		return c, ErrClosed
	}
	if !slices.Contains(Outcomes, outcome) {
		return c, fmt.Errorf("%w: %q", ErrOutcome, outcome)
	}
	if reason = strings.TrimSpace(reason); reason != "" && !fits(reason) {
		return c, ErrText
	}
	c.Status, c.Outcome, c.ClosedBy, c.ClosedAt, c.Reason = StatusClosed, outcome, by, at, reason
	return c.changed(at), nil
}

// Note adds what somebody wrote, on an open case or a closed one. ErrText, ErrNotes.
func (c Case) Note(by, text string, at time.Time) (Case, error) {
	text = strings.TrimSpace(text)
	switch {
	case c.Status == "":
		return c, errors.New("case: a note needs a case")
	case !fits(text):
		return c, ErrText
	case len(c.Notes) >= MaxNotes:
		return c, ErrNotes
	}
	c.Notes = append(slices.Clone(c.Notes), Note{At: at, By: by, Text: text})
	return c.changed(at), nil
}

// changed stamps a change; Updated never goes back, as late events carry an older time.
func (c Case) changed(at time.Time) Case {
	if at.After(c.Updated) {
		c.Updated = at
	}
	c.Version++
	return c
}

func stronger(a, b string) bool {
	x, _ := auth.ParseResponse(a)
	y, _ := auth.ParseResponse(b)
	return x > y
}

func fits(text string) bool {
	return text != "" && len(text) <= MaxText && utf8.ValidString(text)
}
