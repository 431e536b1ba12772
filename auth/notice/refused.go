package notice

import (
	"errors"

	gomail "github.com/wneessen/go-mail"
)

// undelivered is the error of Send: at least one address did not get the mail.
type undelivered struct {
	err     error
	forGood bool // no address that did not get it ever will
	answers bool // the server answered for each of them: it is well, and others' mail may go
}

func (u *undelivered) Error() string { return u.err.Error() }
func (u *undelivered) Unwrap() error { return u.err }

// ForGood reports whether an error of Send says that trying again is of no use: each address that did not get the mail is none, or the server
// answered 5xx for it (RFC 5321, 4.2.1). All other errors may pass.
func ForGood(err error) bool {
	u, ok := errors.AsType[*undelivered](err)
	return ok && u.forGood
}

// OfAddresses reports whether an error of Send is about this mail's addresses alone, a full mailbox or a domain that is not found just now: the
// server answered 4xx or 5xx for each, and takes other mail. Otherwise the server is what ails.
func OfAddresses(err error) bool {
	u, ok := errors.AsType[*undelivered](err)
	return ok && u.answers
}

// closing is what a server says that takes nothing more from us (RFC 5321, 3.8).
const closing = 421

// refused says of every message that was not delivered whether the server answered for it, and whether with 5xx. One without an error of its own
// was not tried, as the conversation broke off.
func refused(messages []*gomail.Msg) (answered, forGood bool) {
	answered, forGood = true, true
	for _, m := range messages {
		if m.IsDelivered() {
			continue
		}
		r, ok := errors.AsType[*gomail.SendError](m.SendError())
		answered = answered && ok && r.ErrorCode() >= 400 && r.ErrorCode() != closing
		forGood = forGood && ok && r.ErrorCode() >= 500
	}
	return answered, forGood
}
