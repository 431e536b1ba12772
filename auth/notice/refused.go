package notice

import (
	"errors"

	gomail "github.com/wneessen/go-mail"
)

// undelivered is the error of Send: at least one address did not get the mail.
type undelivered struct {
	err     error
	forGood bool // no address that did not get it ever will
}

func (u *undelivered) Error() string { return u.err.Error() }
func (u *undelivered) Unwrap() error { return u.err }

// ForGood reports whether an error of Send says that trying again is of no use: each address that did not get the mail is none, or the server
// answered 5xx for it (RFC 5321, 4.2.1). All other errors may pass.
func ForGood(err error) bool {
	u, ok := errors.AsType[*undelivered](err)
	return ok && u.forGood
}

// refusedForGood reports whether every message that was not delivered was refused with 5xx. One without an error of its own was not tried, as
// the conversation broke off.
func refusedForGood(messages []*gomail.Msg) bool {
	for _, m := range messages {
		if m.IsDelivered() {
			continue
		}
		refused, ok := errors.AsType[*gomail.SendError](m.SendError())
		if !ok || refused.ErrorCode() < 500 {
			return false
		}
	}
	return true
}
