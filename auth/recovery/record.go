package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"doorward/auth"
	"doorward/store"
)

// Status is how far a recovery has come.
type Status string

const (
	Pending  Status = "pending"
	Proving  Status = "proving"
	Held     Status = "held"
	Applying Status = "applying"
	Finished Status = "finished"
	GivenUp  Status = "given_up"
	Staff    Status = "staff"
)

// Statuses are all of them.
var Statuses = []Status{Pending, Proving, Held, Applying, Finished, GivenUp, Staff}

const (
	// LinkLife is how long a link is good (DESIGN, "Coming back in").
	LinkLife = 24 * time.Hour
	// IssuesAnHour is how often a link is made anew (D-3 in security.md), and mail codes are sent.
	IssuesAnHour = 3
	// HoldTime is how long a recovery waits after a factor was touched, so that an owner who still reads his mail can stop a thief.
	HoldTime = 24 * time.Hour
	// ProofLife is how long a proof waits for the next one: the longest a portal session lasts (D-5). A hold keeps its proofs for
	// HeldLife after its end.
	ProofLife = time.Hour
	HeldLife  = 7 * 24 * time.Hour
	// mail codes: NIST SP 800-63B-4, 4.2.1.2: at least 6 digits, 24 h by e-mail
	mailDigits = 8
	mailLife   = 24 * time.Hour
	mailTries  = 5
)

// Recovery is the record of one way back. Stored as JSON at store.KindRecovery: names are added, never changed. It holds no secret: a mail
// code is kept as its MAC.
type Recovery struct {
	Format  int            `json:"v"`
	ID      string         `json:"id"`
	Account auth.AccountID `json:"account"`
	Status  Status         `json:"status"`
	Created time.Time      `json:"created"`
	Issue   int            `json:"issue"`  // number of the newest link
	Issued  []time.Time    `json:"issued"` // when links were made, the newest IssuesAnHour of them
	Proofs  []Proof        `json:"proofs,omitempty"`
	Mail    *MailCode      `json:"mail,omitempty"`
	Sends   []time.Time    `json:"sends,omitempty"` // when mail codes were made, the newest IssuesAnHour of them
	Hold    time.Time      `json:"hold,omitzero"`   // the end of the wait, once it has begun
	Act     string         `json:"act,omitempty"`   // the act that waits for the shard, while applying
	Acts    int            `json:"acts,omitempty"`  // how many acts were made: part of their ids
	Reviews *Review        `json:"review,omitempty"`
}

// Proof is a step that was done.
type Proof struct {
	Step Step      `json:"step"`
	At   time.Time `json:"at"`
	How  string    `json:"how,omitempty"` // password: "event" when the platform said so, "owner" when only its owner did
}

// MailCode is a code that was sent.
type MailCode struct {
	MAC     []byte    `json:"mac"`
	Address string    `json:"address"` // masked
	Until   time.Time `json:"until"`
	Tries   int       `json:"tries"` // spent
}

// Review is what the owner said about the changes since the first bad event, by ChangeID.
type Review struct {
	Denied   []string `json:"denied,omitempty"`
	Approved []string `json:"approved,omitempty"`
}

const format = 1

// ID is the id of the recovery that a cause opens.
func ID(cause string) string { return auth.RecoveryID(cause) }

// New is the record of a recovery as the account's shard stores it in the commit that locks or limits. at is when its first link begins to
// count, the event's time.
func New(id string, a auth.Account, at time.Time) (store.Pair, error) {
	r := Recovery{Format: format, ID: id, Account: a.ID, Status: Pending, Created: at, Issue: 1, Issued: []time.Time{at}}
	return r.pair()
}

func key(id string) []byte { return store.Key(store.KindRecovery, id) }

func (r *Recovery) pair() (store.Pair, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return store.Pair{}, fmt.Errorf("encode recovery: %w", err)
	}
	return store.Pair{Key: key(r.ID), Value: b}, nil
}

// Load reads a recovery and its stored bytes; nil bytes: there is none.
func Load(ctx context.Context, s store.Engine, id string) (Recovery, []byte, error) {
	v, err := s.Get(ctx, key(id))
	if err != nil {
		return Recovery{}, nil, fmt.Errorf("read recovery: %w", err)
	}
	if v[0] == nil {
		return Recovery{}, nil, nil
	}
	var r Recovery
	if err := json.Unmarshal(v[0], &r); err != nil {
		return Recovery{}, nil, fmt.Errorf("read recovery: %w", err)
	}
	if r.Format != format {
		return Recovery{}, nil, fmt.Errorf("read recovery: format %d is not known", r.Format)
	}
	return r, v[0], nil
}

// clone is r with lists of its own, so that Next leaves its argument alone.
func (r Recovery) clone() Recovery {
	r.Issued, r.Proofs, r.Sends = slices.Clone(r.Issued), slices.Clone(r.Proofs), slices.Clone(r.Sends)
	if r.Mail != nil {
		m := *r.Mail
		r.Mail = &m
	}
	return r
}

// ChangeID names a change on the review page.
func ChangeID(c auth.Change) string {
	return fmt.Sprintf("%s.%s.%d", c.Kind, c.Factor, c.At.UnixMilli())
}
