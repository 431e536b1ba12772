package journal

import "time"

// Entry is one line of the audit journal: something decided, by whom, because of what. Entries hold ids and masked words only, never a
// secret, a code, a contact or an address in full. The stored form is JSON with these names; names are added, never changed.
type Entry struct {
	At       time.Time         `json:"at"`                // event time for what an event caused, the maker's clock for acts
	Kind     Kind              `json:"kind"`              // what happened
	Account  string            `json:"account,omitempty"` // whom it concerns
	By       string            `json:"by"`                // "rule", "owner", "staff:NAME", "deadline", "platform", "operator", "doorward"
	Cause    string            `json:"cause,omitempty"`   // the id of what caused it: a finding, an act, a recovery
	From     string            `json:"from,omitempty"`    // state before
	To       string            `json:"to,omitempty"`      // state after
	Version  uint64            `json:"version,omitempty"` // the state's version after it
	Shard    int               `json:"shard"`             // the shard that applied it, -1 for none
	Sequence uint64            `json:"sequence,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
}

// Kind says what an entry is about. Kinds are added, never renamed.
type Kind string

const (
	StateChanged   Kind = "state.changed"    // a shard moved an account's state
	ActMade        Kind = "act.made"         // a person or a deadline put an act into an inbox
	ActRefused     Kind = "act.refused"      // the shard had passed the version the act named, or the act may not be done in that state
	CaseOpened     Kind = "case.opened"      //
	CaseClosed     Kind = "case.closed"      //
	CaseNoted      Kind = "case.noted"       //
	RulesChanged   Kind = "rules.changed"    // a shard evaluates another rule set from here on
	FactorEnrolled Kind = "factor.enrolled"  // TOTP confirmed by a code, or imported by the platform
	FactorVoided   Kind = "factor.voided"    // a factor touched since the first bad event does not count any more
	CodeAccepted   Kind = "code.accepted"    // a TOTP code or a recovery code was right and is spent
	CodeRejected   Kind = "code.rejected"    // wrong, used before, or out of budget; Reason says which
	CodesIssued    Kind = "codes.issued"     // new recovery codes, the old ones void
	RecoveryStep   Kind = "recovery.step"    // a recovery went on, ended, or was given up
	ProfileChanged Kind = "profile.changed"  // PUT /v1/accounts/{id}
	StaffInvited   Kind = "staff.invited"    //
	StaffJoined    Kind = "staff.joined"     //
	StaffSignedIn  Kind = "staff.signed_in"  //
	StaffRefused   Kind = "staff.refused"    // wrong password or code, or a role that may not
	StaffSignedOut Kind = "staff.signed_out" //
	StaffChanged   Kind = "staff.changed"    // another role, disabled, or enabled again
	StaffLooked    Kind = "staff.looked"     // personal data shown in full, with the reason given
	TokenMade      Kind = "token.made"       // a bearer token of the platform
	Compared       Kind = "store.compared"   // at a start the store was behind what was published, or the topic was another; Reason says which
	BackedUp       Kind = "store.backed_up"  // by the operator
	Restored       Kind = "store.restored"   // from a backup: what came after it is not in this journal
	Migrated       Kind = "store.migrated"   // to a newer format
	Recreated      Kind = "topic.recreated"  // an operator let a shard go on after a log was cut or recreated
)
