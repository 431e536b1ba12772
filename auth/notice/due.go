package notice

import (
	"time"

	"doorward/auth"
)

// Kind is what a notice tells its owner.
type Kind string

const (
	Locked     Kind = "locked"
	Limited    Kind = "limited"
	Challenged Kind = "challenged"
	WasThisYou Kind = "was_this_you" // asks yes / no
	BackIn     Kind = "back_in"      // recovered: probation has begun
	Opened     Kind = "opened"       // restrictions have ended
	CodeUsed   Kind = "code_used"    // a code was used twice or too often: somebody may be trying
	NewCodes   Kind = "new_codes"    // recovery codes were made anew
	Hold       Kind = "hold"         // a recovery's wait has begun: the owner may stop it
	MailCode   Kind = "mail_code"    // a code to type; made by Writer.Code only, never due
)

// Due is a notice that is owed: what the shard knows, before language, address and link are added. It is a row of the outbox under
// topic doorward.notices.v1; the relay turns it into a Notice.
type Due struct {
	ID       string         `json:"id"`
	Account  auth.AccountID `json:"account"`
	Kind     Kind           `json:"kind"`
	State    auth.State     `json:"state"`
	Reason   auth.Reason    `json:"reason"`
	Finding  string         `json:"finding,omitempty"`
	Recovery string         `json:"recovery,omitempty"`
	At       time.Time      `json:"at"`
	Until    time.Time      `json:"until,omitzero"`
	// what the owner may recognise
	EventType string `json:"event_type,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	City      string `json:"city,omitempty"`
	Country   string `json:"country,omitempty"`
	Amount    int64  `json:"amount,omitempty"` // minor units
	Currency  string `json:"currency,omitempty"`
}

// Notice is the body of doorward.notices.v1 (COMMANDS.md).
type Notice struct {
	ID       string         `json:"id"`
	Account  auth.AccountID `json:"account"`
	Kind     Kind           `json:"kind"`
	Language string         `json:"language"`
	Subject  string         `json:"subject"`
	Text     string         `json:"text"`
	Link     string         `json:"link,omitempty"`
	Finding  string         `json:"finding,omitempty"`
	At       time.Time      `json:"at"`
}
