package auth

import "time"

// ActKind is something a person or a deadline does to an account.
type ActKind string

const (
	ActLock      ActKind = "lock"      // staff, operator: refuse everything
	ActLimit     ActKind = "limit"     // staff, operator: hold money_out and changes
	ActUnlock    ActKind = "unlock"    // staff, operator: open, with a reason
	ActVerified  ActKind = "verified"  // owner: the right factor; ends a challenge
	ActBegin     ActKind = "begin"     // owner: a recovery has proved something and goes on: recovering
	ActGiveUp    ActKind = "give_up"   // owner, deadline: the recovery ended without proof: back to before
	ActRecovered ActKind = "recovered" // owner, staff: proof complete: probation
	ActExpire    ActKind = "expire"    // deadline: Until has passed
	ActDenied    ActKind = "denied"    // owner: "not me": lock
	ActApproved  ActKind = "approved"  // owner: "this was me": noted on the case, loosens nothing
	ActTrust     ActKind = "trust"     // owner, after proof: this device is known
	ActCaseClose ActKind = "case_close"
	ActCaseNote  ActKind = "case_note"
	ActAdopt     ActKind = "adopt" // doorward: what was published is ahead of the store (see Account.adopt)
)

// Act is one line of a shard's inbox.
type Act struct {
	ID       string    `json:"id"` // made from its cause, so that a repeat is the same act
	Kind     ActKind   `json:"kind"`
	Account  AccountID `json:"account"`
	At       time.Time `json:"at"` // its maker's clock
	By       string    `json:"by"` // "owner", "staff:NAME", "operator", "platform", "deadline", "doorward"
	Reason   string    `json:"reason,omitempty"`
	Saw      uint64    `json:"saw,omitempty"`      // version of the state its maker saw; 0: whatever it is
	Recovery string    `json:"recovery,omitempty"` // the recovery it belongs to
	Case     string    `json:"case,omitempty"`     // case_close, case_note
	Outcome  string    `json:"outcome,omitempty"`  // case_close: see detect/cases
	Device   string    `json:"device,omitempty"`   // trust
	RefersTo string    `json:"refers_to,omitempty"`

	Published *Record `json:"published,omitempty"` // adopt: the record on doorward.account-state.v1
}

// Outcome is what became of an act, stored under store.KindOutcome when the shard has applied it.
type Outcome struct {
	At       time.Time `json:"at"` // the act's, by which outcomes are swept
	Applied  bool      `json:"applied"`
	Refused  string    `json:"refused,omitempty"` // a code from Refused*
	Shard    int       `json:"shard"`
	Sequence uint64    `json:"sequence"`
	Record   Record    `json:"record"` // the state after it, or as it is when refused
}

const (
	RefusedVersion = "version" // the state has moved on since its maker looked
	RefusedState   = "state"   // not possible in this state
	RefusedUnknown = "unknown" // no such account, case or recovery
)
